"""Budgets that four data planes share over a real Redis: they hold, measured at the providers, also while Redis is frozen, emptied or dead."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.test_supervise import Bridge, serve, wait_until
from tests.test_toll import PRICES, bill_of, count_overshoot, drive, worth_of
from tests.toll.redis_server import RedisServer

PLANES = 4
CELL = "all.usd@"


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    folder = tmp_path / "redis"
    folder.mkdir()
    server = RedisServer(folder)
    yield server
    server.thaw()
    server.kill()


@contextlib.contextmanager
def serve_four(folder: Path, redis: RedisServer, mode: str, limit_usd: float) -> Iterator[list[Bridge]]:
    """Four data planes with one budget between them; each has a provider of its own, which bills."""
    with contextlib.ExitStack() as stack:
        bridges = []
        for number in range(PLANES):
            (folder / str(number)).mkdir()
            ledger = {"redis": redis.url, "plane": f"plane-{number}", "timeout_s": 1.0}
            budgets = [{"name": "all", "usd": limit_usd, "mode": mode}]
            bridges.append(stack.enter_context(serve(folder / str(number), prices=PRICES, budgets=budgets, ledger=ledger)))
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
    deadline = time.monotonic() + 10
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


@pytest.mark.parametrize("mode", ["enforce", "strict"])
def test_four_data_planes_and_a_thousand_calls_at_once(tmp_path: Path, redis: RedisServer, mode: str) -> None:
    limit_usd = worth_of(100)
    with serve_four(tmp_path, redis, mode, limit_usd) as bridges:
        statuses = drive_all(bridges, 250, 60)
        check(bridges, redis, mode, limit_usd)
    assert statuses[200] >= 60 and statuses[402] + statuses[429] >= 500
    assert set(statuses) <= {200, 402, 429}


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


@pytest.mark.parametrize("harm", [freeze, empty, kill])
def test_whatever_happens_to_redis_in_the_middle(tmp_path: Path, redis: RedisServer, harm: Callable[[RedisServer], None]) -> None:
    limit_usd = worth_of(300)
    with serve_four(tmp_path, redis, "strict", limit_usd) as bridges:
        stop, found = threading.Event(), []
        load = threading.Thread(target=lambda: found.append(drive_all(bridges, 100_000, 3, stop)))
        load.start()
        wait_until(lambda: sum(len(bridge.journal("call")) for bridge in bridges) >= 60)
        harm(redis)
        before = sum(len(bridge.journal("opened")) for bridge in bridges)
        wait_until(lambda: sum(len(bridge.journal("opened")) for bridge in bridges) >= before + 20, 15)  # a call that fits is let through again
        stop.set()
        load.join()
        drive_all(bridges, 400, 10)
        spent = check(bridges, redis, "strict", limit_usd)
    assert spent >= 0.95 * limit_usd * 1e9
    assert set(found[0]) <= {200, 402, 429, 503}
