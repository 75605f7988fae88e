"""One answer, read once: what features, flags and fingerprint all look at, cut to a bounded size; and some of them side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from evaluators.drift.words import LANGUAGE_OF, LANGUAGES, STYLE_WORDS

# A longer text is read at both ends only, so that the cost is bounded; its length is taken whole.
HEAD_CHARACTERS = 12_000
TAIL_CHARACTERS = 4_000
# Words are made of the beginning only: they cost most, and more of them tell no more.
WORD_CHARACTERS = 1_000

# Places count from one, so that a word without a place can be dropped as nothing.
_STYLE = len(STYLE_WORDS) + 1
_LANGUAGE_PLACES = {name: _STYLE + index for index, name in enumerate(LANGUAGES)}
# One look-up a word: style words stand first, and a word that votes for a language (and is none of those) in its language's place.
_PLACES = {word: _LANGUAGE_PLACES[name] for word, name in LANGUAGE_OF.items()} | {word: index for index, word in enumerate(STYLE_WORDS, 1)}
_ENGLISH_VOTES = np.array([index for index, word in enumerate(STYLE_WORDS, 1) if LANGUAGE_OF.get(word) == "en"])
_PLACES_END = _STYLE + len(LANGUAGES)
_LEAST_FOREIGN_WORDS = 5
_PADDING = bytes(4)  # so that four can be taken at once from every place


class Reading(NamedTuple):
    """`text` as cut, `characters` how many there were; `data` the text's bytes in UTF-8. Of the words among the first WORD_CHARACTERS: their
    number, how many `distinct` ones in lower case, and `found`, the places of those that are looked for, one byte each."""

    text: str
    characters: int
    data: bytes
    words: int
    distinct: int
    found: bytes
    is_foreign: bool


class Batch(NamedTuple):
    """Readings whose bytes lie behind each other in `joined`, four zeros after each. `data` are these as numbers, `fours` the numbers that four of
    them from each place on make; `owners` says whose each is, `sizes` how many each has without the zeros, `begins` and `ends` where."""

    readings: Sequence[Reading]
    joined: bytes
    data: np.ndarray
    fours: np.ndarray
    owners: np.ndarray
    sizes: np.ndarray
    begins: np.ndarray
    ends: np.ndarray


def read(whole: str) -> Reading:
    text = whole
    if len(whole) > HEAD_CHARACTERS + TAIL_CHARACTERS:
        text = whole[:HEAD_CHARACTERS] + "\n" + whole[-TAIL_CHARACTERS:]
    words = text[:WORD_CHARACTERS].lower().split()
    found = bytes(filter(None, map(_PLACES.get, words)))
    # Few texts have a word of another language, so that votes are seldom counted.
    foreign = bool(found) and max(found) > _STYLE and _votes_foreign(found)
    return Reading(text, len(whole), text.encode("utf-8", "replace"), len(words), len(set(words)), found, foreign)


def _votes_foreign(found: bytes) -> bool:
    tally = np.bincount(np.frombuffer(found, np.uint8), minlength=_PLACES_END)
    most = tally[_STYLE:].max()
    return bool(most >= _LEAST_FOREIGN_WORDS and most > tally[_STYLE] + tally[_ENGLISH_VOTES].sum())


def gather(readings: Sequence[Reading]) -> Batch:
    """Readings side by side; at least one."""
    joined = _PADDING.join([*(reading.data for reading in readings), b""])
    fours = np.ndarray(len(joined) - 3, "<u4", joined, strides=(1,))
    sizes = np.array([len(reading.data) for reading in readings])
    padded = sizes + len(_PADDING)
    ends = np.cumsum(padded) - len(_PADDING)
    owners = np.repeat(np.arange(len(readings), dtype=np.uint32), padded)
    return Batch(readings, joined, np.frombuffer(joined, np.uint8), fours, owners, sizes, ends - sizes, ends)


def tally_style(batch: Batch) -> np.ndarray:
    """How often each of STYLE_WORDS stands in each reading."""
    found = np.frombuffer(b"".join([reading.found for reading in batch.readings]), np.uint8)
    owners = np.repeat(np.arange(len(batch.readings)) * _PLACES_END, [len(reading.found) for reading in batch.readings])
    return np.bincount(owners + found, minlength=len(batch.readings) * _PLACES_END).reshape(-1, _PLACES_END)[:, 1:_STYLE]
