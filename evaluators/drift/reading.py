"""One answer, read once: what features, flags and fingerprint all look at, cut to a bounded size."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from evaluators.drift.words import LANGUAGE_OF, LANGUAGES, STYLE_WORDS

# A longer text is read at both ends only, so that the cost is bounded; its length is taken whole.
HEAD_CHARACTERS = 12_000
TAIL_CHARACTERS = 4_000

# Places count from one, so that a word without a place can be dropped as nothing.
_STYLE = len(STYLE_WORDS) + 1
_LANGUAGE_PLACES = {name: _STYLE + index for index, name in enumerate(LANGUAGES)}
# One look-up a word: style words stand first, and a word that votes for a language (and is none of those) in its language's place.
_PLACES = {word: _LANGUAGE_PLACES[name] for word, name in LANGUAGE_OF.items()} | {word: index for index, word in enumerate(STYLE_WORDS, 1)}
_ENGLISH_VOTES = np.array([index for index, word in enumerate(STYLE_WORDS, 1) if LANGUAGE_OF.get(word) == "en"])
_LEAST_FOREIGN_WORDS = 5


@dataclass(frozen=True, slots=True)
class Reading:
    """`text` as cut, `whole` as it came; `data` the text's bytes in UTF-8, `words` in lower case, `style` how often each style word stands in it."""

    text: str
    whole: str
    data: np.ndarray
    words: list[str]
    style: np.ndarray
    is_foreign: bool


def read(whole: str) -> Reading:
    text = whole
    if len(whole) > HEAD_CHARACTERS + TAIL_CHARACTERS:
        text = whole[:HEAD_CHARACTERS] + "\n" + whole[-TAIL_CHARACTERS:]
    words = text.lower().split()
    tally = np.bincount(np.array(list(filter(None, map(_PLACES.get, words))), np.intp), minlength=_STYLE + len(LANGUAGES))
    most = int(tally[_STYLE:].max())
    foreign = most >= _LEAST_FOREIGN_WORDS and most > tally[_STYLE] + tally[_ENGLISH_VOTES].sum()
    data = np.frombuffer(text.encode("utf-8", "replace"), np.uint8)
    return Reading(text, whole, data, words, tally[1:_STYLE], bool(foreign))
