"""The beat: a timer that comes forty times a second, and is late by what else the event loop did without a pause.

A call in flight cannot tell from its own times whether it waited for its upstream or for its turn; this can.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

EVERY_S = 0.025  # a pause is seen to be up to so much shorter than it was; each beat wakes an idle process, which takes some 0.1 ms of CPU


class Beat:
    """Measures how long the event loop stood still at most."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._worst_s = 0.0
        self._due = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, loop: asyncio.AbstractEventLoop) -> None:
        """Strike from now on, until `end`."""
        self._due = self._clock() + EVERY_S
        self._timer = loop.call_later(EVERY_S, self._strike, loop)

    def end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def take_worst_ns(self) -> int:
        """The longest pause since this was asked last."""
        worst_s, self._worst_s = self._worst_s, 0.0
        return round(worst_s * 1e9)

    def _strike(self, loop: asyncio.AbstractEventLoop) -> None:
        self._worst_s = max(self._worst_s, self._clock() - self._due)
        self.begin(loop)
