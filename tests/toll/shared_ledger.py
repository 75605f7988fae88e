"""A `Ledger` for tests whose decisions are the arbiter's: the suite of the ledger drives `Central` and a real Redis through it.

An event loop in a thread of its own keeps the talk up while a test goes on, step by step.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Coroutine, Iterator
from typing import Any, TypeVar

import pytest

from proxy.rules import Budget
from proxy.rules import Ledger as Settings
from proxy.toll import arbiter
from proxy.toll.cells import Cells
from proxy.toll.central import Central
from proxy.toll.ledger import Ledger
from proxy.toll.question import Claims, write_claims
from proxy.toll.subject import Subject
from proxy.toll.terms import Grant, Room, Shortage, Weight
from tests.toll.redis_server import RedisServer

_Value = TypeVar("_Value")
LOOP = asyncio.new_event_loop()
threading.Thread(target=LOOP.run_forever, name="arbiter-loop", daemon=True).start()


def run(work: Coroutine[Any, Any, _Value]) -> _Value:
    return asyncio.run_coroutine_threadsafe(work, LOOP).result(30)


class SharedLedger(Ledger):
    """Talks to `server` from its first decision on, as the plane of its name."""

    server: RedisServer
    talking: list[SharedLedger] = []

    def __init__(self, budgets: list[Budget], plane: str = "one") -> None:
        super().__init__(budgets)
        self.plane = plane
        self.central: Central | None = None

    def join(self) -> Central:
        if self.central is None:
            plain = Ledger.__new__(Ledger)
            plain.__dict__ = self.__dict__  # the same ledger, with its own decisions
            self.central = run(self._start(plain))
            self.talking.append(self)
        return self.central

    def leave(self) -> None:
        """As if the process were killed: nothing is said any more."""
        assert self.central is not None and self.central._arbiter._task is not None
        LOOP.call_soon_threadsafe(self.central._arbiter._task.cancel)
        run(self.central.stop())
        self.central = None
        self.talking.remove(self)

    @property
    def conversations(self) -> int:
        return 0 if self.central is None else self.central.counts["conversations"]

    def rejoin(self, after: int) -> None:
        """Wait until there was another conversation, and it is open."""
        run(self._rejoin(after))

    async def _rejoin(self, after: int) -> None:
        async with asyncio.timeout(10):
            while self.conversations == after or self.central.is_away:
                await asyncio.sleep(0.001)

    def hear_news(self) -> None:
        """Hear all that the other planes have said so far."""
        run(self._hear_news(self.join()))

    async def _hear_news(self, central: Central) -> None:
        arbiter = central._arbiter
        assert arbiter._talk is not None
        arbiter._ask_news(arbiter._talk)
        await central.room(Subject("a0", "up", "m0"), 0)  # answers come in order

    async def _start(self, plain: Ledger) -> Central:
        central = Central(plain, Settings(timeout_s=5), self.server.url, self.plane)
        central._arbiter.now_ns = lambda now_ns: now_ns  # type: ignore[method-assign]
        await central.start()
        assert not central.is_away
        return central

    def ask_in_vain(self, subject: Subject, estimate: Weight, now_ns: int) -> None:
        """Ask for a reservation, and never learn what became of it."""
        run(self._ask_in_vain(self.join(), self.claim(subject, estimate, None, now_ns), now_ns))

    async def _ask_in_vain(self, central: Central, claims: Claims, now_ns: int) -> None:
        answered = asyncio.Event()
        central._arbiter.take(write_claims(claims, frozenset(), self.cells, now_ns), lambda answer: answered.set())
        await answered.wait()

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
    SharedLedger.server = redis
    redis.flush()
    with pytest.MonkeyPatch.context() as patch:
        never = 10**9
        for name, number in (("CLOSED_S", 0.0), ("BEAT_S", 0.05), ("_RETRY_S", 0.01), ("_SWEEP_BEATS", never)):
            patch.setattr(arbiter, name, number)
        patch.setattr(Cells, "write_kept", lambda cells, id: "-")  # what is past is forgotten by the time of day; that of these tests is another
        yield
        leave_all()


def leave_all() -> None:
    """End all talk."""
    while SharedLedger.talking:
        SharedLedger.talking[-1].leave()
