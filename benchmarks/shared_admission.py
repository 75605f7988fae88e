"""What it costs that budgets are shared: decisions about calls under five budgets by a redis-server on this machine.

    .venv/bin/python benchmarks/shared_admission.py [CALLS]

Calls come one after the other, and a hundred at once; each reserves, waits for the decision and settles. Needs redis-server and the extra
`redis`. Fails where a call takes more than one command to reserve and one to settle.
"""

from __future__ import annotations

import asyncio
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from proxy.rules import Budget
from proxy.rules import Ledger as Settings
from proxy.toll import arbiter
from proxy.toll.central import Central
from proxy.toll.ledger import Ledger
from proxy.toll.subject import Subject
from proxy.toll.terms import Grant, Weight
from proxy.toll.whole import Redis

_CALLS = 5_000
_AT_ONCE = 100
_BUDGETS = [
    Budget("all", usd=1e8, per="month", timezone="Europe/Berlin"),
    Budget("team-day", usd=1e7, per="day", each=["team"]),
    Budget("agent-day", usd=1e7, per="day", each=["agent"], mode="strict"),
    Budget("task", usd=1e7, each=["task"], match={"agent": "agent-*"}),
    Budget("model-rolling", usd=1e7, per="24h", each=["model"]),
]
_SUBJECTS = [Subject(f"agent-{n}", "openai", f"model-{n % 7}", f"team-{n % 5}", f"task-{n % 50}") for n in range(200)]
_ESTIMATE, _BOUND, _ACTUAL = Weight(30_000_000, 2_000), Weight(120_000_000, 9_000), Weight(21_000_000, 1_400)


async def measure(central: Central, name: str, calls: int, at_once: int) -> None:
    waits: list[float] = []

    async def call_on(first: int) -> None:
        for number in range(first, calls, at_once):
            began = time.perf_counter()
            granted = await central.reserve(f"{name}-{number}", _SUBJECTS[number % 200], _ESTIMATE, _BOUND, time.time_ns())
            waits.append(time.perf_counter() - began)
            assert type(granted) is Grant, granted
            central.settle(f"{name}-{number}", _ACTUAL)

    before = time.process_time()
    await asyncio.gather(*(call_on(first) for first in range(at_once)))
    cpu_us = (time.process_time() - before) / calls * 1e6
    p50, p99 = (statistics.quantiles(waits, n=100)[at] * 1000 for at in (49, 98))
    print(f"  {name:<12} {cpu_us:7.1f} us CPU a call here, a decision takes {p50:.2f} ms (p50), {p99:.2f} ms (p99)")


async def run(url: str, calls: int) -> None:
    arbiter.BEAT_S = 3600  # what is counted below is calls
    central = Central(Ledger(_BUDGETS), Settings(timeout_s=10), url, "bench")
    await central.start()
    client = Redis.from_url(url)
    client.config_resetstat()
    print(f"{calls} calls under {len(_BUDGETS)} budgets, on Redis")
    await measure(central, "one by one", calls, 1)
    await measure(central, f"{_AT_ONCE} at once", calls, _AT_ONCE)
    await central.stop()
    scripts = client.info("commandstats")["cmdstat_evalsha"]
    client.close()
    print(f"  in Redis     {scripts['usec'] / calls / 2:7.1f} us a call, in {scripts['calls'] / calls / 2:.2f} commands")
    if scripts["calls"] > 4 * calls + 10:
        sys.exit("a call takes more than a command to reserve and one to settle")


def main() -> None:
    calls = int(sys.argv[1]) if len(sys.argv) > 1 else _CALLS
    if Redis is None or shutil.which("redis-server") is None:
        print("left out: it needs redis-server, and the extra `redis` (pip install --require-hashes -r requirements/redis.txt)")
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "redis.sock")
        command = ["redis-server", "--port", "0", "--unixsocket", str(path), "--dir", folder, "--save", ""]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout is not None
            try:
                assert any("ready to accept connections" in line.lower() for line in server.stdout)
                asyncio.run(run(f"unix://{path}", calls))
            finally:
                server.terminate()


if __name__ == "__main__":
    main()
