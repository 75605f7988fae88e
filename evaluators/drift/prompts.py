"""What is measured of a prompt: a few counts, enough to say whether the input moved when the output did."""

from __future__ import annotations

import math

NAMES = ("length", "spaces", "lines", "questions", "commas", "brackets", "full stops", "quotes")
_MARKS = (" ", "\n", "?", ",", "{", ".", '"')
# The rest of a long prompt counts by its length only.
_READ_CHARACTERS = 4_000
_NOTHING = [math.nan] * len(NAMES)


def measure(prompt: str | None) -> list[float]:
    """The vector of NAMES, as logarithms of one plus the count; not numbers where the prompt is not known."""
    if prompt is None:
        return _NOTHING
    read = prompt[:_READ_CHARACTERS]
    return list(map(math.log1p, (len(prompt), *map(read.count, _MARKS))))
