"""Budgets that four data planes share over a real Redis: they hold, measured at the providers, also while Redis is frozen, emptied or dead."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.test_orders_stay import change
from tests.test_supervise import Bridge, serve, wait_until, write_config
from tests.test_toll import PRICES, bill_of, count_overshoot, drive, worth_of
from tests.toll.redis_server import RedisServer

PLANES = 4
CELL = "all.usd@"


def settings_of(number: int, redis: RedisServer, mode: str, limit_usd: float) -> dict[str, Any]:
    ledger = {"redis": redis.url, "plane": f"plane-{number}", "timeout_s": 1.0}
    return {"prices": PRICES, "budgets": [{"name": "all", "usd": limit_usd, "mode": mode}], "ledger": ledger}


@contextlib.contextmanager
def serve_four(folder: Path, redis: RedisServer, mode: str, limit_usd: float) -> Iterator[list[Bridge]]:
    """Four data planes with one budget between them; each has a provider of its own, which bills."""
    with contextlib.ExitStack() as stack:
        bridges = []
        for number in range(PLANES):
            (folder / str(number)).mkdir()
            bridges.append(stack.enter_context(serve(folder / str(number), **settings_of(number, redis, mode, limit_usd))))
        yield bridges


def drive_all(bridges: list[Bridge], calls: int, at_once: int, stop: threading.Event | None = None) -> Counter[int]:
    """So many calls on each data plane, all at the same time; how many ended with which status."""

    async def run() -> Counter[int]:
        found = await asyncio.gather(*(drive(bridge, calls, at_once, leaving=0.1, stop=stop) for bridge in bridges))
        return sum((Counter(each) for each in found), Counter())

    return asyncio.run(run())


def read_logs(bridges: list[Bridge]) -> str:
    return "\n".join((bridge.folder / "log").read_text() for bridge in bridges)


def check(bridges: list[Bridge], redis: RedisServer, mode: str, limit_usd: float) -> int:
    """The law of the budget over all data planes; what was spent in all."""
    deadline = time.monotonic() + 30
    while any(reserved for _, reserved in redis.check_sums().values()):
        assert time.monotonic() < deadline, f"something stays reserved: {redis.read_planes()}\n{read_logs(bridges)}"
        time.sleep(0.05)
    billed = sum(map(bill_of, bridges))
    over = sum(map(count_overshoot, bridges))
    spent, reserved = redis.check_sums()[CELL]
    recorded = sum(call.get("cost_nano_usd") or 0 for bridge in bridges for call in bridge.journal("call"))
    assert reserved == 0 and spent == recorded
    assert billed <= round(limit_usd * 1e9) + (over if mode == "enforce" else 0)
    return spent


def freeze(redis: RedisServer) -> None:
    redis.freeze()
    time.sleep(2.0)
    redis.thaw()


def empty(redis: RedisServer) -> None:
    redis.flush()


def kill(redis: RedisServer) -> None:
    redis.kill()
    time.sleep(1.0)
    redis.start()  # without any memory


class Four:
    """Four data planes and their Redis, for one test after the other, each under a limit that leaves room for so many calls more."""

    def __init__(self, bridges: list[Bridge], redis: RedisServer) -> None:
        self.bridges = bridges
        self.redis = redis
        self.limit_usd = 0.0

    def count(self, kind: str) -> int:
        return sum(len(bridge.journal(kind)) for bridge in self.bridges)

    def give_room(self, calls: int, mode: str) -> None:
        self.limit_usd += worth_of(calls)
        for number, bridge in enumerate(self.bridges):
            write_config(bridge.folder, **settings_of(number, self.redis, mode, self.limit_usd))
            assert change(bridge, "/api/reload", {})["changed"] == ["budgets"]


@pytest.fixture(scope="module")
def four(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Four]:
    folder = tmp_path_factory.mktemp("four")
    (folder / "redis").mkdir()
    redis = RedisServer(folder / "redis")
    try:
        with serve_four(folder, redis, "strict", worth_of(1)) as bridges:
            yield Four(bridges, redis)
    finally:
        redis.thaw()
        redis.kill()


@pytest.mark.parametrize("mode", ["enforce", "strict"])
def test_four_data_planes_and_a_thousand_calls_at_once(four: Four, mode: str) -> None:
    four.give_room(100, mode)
    statuses = drive_all(four.bridges, 250, 60)
    check(four.bridges, four.redis, mode, four.limit_usd)
    assert statuses[200] >= 60 and statuses[402] + statuses[429] >= 500
    assert set(statuses) <= {200, 402, 429}


@pytest.mark.parametrize("harm", [freeze, empty, kill])
def test_whatever_happens_to_redis_in_the_middle(four: Four, harm: Callable[[RedisServer], None]) -> None:
    four.give_room(300, "strict")
    calls = four.count("call")
    stop, found = threading.Event(), []
    load = threading.Thread(target=lambda: found.append(drive_all(four.bridges, 100_000, 3, stop)))
    load.start()
    wait_until(lambda: four.count("call") >= calls + 60)
    harm(four.redis)
    before = four.count("opened")
    wait_until(lambda: four.count("opened") >= before + 20)  # a call that fits is let through again
    stop.set()
    load.join()
    drive_all(four.bridges, 400, 10)
    spent = check(four.bridges, four.redis, "strict", four.limit_usd)
    assert spent >= (four.limit_usd - 0.05 * worth_of(300)) * 1e9
    assert set(found[0]) <= {200, 402, 429, 503}
