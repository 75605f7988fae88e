"""Four data planes in processes of their own, a thousand calls at once, and a budget that is worth a hundred of them."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from proxy.rules import Ledger as Settings
from proxy.toll.central import Central
from proxy.toll.ledger import Ledger
from proxy.toll.subject import Subject
from proxy.toll.talk import Telephone
from proxy.toll.terms import Grant, Weight
from tests.toll.plane_process import BUDGETS, LIMIT
from tests.toll.planes import planes, reserve, spend, until
from tests.toll.redis_server import RedisServer

ROOT = Path(__file__).resolve().parent.parent.parent


def start_plane(server: RedisServer, number: int, seconds: float) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.toll.plane_process", server.url, f"plane-{number}", str(seconds)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def break_redis(server: RedisServer, how: str) -> None:
    """In the middle of the run."""
    deadline = time.monotonic() + 20
    while server.read_totals().get("all.usd@", (0, 0))[0] < LIMIT // 20:
        assert time.monotonic() < deadline, "the planes do not spend"
    if how == "frozen":
        server.freeze()
        time.sleep(0.7)
        server.thaw()
    elif how == "flushed":
        server.flush()
    elif how == "killed":
        server.kill()
        server.start()


@pytest.mark.parametrize("how", ["well", "frozen", "flushed", "killed"])
def test_four_planes_hold_a_budget_together(tmp_path: Path, how: str) -> None:
    server = RedisServer(tmp_path)
    try:
        planes = [start_plane(server, number, 1.0 if how == "well" else 3.0) for number in range(4)]
        if how != "well":
            break_redis(server, how)
        bills = [json.loads(plane.communicate(timeout=60)[0]) for plane in planes]
        billed, more = sum(bill["billed"] for bill in bills), sum(bill["more"] for bill in bills)
        print(how, bills)
        assert billed <= LIMIT + more
        assert server.check_sums()["all.usd@"] == (billed, 0), "nothing stays reserved, and nothing is lost"
        assert billed + asyncio.run(spend_rest(server)) >= LIMIT * 0.99
    finally:
        server.kill()


async def spend_rest(server: RedisServer) -> int:
    """Small calls, one after the other, until the first one is refused."""
    central = Central(Ledger(BUDGETS), Settings(timeout_s=5), server.url, "last")
    await central.start(10)
    spent = 0
    for number in range(10**6):
        if not isinstance(await central.reserve(str(number), Subject("x", "up"), Weight(500), None, time.time_ns()), Grant):
            break
        central.settle(str(number), Weight(500))
        spent += 500
    await central.stop()
    return spent


def test_a_plane_that_broke_off_when_it_had_only_begun_is_spoken_for_by_the_others(server: RedisServer) -> None:
    async def scenario() -> None:
        async with planes(server, 2) as (one, two):
            await spend(one, "1", 40)
            await until(lambda: two.balances(time.time_ns())[0].spent == 40)
            await one.stop()
            talk = Telephone(server.url, "plane-0").call()
            await talk.open()
            server.flush()
            await talk.begin("an era", 0.2)
            await talk.close()
            await until(lambda: two.counts["conversations"] == 2)
            await until(lambda: server.check_sums() == {"all.usd@": (40, 0)})
            await until(lambda: not two.is_away)
            assert (await reserve(two, "2", 61)).room == 60
            await one.start()
            await until(lambda: server.read_planes()["plane-0"] == {"all.usd@": (40, 0)} and not one.is_away)
            assert server.check_sums() == {"all.usd@": (40, 0)}, "its own word is not added to it"

    asyncio.run(scenario())
