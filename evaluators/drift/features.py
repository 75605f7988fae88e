"""What is measured of one answer's text: lengths, structure and the rates of characters, as one vector.

Every figure is cheap (one pass of C code each) and on a scale where one answer's step is of the size of another's: logarithms of counts,
square roots of rates.
"""

from __future__ import annotations

import math

import numpy as np

from evaluators.drift.reading import Reading

MARKS = ".,;:!?'\"()-*`#_/{}[]=+\\|$<>%&@~^"
PIECES = ("**", "\n\n", "\n#", "\n- ", "\n* ", "\n1.", "\n  ", " - ", "\u2014", "\\n", "n't", "'s ", ", and ")
_MARK_CODES = np.array([ord(mark) for mark in MARKS])

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
_ENDS_AT = len(LENGTHS)
_MARKS_AT = _ENDS_AT + len(ENDS)
_PIECES_AT = _MARKS_AT + len(MARKS)


def measure(reading: Reading) -> np.ndarray:
    """The vector of NAMES."""
    text, size = reading.text, max(1, len(reading.data))
    histogram = np.bincount(reading.data, minlength=256)
    out = np.empty(len(NAMES))
    out[:_ENDS_AT] = _take_lengths(reading, histogram)
    out[_ENDS_AT:_MARKS_AT] = _look_at_ends(text)
    out[_MARKS_AT:_PIECES_AT] = histogram[_MARK_CODES]
    out[_PIECES_AT:] = [text.count(piece) for piece in PIECES]
    out[_MARKS_AT:] *= 1000.0 / size
    np.sqrt(out[_MARKS_AT:], out=out[_MARKS_AT:])
    return out


def _take_lengths(reading: Reading, histogram: np.ndarray) -> list[float]:
    text, size, number = reading.text, max(1, len(reading.data)), len(reading.words)
    classes = np.add.reduceat(histogram, (0, 32, 33, 48, 58, 65, 91, 97, 123, 128)).tolist()
    spaces, digits, capitals, small, beyond = classes[1], classes[3], classes[5], classes[7], classes[9]
    lines = int(histogram[10]) + 1
    sentences = int(histogram[46]) + int(histogram[33]) + int(histogram[63]) + 1
    return [
        math.log1p(len(reading.whole)),
        math.log1p(number),
        math.log(lines),
        math.log(sentences),
        (capitals + small) / max(1, number),
        math.log1p(number / sentences),
        math.log1p(len(set(reading.words))) / math.log(number + 2),
        math.log1p(size / lines),
        math.sqrt(capitals / size),
        math.sqrt(digits / size),
        spaces / size,
        math.sqrt(lines / size),
        math.sqrt(beyond / size),
        math.log1p(text.find("\n") if lines > 1 else len(text)),
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
