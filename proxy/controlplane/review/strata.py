"""The stratified sample: of the ordinary calls of every agent and type of task a share, at random, and the first call of each for certain.

In each stratum calls come in blocks of about one over the share, and of each block so many are taken that the whole keeps to the share, at places
drawn at random (Knuth, The Art of Computer Programming, 3.4.2, algorithm S). So a rare agent gets its part as a busy one does; every place in
an agent's rhythm is as likely as any other; and the number taken never differs by three from the share of the calls behind the first one.
"""

from __future__ import annotations

import math
import random
import re
from collections import OrderedDict
from collections.abc import Callable

import msgspec

MOST_STRATA = 10_000  # the one that was met longest ago is forgotten
_PART = re.compile(r"[^\W_]+")


class Block(msgspec.Struct, gc=False):
    """Where a stratum stands in its block."""

    carry: float  # what is due beyond whole calls
    places: int = 0  # calls still to come …
    due: int = 0  # … and those of them that are to be taken


class Strata:
    """Decides call by call. For one thread."""

    def __init__(self, draw: Callable[[], float] = random.random) -> None:
        self._draw = draw
        self._blocks: OrderedDict[tuple[str, str], Block] = OrderedDict()

    def choose(self, agent: str, task: str | None, share: float) -> float:
        """The probability with which a call like this one is taken, where it is; 0 where it is not."""
        if share <= 0:
            return 0.0
        stratum = (agent, name_type(task))
        block = self._blocks.get(stratum)
        if block is None:
            if len(self._blocks) == MOST_STRATA:
                self._blocks.popitem(last=False)
            self._blocks[stratum] = Block(self._draw())
            return 1.0
        self._blocks.move_to_end(stratum)
        if not block.places:
            block.places = math.ceil(1 / share)
            whole = block.carry + block.places * share
            block.due = min(int(whole), block.places)
            block.carry = whole - block.due
        is_taken = self._draw() * block.places < block.due
        block.places -= 1
        block.due -= is_taken
        return share if is_taken else 0.0


def name_type(task: str | None) -> str:
    """What kind of task it is: its name, where each part with a digit in it (a number, a date, a UUID) is `#`."""
    return _PART.sub(lambda part: "#" if any(letter.isdigit() for letter in part[0]) else part[0].lower(), task or "")
