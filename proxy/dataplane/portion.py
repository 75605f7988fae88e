"""Which calls are handed over to be inspected: a share of them, and never more than so many a second."""

from __future__ import annotations

import random
from collections.abc import Callable

from proxy.inspecting import Evaluators

_BURST_NS = 1_000_000_000  # calls of so much time may come at once
_MADE = frozenset({"chat", "text_completion", "generate_content"})  # operations whose answers a model writes


class Portion:
    """Decides call by call; what is not taken costs two comparisons."""

    def __init__(self, evaluators: Evaluators, draw: Callable[[], float] = random.random) -> None:
        self._draw = draw
        self._due_ns = 0  # when all that was taken so far would have been taken at an even pace
        self.configure(evaluators)

    def configure(self, evaluators: Evaluators) -> None:
        """Take other settings."""
        self._share = evaluators.share
        self._pace_ns = int(1e9 / evaluators.per_second) if evaluators.per_second > 0 and evaluators.share > 0 else 0

    def takes(self, operation: str, now_ns: int) -> bool:
        """Whether a call is one of those; if so, it counts."""
        if not self._pace_ns or operation not in _MADE or self._due_ns > now_ns + _BURST_NS:
            return False
        if self._share < 1 and self._draw() >= self._share:
            return False
        self._due_ns = max(self._due_ns, now_ns) + self._pace_ns
        return True
