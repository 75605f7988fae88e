"""Who only looks sees the sums over all data planes."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from proxy.rules import Budget
from proxy.toll import whole
from proxy.toll.balances import list_balances
from proxy.toll.whole import RedisMissing, Whole, WholeAway
from tests.toll.planes import planes, reserve, spend, until
from tests.toll.redis_server import RedisServer


def test_the_sums_of_all_planes(server: RedisServer) -> None:
    async def scenario() -> None:
        async with planes(server, 2, [Budget("all", usd=100 / 1e9), Budget("rolling", usd=100 / 1e9, per="1h")]) as (one, two):
            await spend(one, "1", 10)
            await reserve(two, "2", 20)
            await until(lambda: server.check_sums()["all.usd@"] == (10, 20))
            looking = Whole(server.url)
            cells = looking.read(time.time_ns())
            looking.close()
            found = list_balances(one.ledger.rules, cells, time.time_ns())
            assert [(each.budget, each.spent, each.reserved) for each in found] == [("all", 10, 20), ("rolling", 10, 20)]

    asyncio.run(scenario())


def test_a_redis_that_is_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looking = Whole(f"unix://{tmp_path}/none.sock")
    with pytest.raises(WholeAway, match="none.sock"):
        looking.read(0)
    monkeypatch.setattr(whole, "Redis", None)
    with pytest.raises(RedisMissing, match="requirements/redis.txt"):
        Whole("redis://127.0.0.1")
