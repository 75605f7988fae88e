"""The cadence of an agent: when it usually calls, how long it usually pauses, and so how long a silence is no more usual.

What is learned of each agent, from the beginnings and ends of its calls and nothing else:

    hours    on how many days it called within each hour of the day (UTC), for working days and for weekends apart. An hour in which it called
             on less than a quarter of those days is a quiet one: time that passes in it does not count as silence.
    pauses   the last 64 times it made no call for a minute or longer, less the quiet hours within.

Its limit is twice the pause that 95 of 100 of these stay under, and five minutes at least; while it is silent, the quiet hours that pass are added.
So an agent of office hours pages nobody at night or at weekends, and one long outage does not stretch the limit. A limit holds after
20 calls, and a few days of watching (`fleet.learn_days`), so that a first night is no silence.

What it does not know: holidays, the hour by which summer time moves an agent's day (for some days that hour counts as it was), a change of plans,
and agents that call on fewer than one day in four at any hour: these have no limit unless the config gives them one. One
that was silent for four weeks has left. Days older than eight weeks count less and less.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence

HOUR_S, DAY_S = 3600, 86400
PAUSE_S = 60.0  # shorter ones tell nothing of silence
PAUSES = 64
GONE_S = 28 * DAY_S  # who is silent for longer has left
CELLS = 48  # hours of a working day, then of a day of the weekend
_LEAST_CALLS = 20
_LEAST_DAYS = 2  # of a kind, to know its hours
_QUIET_SHARE = 0.25
_QUANTILE = 0.95
_MARGIN = 2.0
_LEAST_S = 300.0
_WINDOW_DAYS = 56
_WORKING, _WEEKEND = range(24), range(24, CELLS)


class Cadence:
    """Of one agent. Times are seconds since the Unix epoch."""

    __slots__ = ("calls", "cells", "first_s", "hour", "last_s", "pauses", "since_day")

    def __init__(self, first_s: float) -> None:
        self.first_s = first_s
        self.last_s = first_s  # the newest sign of life: a call's beginning or end
        self.calls = 0
        self.hour = -1  # the newest in which a call began, since the epoch
        self.since_day = int(first_s // DAY_S)  # of what stands in `cells`
        self.cells = bytearray(CELLS)  # days with a call in this hour
        self.pauses: deque[tuple[float, float]] = deque(maxlen=PAUSES)

    def note(self, began_s: float, ended_s: float) -> None:
        """A call was made. Calls come by their ends: one that began before the last sign of life ends no pause."""
        self.calls += 1
        hour = int(began_s // HOUR_S)
        if hour > self.hour:
            self.hour = hour
            self._mark(hour)
        if began_s - self.last_s >= PAUSE_S:
            self.pauses.append((self.last_s, began_s))
        if ended_s > self.last_s:
            self.last_s = ended_s

    def _mark(self, hour: int) -> None:
        day = hour // 24
        if day - self.since_day > _WINDOW_DAYS:
            self.since_day = day - _WINDOW_DAYS // 2
            self.cells = bytearray(count // 2 for count in self.cells)
        cell = find_cell(hour)
        self.cells[cell] = min(self.cells[cell] + 1, 255)

    def find_quiet(self) -> list[bool]:
        """By cell: whether the agent usually made no call then, as long as it called at all.

        A kind of day that is not known yet is taken for quiet where the other kind has quiet hours.
        """
        working, weekend = count_days(self.since_day, int(self.last_s // DAY_S))
        quiet = [False] * CELLS
        for cells, days in ((_WORKING, working), (_WEEKEND, weekend)):
            for cell in cells:
                quiet[cell] = days >= _LEAST_DAYS and self.cells[cell] < _QUIET_SHARE * days
        for cells, others, days in ((_WORKING, _WEEKEND, working), (_WEEKEND, _WORKING, weekend)):
            if days < _LEAST_DAYS and any(quiet[cell] for cell in others):
                for cell in cells:
                    quiet[cell] = not self.cells[cell]
        return quiet

    def learn(self, learn_s: float, quiet: Sequence[bool]) -> float | None:
        """The limit in seconds without quiet hours; None while it is not known. `learn_s`: how long it must have been watched."""
        if self.calls < _LEAST_CALLS or self.last_s - self.first_s < learn_s or all(quiet):
            return None
        lengths = sorted(length for pause in tuple(self.pauses) if (length := measure(*pause, quiet)) >= PAUSE_S)
        if not lengths:
            return _LEAST_S
        return max(_LEAST_S, _MARGIN * lengths[math.ceil(_QUANTILE * len(lengths)) - 1])


def find_cell(hour: int) -> int:
    """The cell of an hour since the epoch, which began on a Thursday."""
    return hour % 24 + (24 if (hour // 24 + 3) % 7 >= 5 else 0)


def count_days(first: int, last: int) -> tuple[int, int]:
    """(working days, days of weekends) from a day since the epoch to another one, both included."""
    weeks, rest = divmod(last - first + 1, 7)
    weekend = 2 * weeks + sum((day + 3) % 7 >= 5 for day in range(last - rest + 1, last + 1))
    return last - first + 1 - weekend, weekend


def measure(began_s: float, ended_s: float, quiet: Sequence[bool]) -> float:
    """Seconds between two moments, without quiet hours."""
    began_s = max(began_s, ended_s - GONE_S)
    passed, at_s = 0.0, began_s
    while at_s < ended_s:
        hour = int(at_s // HOUR_S)
        until_s = min((hour + 1) * HOUR_S, ended_s)
        if not quiet[find_cell(hour)]:
            passed += until_s - at_s
        at_s = until_s
    return passed
