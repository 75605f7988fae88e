"""What is measured of a prompt: a few counts, enough to say whether the input moved when the output did."""

from __future__ import annotations

import math

import numpy as np

NAMES = ("length", "spaces", "lines", "questions", "commas", "brackets", "full stops", "quotes")
_MARKS = (" ", "\n", "?", ",", "{", ".", '"')
# The rest of a long prompt counts by its length only.
_READ_CHARACTERS = 4_000
_NOTHING = np.full(len(NAMES), math.nan)


def measure(prompt: str | None) -> np.ndarray:
    """The vector of NAMES, as logarithms of one plus the count; not numbers where the prompt is not known."""
    if prompt is None:
        return _NOTHING
    read = prompt[:_READ_CHARACTERS]
    return np.log1p(np.array([len(prompt), *map(read.count, _MARKS)], float))
