"""What the instruments cost: `instruments.py [CALLS [ROUNDS]]`, 6 rounds of 4,000 calls of 1,000 agents for each of two, unless told.

Two Weighbridges take the same calls in turn, round after round: one with everything off that can be (no traces, no evaluators, nobody scrapes),
one with spans to a collector of this machine, evaluators, and a scrape every five seconds. Prints the CPU of each plane a call (median of the
rounds), the ratio of the data planes, how many calls a second one core of the control plane would carry, and what a scrape takes. Fails where the
data plane takes over 3 % more, the control plane could not carry 2,000 calls a second, or a scrape takes over 200 ms.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import statistics
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from multiprocessing.connection import Connection

import uvloop
from rig import CONTROL, DATA, TRACED, Bridge, cpu_s, open_bridge
from rig.ordinary import ASK, HEAD, answer
from rig.sink import Sink

AGENTS = 1000
LANES = 8
SCRAPE_EVERY_S = 5.0
SETTLE_S = 2.0  # what the control plane still has to do of a round is its round's
MOST_RATIO, LEAST_A_SECOND, MOST_SCRAPE_S = 1.03, 2000, 0.2


def collect(told: Connection) -> None:
    """Take spans on a port of this machine, which is told, until the process is ended."""
    with Sink() as server:
        told.send(server.server_address[1])
        server.serve_forever()


def call(pipe: Connection) -> None:
    """Clients: for each (port, calls) that comes, make so many calls, agent after agent, and answer when they are done."""

    async def lane(port: int, numbers: Iterator[int]) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for number in numbers:
            writer.write(HEAD % (b"agent-%d" % (number % AGENTS), len(ASK)) + ASK)
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200 "):
                raise SystemExit(f"a call failed: {head[:60]!r}")
            await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]))
        writer.close()

    async def make(port: int, calls: int) -> None:
        numbers = iter(range(calls))
        await asyncio.gather(*(lane(port, numbers) for _ in range(LANES)))

    while asked := pipe.recv():
        uvloop.run(make(*asked))
        pipe.send(True)


def measure(bridge: Bridge, clients: Connection, calls: int) -> tuple[float, float]:
    """CPU of the data plane and of the control plane in a round, in seconds a call."""
    planes = bridge.find(DATA), bridge.find(CONTROL, TRACED)
    before = [cpu_s(plane) for plane in planes]
    clients.send((bridge.port, calls))
    clients.recv()
    time.sleep(SETTLE_S)
    data, control = (cpu_s(plane) - was for plane, was in zip(planes, before, strict=True))
    return data / calls, control / calls


def scrape(admin: str) -> tuple[float, int]:
    """Seconds and bytes of a scrape."""
    began = time.perf_counter()
    with urllib.request.urlopen(f"{admin}/metrics") as page:
        size = len(page.read())
    return time.perf_counter() - began, size


@contextlib.contextmanager
def scraping(admin: str, taken: list[tuple[float, int]]) -> Iterator[None]:
    """Somebody scrapes meanwhile."""
    over = threading.Event()

    def work() -> None:
        while not over.wait(SCRAPE_EVERY_S):
            taken.append(scrape(admin))

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def main() -> int:
    calls = int(sys.argv[1]) if len(sys.argv) > 1 else 4000
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 6
    spawn = multiprocessing.get_context("spawn")
    near, far = spawn.Pipe()
    told, tell = spawn.Pipe()
    helpers = [spawn.Process(target=call, args=(far,), daemon=True), spawn.Process(target=collect, args=(tell,), daemon=True)]
    for each in helpers:
        each.start()
    collector = {"endpoint": f"http://127.0.0.1:{told.recv()}", "protocol": "http"}
    scrapes: list[tuple[float, int]] = []
    with open_bridge(answer, {"evaluators": {"per_second": 0}}) as off, open_bridge(answer, {"otlp": collector}) as on, scraping(on.admin, scrapes):
        for bridge in (off, on):
            measure(bridge, near, calls)  # what is done once
        found: dict[int, list[tuple[float, float]]] = {off.pid: [], on.pid: []}
        for _ in range(rounds):
            for bridge in (off, on):
                found[bridge.pid].append(measure(bridge, near, calls))
        scrapes.append(scrape(on.admin))
    near.send(None)
    (data_off, control_off), (data_on, control_on) = ([statistics.median(plane) for plane in zip(*each, strict=True)] for each in found.values())
    ratio, carried = data_on / data_off, 1 / control_on
    took, size = max(scrapes)
    print(f"data plane: {data_off * 1e6:.0f} us a call with all off, {data_on * 1e6:.0f} us with all on: {ratio:.3f} times")
    print(f"control plane: {control_off * 1e6:.0f} us a call with all off, {control_on * 1e6:.0f} us with all on: {carried:.0f} calls a second")
    print(f"a scrape of {AGENTS} agents: {size / 1e6:.2f} MB, {took * 1e3:.0f} ms at most of {len(scrapes)}")
    return 0 if ratio <= MOST_RATIO and carried >= LEAST_A_SECOND and took <= MOST_SCRAPE_S else 1


if __name__ == "__main__":
    sys.exit(main())
