"""What is measured of an answer's text: lengths, structure and the rates of characters, as one vector.

Every figure is cheap (a pass of C code each, where it can be over several answers at once) and on a scale where one answer's step is of the
size of another's: logarithms of counts, square roots of rates.
"""

from __future__ import annotations

import math

import numpy as np

from evaluators.drift.reading import Batch, Reading

MARKS = ".,;:!?'\"()-*`#_/{}[]=+\\|$<>%&@~^"
PIECES = ("**", "\n\n", "\n#", "\n- ", "\n* ", "\n1.", "\n  ", " - ", "\u2014", "\\n", "n't", "'s ", ", and ")

LENGTHS = (
    "length", "words", "lines", "sentences", "word length", "sentence length", "vocabulary", "line length", "capitals", "digits", "spaces",
    "line breaks", "beyond ascii", "first line length", "last line length", "capitals a word", "first words a sentence",
)  # fmt: skip
ENDS = (
    "opens with a capital", "opens with a digit", "opens with a mark",
    "ends with a full stop", "ends with a letter", "ends with a mark", "ends with a question",
)  # fmt: skip

NAMES = (
    *LENGTHS,
    *ENDS,
    *(f"rate of {mark!r}" for mark in MARKS),
    *(f"rate of {piece!r}" for piece in PIECES),
)
# What turns a mean on the measured scale back into the unit of the name: a count, a share, a rate in 1,000 bytes.
_LOGARITHMS = {"length", "words", "sentence length", "line length", "first line length", "last line length"}
_RATIOS = {"lines", "sentences", "capitals a word", "first words a sentence"}
_ROOTS = {"capitals", "digits", "line breaks", "beyond ascii"}
_PLAIN = len(LENGTHS) + len(ENDS)
SCALES = tuple(
    np.expm1 if name in _LOGARITHMS else np.exp if name in _RATIOS else np.square if name in _ROOTS or index >= _PLAIN else float
    for index, name in enumerate(NAMES)
)
_MARK_CODES = np.array([ord(mark) for mark in MARKS])
_BYTES = np.uint32(256)
# Where spaces, digits, capitals, small letters and what is beyond ASCII begin among the bytes, and what stands between them.
_CLASSES = (32, 33, 48, 58, 65, 91, 97, 123, 128)

# All pieces but the last, which is too long, are looked for at once: as the number that their two or three bytes make, marked by how it is taken.
_RARE = b"\n*-'\\\xe2"
_IS_RARE = bytes(byte in _RARE for byte in range(256))
_TWO_BYTES, _THREE_BYTES = np.uint32(0xFFFF), np.uint32(0xFFFFFF)
_OF_TWO, _FROM_BEFORE = np.uint32(1 << 24), np.uint32(2 << 24)


def _make_key(piece: bytes) -> int:
    """The number of a piece: of two bytes, of three, or of three from the byte before the rare one on."""
    return int.from_bytes(piece, "little") | int(_FROM_BEFORE if piece[0] not in _RARE else _OF_TWO if len(piece) == 2 else 0)


_KEY_OF = np.array([_make_key(piece.encode()) for piece in PIECES[:-1]], np.uint32)
_BY_KEY = np.argsort(_KEY_OF)
_KEYS = _KEY_OF[_BY_KEY]


def measure(batch: Batch) -> np.ndarray:
    """The vectors of NAMES, one row for each reading."""
    number = len(batch.readings)
    often = np.bincount(batch.owners * _BYTES + batch.data, minlength=number * _BYTES).reshape(number, -1)
    classes = np.add.reduceat(often, _CLASSES, axis=1)[:, ::2].tolist()
    sentences = (often[:, ord(".")] + often[:, ord("!")] + often[:, ord("?")] + 1).tolist()
    lines = (often[:, ord("\n")] + 1).tolist()
    out = np.empty((number, len(NAMES)))
    out[:, :_PLAIN] = [
        [*_take_lengths(reading, *counted), *_look_at_ends(reading.text)]
        for reading, *counted in zip(batch.readings, _count_words(batch), lines, sentences, classes, strict=True)
    ]
    out[:, _PLAIN : _PLAIN + len(MARKS)] = often[:, _MARK_CODES]
    out[:, _PLAIN + len(MARKS) :] = _count_pieces(batch)
    rates = out[:, _PLAIN:]
    rates *= (1000.0 / np.maximum(1, batch.sizes))[:, None]
    np.sqrt(rates, out=rates)
    return out


def _count_words(batch: Batch) -> list[int]:
    begun = batch.data > ord(" ")
    begun[1:] &= batch.data[:-1] <= ord(" ")
    return np.add.reduceat(begun, batch.begins, dtype=np.intp).tolist()


def _count_pieces(batch: Batch) -> np.ndarray:
    """How often each of PIECES is in each reading, those that overlap too: readings by pieces."""
    at = np.flatnonzero(np.frombuffer(batch.joined.translate(_IS_RARE), bool))
    keys = np.empty((3, len(at)), np.uint32)
    keys[0] = batch.fours[at] & _THREE_BYTES
    keys[1] = keys[0] & _TWO_BYTES | _OF_TWO
    keys[2] = batch.fours[at - 1] & _THREE_BYTES | _FROM_BEFORE
    places = np.minimum(np.searchsorted(_KEYS, keys.ravel()), len(_KEYS) - 1)
    found = np.flatnonzero(_KEYS[places] == keys.ravel())
    counted = batch.owners[at[found % max(1, len(at))]] * len(PIECES) + _BY_KEY[places[found]]
    out = np.bincount(counted, minlength=len(batch.readings) * len(PIECES)).reshape(-1, len(PIECES))
    out[:, -1] = [reading.text.count(PIECES[-1]) for reading in batch.readings]
    return out


def _take_lengths(reading: Reading, number: int, lines: int, sentences: int, classes: list[int]) -> list[float]:
    text, first_break = reading.text, reading.text.find("\n")
    size = max(1, len(reading.data))
    spaces, digits, capitals, small, beyond = classes
    return [
        math.log1p(reading.characters),
        math.log1p(number),
        math.log(lines),
        math.log(sentences),
        (capitals + small) / max(1, number),
        math.log1p(number / sentences),
        math.log1p(reading.distinct) / math.log(reading.words + 2),
        math.log1p(size / lines),
        math.sqrt(capitals / size),
        math.sqrt(digits / size),
        spaces / size,
        math.sqrt(lines / size),
        math.sqrt(beyond / size),
        math.log1p(first_break if first_break >= 0 else len(text)),
        math.log1p(len(text) - text.rfind("\n")),
        math.log1p(capitals) - math.log1p(number),
        math.log1p(capitals) - math.log(sentences),
    ]


def _look_at_ends(text: str) -> list[float]:
    first = text[:1]
    last = text.rstrip()[-1:]
    return [
        float(first.isupper()), float(first.isdigit()), float(bool(first) and not first.isalnum()),
        float(last == "."), float(last.isalpha()), float(bool(last) and not last.isalnum() and last not in ".?"), float(last == "?"),
    ]  # fmt: skip
