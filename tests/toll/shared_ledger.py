"""A `Ledger` for tests whose decisions are the arbiter's: the suite of the ledger drives `Central` and a real Redis through it.

An event loop in a thread of its own keeps the talk up while a test goes on, step by step.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Coroutine, Iterator
from typing import Any, TypeVar

from proxy.rules import Budget
from proxy.rules import Ledger as Settings
from proxy.toll import arbiter
from proxy.toll.central import Central
from proxy.toll.ledger import Ledger
from proxy.toll.subject import Subject
from proxy.toll.terms import Grant, Room, Shortage, Weight
from tests.toll.redis_server import RedisServer

_Value = TypeVar("_Value")
LOOP = asyncio.new_event_loop()
threading.Thread(target=LOOP.run_forever, name="arbiter-loop", daemon=True).start()


def run(work: Coroutine[Any, Any, _Value]) -> _Value:
    return asyncio.run_coroutine_threadsafe(work, LOOP).result(30)


class SharedLedger(Ledger):
    """Talks to `url` from its first decision on; `close` ends that."""

    url = ""
    plane = "one"
    talking: list[Central] = []

    def __init__(self, budgets: list[Budget]) -> None:
        super().__init__(budgets)
        self.central: Central | None = None
        self.cells.write_kept = lambda id: "-"  # type: ignore[method-assign]  # tests have a clock of their own, and Redis has not

    def join(self) -> Central:
        if self.central is None:
            plain = Ledger.__new__(Ledger)
            plain.__dict__ = self.__dict__  # the same ledger, with its own decisions
            self.central = run(self._start(plain))
            self.talking.append(self.central)
        return self.central

    async def _start(self, plain: Ledger) -> Central:
        central = Central(plain, Settings(timeout_s=5), self.url, self.plane)
        central._arbiter.now_ns = lambda now_ns: now_ns  # type: ignore[method-assign]
        await central.start()
        assert not central.is_away
        return central

    def reserve(self, *asked: Any) -> Grant | Shortage:
        decision = run(self.join().reserve(*asked))
        assert isinstance(decision, Grant | Shortage)
        return decision

    def room(self, subject: Subject, now_ns: int) -> Room:
        return run(self.join().room(subject, now_ns))

    def extend(self, id: str, more: Weight, now_ns: int) -> dict[str, int] | None:
        return run(self.join().extend(id, more, now_ns))

    def settle(self, id: str, actual: Weight | None) -> dict[str, int]:
        return run(self._settle(self.join(), id, actual))

    async def _settle(self, central: Central, id: str, actual: Weight | None) -> dict[str, int]:
        return central.settle(id, actual)

    def fold_adjusted(self, adjusted: dict[str, int]) -> None:
        run(self._fold_adjusted(adjusted))

    async def _fold_adjusted(self, adjusted: dict[str, int]) -> None:
        super().fold_adjusted(adjusted)


@contextlib.contextmanager
def share_ledgers(redis: RedisServer) -> Iterator[None]:
    """Shared ledgers made here talk to this server, which knows nothing at first and decides at once."""
    SharedLedger.url, closed_s = redis.url, arbiter.CLOSED_S
    arbiter.CLOSED_S = 0.0
    redis.flush()
    try:
        yield
    finally:
        arbiter.CLOSED_S = closed_s
        while SharedLedger.talking:
            run(SharedLedger.talking.pop().stop())
