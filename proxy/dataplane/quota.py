"""The quota of further attempts at one upstream, so that one that is down is not hammered by those who try again.

In any minute there are at most `share` times as many further attempts as there were calls, or `least` where that is more.
"""

from __future__ import annotations

from proxy.dataplane.window import Window

_MINUTE = 60


class Quota:
    """Counts the calls of an upstream and the further attempts at it."""

    __slots__ = ("refused", "_calls", "_least", "_share", "_taken")

    def __init__(self, share: float, least: int) -> None:
        self.refused = 0  # attempts that were not made for it
        self._share = share
        self._least = least
        self._calls = Window(_MINUTE)  # a minute at most …
        self._taken = Window(_MINUTE + 1)  # … and a minute at least: seconds are counted whole

    def count(self, now_s: float) -> None:
        """A call has come."""
        self._calls.add(now_s)

    def take(self, now_s: float) -> bool:
        """Whether one more attempt may be made; then it counts."""
        if self._taken.sum(now_s) + 1 > max(self._least, self._share * self._calls.sum(now_s)):
            self.refused += 1
            return False
        self._taken.add(now_s)
        return True
