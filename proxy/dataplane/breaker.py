"""The circuit breaker of one upstream, or of one of its keys.

    closed     calls go through; where `share` of those in the window failed, and there were `least_calls` of them, it opens
    open       none goes through for `open_s`
    half-open  one goes through at a time, to see: if it succeeds the breaker closes, if it fails it is open again, twice as long

Whoever enters gets a ticket and gives it back with what has become of the call. A ticket of an earlier state tells nothing any more.
"""

from __future__ import annotations

from proxy.dataplane.window import Window
from proxy.routes import Breaker as Settings

_PROBING_S = 1.0  # what those are told to wait who come while a call is out to see


class Breaker:
    """Times are seconds of one clock that never goes back."""

    __slots__ = ("opened", "_calls", "_failures", "_is_open", "_open_s", "_probe", "_settings", "_state", "_until_s")

    def __init__(self, settings: Settings) -> None:
        self.opened = 0  # how often it has opened
        self._settings = settings
        self._calls = Window(settings.window_s)
        self._failures = Window(settings.window_s)
        self._is_open = False
        self._until_s = 0.0
        self._open_s = settings.open_s
        self._state = 0  # grows with every change: a ticket is the state it was given in
        self._probe = False  # one is out to see

    def wait_s(self, now_s: float) -> float:
        """How long it is until a call may go through; 0: now."""
        if not self._is_open:
            return 0.0
        if now_s < self._until_s:
            return self._until_s - now_s
        return _PROBING_S if self._probe else 0.0

    def state(self, now_s: float) -> int:
        """0 closed, 1 half open, 2 open."""
        if not self._is_open:
            return 0
        return 2 if now_s < self._until_s else 1

    def enter(self) -> int:
        """Let a call through that `wait_s` had nothing against. Its ticket."""
        if self._is_open:
            self._probe = True
        return self._state

    def leave(self, ticket: int, is_failure: bool | None, now_s: float) -> None:
        """What has become of a call; None: nothing that says anything of the upstream."""
        settings = self._settings
        if ticket != self._state or not settings.share:
            return
        if self._is_open:
            self._probe = False
            if is_failure:
                self._open_s = min(self._open_s * 2, settings.most_open_s)
                self._open(now_s)
            elif is_failure is False:
                self._close()
        elif is_failure is not None:
            self._calls.add(now_s)
            if is_failure:
                self._failures.add(now_s)
                calls = self._calls.sum(now_s)
                if calls >= settings.least_calls and self._failures.sum(now_s) >= settings.share * calls:
                    self._open(now_s)

    def _open(self, now_s: float) -> None:
        self.opened += 1
        self._state += 1
        self._is_open = True
        self._until_s = now_s + self._open_s

    def _close(self) -> None:
        self._state += 1
        self._is_open = False
        self._open_s = self._settings.open_s
        self._calls.clear()
        self._failures.clear()
