"""One data plane of the test of several: many calls at once, whose bill it keeps. `python -m tests.toll.plane_process URL NAME SECONDS`."""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time

from proxy.rules import Budget
from proxy.rules import Ledger as Settings
from proxy.toll.central import Central
from proxy.toll.ledger import Ledger
from proxy.toll.subject import Subject
from proxy.toll.terms import Grant, Weight

LIMIT = 100_000  # nano-USD
ESTIMATE = 1_000
AT_ONCE = 250
BUDGETS = [Budget("all", usd=LIMIT / 1e9), Budget("agent", usd=LIMIT / 1e9, each=["agent"]), Budget("day", usd=LIMIT / 1e9, per="24h")]


async def work(url: str, name: str, seconds: float) -> dict[str, int]:
    central = Central(Ledger(BUDGETS), Settings(timeout_s=0.2), url, name)
    await central.start(10)
    ends = time.monotonic() + seconds
    chance = random.Random(name)
    bill = {"calls": 0, "billed": 0, "more": 0, "away": 0, "refused": 0}

    async def call_on(number: int) -> None:
        turn = 0
        while time.monotonic() < ends:
            turn += 1
            id = f"{name}-{number}-{turn}"
            decision = await central.reserve(id, Subject("x", "up"), Weight(ESTIMATE), None, time.time_ns())
            if isinstance(decision, Grant):
                await asyncio.sleep(chance.uniform(0.01, 0.2))
                actual = ESTIMATE * 2 if chance.random() < 0.05 else chance.randrange(ESTIMATE // 20)
                central.settle(id, Weight(actual))
                bill["calls"] += 1
                bill["billed"] += actual
                bill["more"] += max(0, actual - ESTIMATE)
            else:
                bill["refused" if hasattr(decision, "budget") else "away"] += 1
                await asyncio.sleep(chance.uniform(0.05, 0.2))

    await asyncio.gather(*(call_on(number) for number in range(AT_ONCE)))
    while central.is_away:
        await asyncio.sleep(0.01)
    await central.stop(5)
    return bill | central.counts


if __name__ == "__main__":
    print(json.dumps(asyncio.run(work(sys.argv[1], sys.argv[2], float(sys.argv[3])))))
