"""The allowance: how much of each second drift may work, so that traffic beyond all measure costs answers that go unseen, and no core."""

from __future__ import annotations

import time
from collections.abc import Callable

SHARE = 0.25  # of a second
_WINDOW_S = 1.0


class Allowance:
    """Belongs to one thread. `clock` goes on while the thread waits, `worked` tells how long it has worked; both in seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, worked: Callable[[], float] = time.thread_time) -> None:
        self._clock = clock
        self._worked = worked
        self._began = clock()
        self._spent_s = 0.0
        self._from = 0.0

    def begin(self) -> bool:
        """Whether there is any left; then `end` tells when the work is done."""
        now = self._clock()
        if now - self._began >= _WINDOW_S:
            self._began, self._spent_s = now, 0.0
        self._from = self._worked()
        return self._spent_s < SHARE * _WINDOW_S

    def end(self) -> None:
        self._spent_s += self._worked() - self._from
