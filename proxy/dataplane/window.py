"""How often something happened in the last seconds, counted by whole seconds."""

from __future__ import annotations


class Window:
    """Counts over the current second and the `seconds` - 1 before it. Times are seconds of one clock that never goes back."""

    __slots__ = ("_counts", "_second", "_total")

    def __init__(self, seconds: int) -> None:
        self._counts = [0] * seconds
        self._second = 0
        self._total = 0

    def add(self, now_s: float) -> None:
        """It happened once more."""
        second = int(now_s)
        if second != self._second:
            self._pass(second)
        self._counts[second % len(self._counts)] += 1
        self._total += 1

    def sum(self, now_s: float) -> int:
        """How often it happened."""
        second = int(now_s)
        if second != self._second:
            self._pass(second)
        return self._total

    def clear(self) -> None:
        """Forget all of it."""
        self._counts = [0] * len(self._counts)
        self._total = 0

    def _pass(self, second: int) -> None:
        """Drop what is older than the window."""
        size = len(self._counts)
        if second - self._second >= size:
            self.clear()
        else:
            for past in range(self._second + 1, second + 1):
                self._total -= self._counts[past % size]
                self._counts[past % size] = 0
        self._second = second
