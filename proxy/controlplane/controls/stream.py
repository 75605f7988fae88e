"""A stream: one control's view of one name, from counting over an order that holds to counting anew.

No flapping: what is found while the order holds does not count, so afterwards it takes a whole window of new calls to act again, and one that
acts again soon holds twice as long.
"""

from __future__ import annotations

from proxy.controlplane.controls.window import Window
from proxy.controls import Control

_SOON = 2.0  # within so many times the last length, after its end
_MOST_LENGTHS = 16  # of `for_s`


class Stream:
    """Times are seconds of any clock."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self._window = Window(control)
        self._length_s = 0.0  # of the last order
        self._until_s = 0.0  # when it ends, or would have

    def note(self, id: str, found: str | None, now_s: float) -> str | None:
        """Count an inspected call; why to act now, if that is so."""
        if self.is_holding(now_s):
            return None
        self._window.note(id, found, now_s)
        return self._window.judge(now_s)

    def is_holding(self, now_s: float) -> bool:
        """Whether its order holds, or would if nobody had lifted it."""
        return now_s < self._until_s

    def find_start(self, now_s: float) -> float:
        """When the oldest of the calls was counted that speak for acting now."""
        return self._window.find_start(now_s)

    def choose_length(self, now_s: float) -> float:
        """For how many seconds an order that is given now is to hold."""
        is_soon = self._length_s > 0 and now_s - self._until_s <= _SOON * self._length_s
        return min(2 * self._length_s, _MOST_LENGTHS * self._control.for_s) if is_soon else self._control.for_s

    def hold(self, now_s: float, length_s: float) -> None:
        """An order has been given."""
        self._length_s, self._until_s = length_s, now_s + length_s

    def begin_anew(self) -> None:
        """Count from nothing, whatever has come of it."""
        self._window = Window(self._control)
