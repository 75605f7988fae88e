"""Data planes for tests: several of them on one Redis, quick to notice what happens to it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

from proxy.rules import Budget
from proxy.rules import Ledger as Settings
from proxy.toll.central import Central
from proxy.toll.ledger import Ledger
from proxy.toll.subject import Subject
from proxy.toll.terms import Away, Grant, Shortage, Weight
from tests.toll.redis_server import RedisServer

CALL = Subject("x", "openai", "m")
ALL = Budget("all", usd=100 / 1e9)
PATIENT = Settings(timeout_s=5)  # the machine may be busy


@contextlib.asynccontextmanager
async def planes(server: RedisServer, count: int = 1, budgets: list[Budget] | None = None, settings: Settings = PATIENT) -> AsyncIterator[Any]:
    """So many planes under the same budgets."""
    made = [Central(Ledger(budgets or [ALL]), settings, server.url, f"plane-{number}") for number in range(count)]
    await asyncio.gather(*(central.start(10) for central in made))
    try:
        yield made if count > 1 else made[0]
    finally:
        await asyncio.gather(*(central.stop() for central in made))


async def reserve(central: Central, id: str, nano: int, subject: Subject = CALL) -> Grant | Shortage | Away:
    return await central.reserve(id, subject, Weight(nano), None, time.time_ns())


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.005)


async def spend(central: Central, id: str, nano: int) -> None:
    assert isinstance(await reserve(central, id, nano), Grant)
    central.settle(id, Weight(nano))
