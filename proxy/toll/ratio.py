"""How much of an estimate comes true: the ratio of recent actual figures to their estimates."""

from __future__ import annotations

_KEPT = 15 / 16  # of what was known, at each new observation
_LEAST, _MOST = 1 / 1024, 8.0


class Ratio:
    """Sums that fade. It begins at 1, and believes that less the more it has seen."""

    __slots__ = ("_actual", "_estimated", "value")

    def __init__(self) -> None:
        self._actual = self._estimated = 0.0
        self.value = 1.0

    def learn(self, estimated: float, actual: float) -> None:
        """Take in what came of an estimate (greater than 0)."""
        if not self._estimated:
            self._actual = self._estimated = estimated / 4
        self._actual = self._actual * _KEPT + actual
        self._estimated = self._estimated * _KEPT + estimated
        self.value = min(max(self._actual / self._estimated, _LEAST), _MOST)
