"""Brings notices to one channel, in a thread of its own, so that a receiver that is dead or slow holds up nothing else.

Of each alert name the newest notice waits and no other, for it says all that is to be said of that name: so what waits is bounded by the
number of alerts there are. What fails is tried again, later and later; what was tried often enough, or is refused for good, is dropped and
counted, and after a rest the notifier offers what then holds. What was over before it could be told is counted as well (`outdated`).
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from proxy.controlplane.notices.told import Notice

log = logging.getLogger("weighbridge.notices")
_FIRST_PAUSE_S = 1.0
MOST_PAUSE_S = 300.0
_MOST_TRIES = 10  # over some eight and a half minutes
REST_S = 300.0
DROPS = ("unreachable", "refused", "outdated", "failed")


class NotDelivered(Exception):
    """A notice that did not reach its receiver: why, in words without any secret; as what it is dropped, if it never will; when to try again."""

    def __init__(self, message: str, final: str | None = None, wait_s: float | None = None) -> None:
        super().__init__(message)
        self.final = final  # one of DROPS
        self.wait_s = wait_s


class _Waiting:
    __slots__ = ("due_s", "notice", "tries")

    def __init__(self, notice: Notice) -> None:
        self.notice = notice
        self.tries = 0
        self.due_s = 0.0


class Outbox:
    """One channel's. `send` raises `NotDelivered`; `delivered` is called in the thread of the outbox."""

    def __init__(
        self,
        name: str,
        send: Callable[[Notice], None],
        delivered: Callable[[Notice], None],
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self._send = send
        self._delivered = delivered
        self._clock_s = clock_s
        self._turn = threading.Condition()
        self._waiting: dict[str, _Waiting] = {}
        self._resting: dict[str, float] = {}
        self._sending: str | None = None
        self._is_closed = False
        self.sent = 0
        self.dropped: dict[str, int] = dict.fromkeys(DROPS, 0)

    def offer(self, notice: Notice) -> None:
        """Take a notice in the place of an older one of its name; not while that is on its way, nor soon after one was dropped."""
        with self._turn:
            if notice.name == self._sending or self._clock_s() < self._resting.get(notice.name, 0.0):
                return
            waiting = self._waiting.setdefault(notice.name, _Waiting(notice))
            waiting.notice = notice
            self._turn.notify()

    def withdraw(self, names: set[str]) -> None:
        """Let go what waits and is none of these: what it tells of was over before it could be told."""
        with self._turn:
            for name in self._waiting.keys() - names:
                del self._waiting[name]
                self.dropped["outdated"] += 1

    def close(self) -> None:
        """End the thread, once what it sends has come to an end."""
        with self._turn:
            self._is_closed = True
            self._turn.notify()

    def run(self) -> None:
        """Send what waits until closed."""
        while (wait_s := self.step()) is not None:
            with self._turn:
                if not self._is_closed and not any(one.due_s <= self._clock_s() for one in self._waiting.values()):
                    self._turn.wait(wait_s)

    def step(self) -> float | None:
        """Send what is due, one notice at most; how long to wait for the next, or None at the end."""
        with self._turn:
            if self._is_closed:
                return None
            now_s = self._clock_s()
            due = min(self._waiting.values(), key=lambda one: one.due_s, default=None)
            if due is None or due.due_s > now_s:
                return MOST_PAUSE_S if due is None else due.due_s - now_s
            self._sending = due.notice.name
            del self._waiting[due.notice.name]
        error = self._try(due.notice)
        with self._turn:
            self._sending = None
        if error is not None:
            self._put_off(due, error)
        return 0.0

    def _try(self, notice: Notice) -> NotDelivered | None:
        """Send it; why that was not done. A defect of ours costs this notice, and neither the channel nor the others."""
        try:
            self._send(notice)
        except NotDelivered as error:
            return error
        except Exception:
            log.exception("the notice of %s could not be made for %s", notice.name, self.name)
            return NotDelivered("a defect, see above", "failed")
        self._delivered(notice)
        self.sent += 1
        return None

    def _put_off(self, due: _Waiting, error: NotDelivered) -> None:
        """Try again later, or give it up."""
        name, now_s = due.notice.name, self._clock_s()
        due.tries += 1
        if error.final is not None or due.tries >= _MOST_TRIES:
            self.dropped[error.final or "unreachable"] += 1
            log.error("the notice of %s was not brought to %s and is given up: %s", name, self.name, error)
            with self._turn:
                self._resting[name] = now_s + REST_S
            return
        pause_s = _FIRST_PAUSE_S * 2 ** (due.tries - 1) if error.wait_s is None else error.wait_s
        due.due_s = now_s + min(pause_s, MOST_PAUSE_S)
        if due.tries == 1:
            log.warning("the notice of %s was not brought to %s and is tried again: %s", name, self.name, error)
        with self._turn:
            self._waiting[name] = due
