"""An event loop whose time passes only when nothing is left to do: hours of waiting in no time."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any

START_NS = 1_800_000_000_000_000_000
S = 1_000_000_000


class _Selector(selectors.DefaultSelector):  # type: ignore[misc, valid-type]
    loop: VirtualLoop

    def select(self, timeout: float | None = None) -> list:
        if timeout is None:
            raise AssertionError("everybody waits, and nothing will ever happen")
        self.loop.passed_s += max(timeout, 1e-6) if timeout else 0.0
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        selector = _Selector()
        selector.loop = self
        self.passed_s = 0.0
        super().__init__(selector)

    def time(self) -> float:
        return self.passed_s

    def now_ns(self) -> int:
        """The wall clock that goes with it."""
        return START_NS + int(self.passed_s * S)


def clock() -> int:
    """The wall clock of the running loop."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    return loop.now_ns()


def run_virtually(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run it to its end in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(coroutine)
