"""The stratified sample: of the ordinary calls of every agent and type of task a share, at random, and the first call of each for certain.

In each stratum what is due grows by the share with each call, and a call is taken with the probability that is due; then one less is. So after n
calls behind the first one the number taken differs from n times the share by less than one, at random places: a rare agent gets its part as a
busy one does, and no rhythm of an agent's work can hide from the sample.
"""

from __future__ import annotations

import random
import re
from collections import OrderedDict
from collections.abc import Callable

MOST_STRATA = 10_000  # the one that was met longest ago is forgotten
_PART = re.compile(r"[^\W_]+")


class Strata:
    """Decides call by call. For one thread."""

    def __init__(self, draw: Callable[[], float] = random.random) -> None:
        self._draw = draw
        self._due: OrderedDict[tuple[str, str], float] = OrderedDict()

    def choose(self, agent: str, task: str | None, share: float) -> float:
        """The probability with which a call like this one is taken, where it is; 0 where it is not."""
        if share <= 0:
            return 0.0
        stratum = (agent, name_type(task))
        due = self._due.get(stratum)
        if due is None:
            if len(self._due) == MOST_STRATA:
                self._due.popitem(last=False)
            self._due[stratum] = 0.0
            return 1.0
        due += share
        is_taken = self._draw() < due
        self._due[stratum] = due - is_taken
        self._due.move_to_end(stratum)
        return share if is_taken else 0.0


def name_type(task: str | None) -> str:
    """What kind of task it is: its name, where each part with a digit in it (a number, a date, a UUID) is `#`."""
    return _PART.sub(lambda part: "#" if any(letter.isdigit() for letter in part[0]) else part[0].lower(), task or "")
