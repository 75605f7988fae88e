"""A long mix in a short time: everything that begins and ends in a data plane, again and again; afterwards nothing of it may be left.

    python -m tests.faults.soak 60000

Ordinary and misbehaving answers (`tests.faults.mix`), streams, clients that hang up, refusals, WebSockets, half uploads, retries and fallbacks,
under a budget, while the config is reloaded. Between its parts stock is taken: open files, tasks, calls in flight, connections, what the
ledger holds, and the objects that belong to a call or a connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import uvloop

from proxy.call import Call
from proxy.config import Config, load
from proxy.dataplane.attempt import Attempt
from proxy.dataplane.carrier import Sending
from proxy.dataplane.edge import Edge
from proxy.dataplane.relay import Relay
from proxy.dataplane.route import Route
from proxy.dataplane.tunnel import Tunnel
from proxy.dataplane.upstream import Connection, Pool
from proxy.orders import Orders, write_orders
from tests.faults.ground import ASK, Exchange, Ground, answer_to, open_ground, read_answer, request
from tests.faults.mix import WAYS as MIX
from tests.faults.mix import play as play_mix
from tests.faults.mix import run_lane

CLASSES = (Attempt, Call, Connection, Edge, Pool, Relay, Route, Sending, Tunnel)
STREAM = ASK[:-1] + b',"stream":true}'
EVENT = b'data: {"choices":[{"index":0,"delta":{"content":"word "}}]}\n\n'
EVENTS = 20
RELOADS = 4  # in each part
MIXED = tuple(way for way in MIX if not way.startswith("poison"))  # which may come just behind the next request
LANES = 8  # of each kind, beside those of the mix
STILL = 10  # times the same stock: nothing ends any more
MOST_GROWTH_MIB = 4.0  # from the second third to the last
UPGRADE = (
    b"GET /up/v1/responses HTTP/1.1\r\nHost: proxy\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: c29hayBzb2FrIHNvYWsgcw==\r\nx-way: socket 0 1\r\nx-number: %d\r\n\r\n"
)
RACED = b"HTTP/1.1 502 "  # the pooled connection it was sent on had just ended, or been poisoned
HELLO, BYE = b"\x81\x05hello", b"\x88\x02\x03\xe8"


def furnish(config: Config, file: Path) -> Config:
    """A budget, an upstream that is tried again and has a fallback, and one that is down."""
    url, dead = config.upstreams["up"].url, "http://127.0.0.1:1"
    retry = {"attempts": 2, "when": ["overloaded"], "backoff_s": 0.001, "least": 1000}
    fallback = {"upstream": "spare", "when": ["overloaded", "unreachable"]}
    settings = {
        "state_dir": config.state_dir,
        "demo": False,
        "upstreams": {
            "up": {"url": url, "retry": retry, "fallbacks": [fallback]},
            "spare": {"url": f"{url}/spare"},
            "dead": {"url": dead, "fallbacks": [fallback]},
        },
        "budgets": [{"name": "day", "usd": 1e6, "per": "day", "each": ["agent"], "unpriced": "allow"}],
    }
    file.write_text(json.dumps(settings))
    return load(str(file))


def reload(ground: Ground, generation: int) -> None:
    """Reload, with another limit, so that all connections get other pools."""
    file = ground.folder / "weighbridge.yaml"
    settings = json.loads(file.read_text())
    file.write_text(json.dumps({**settings, "limits": {"idle_connection_s": 30 + generation % 2}}))
    write_orders(ground.folder / "orders.json", Orders(config_generation=generation))
    ground.plane.look()


async def play(exchange: Exchange, number: int) -> bool:
    """The peer: a stream, a WebSocket, one that is overloaded but for its spare, or what the mix asks for."""
    head = exchange.head
    if b"\r\nx-way: events" in head:
        await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(EVENTS):
            await exchange.send(b"%x\r\n%b\r\n" % (len(EVENT), EVENT))
            await asyncio.sleep(0)
        await exchange.send(b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n")
        return True
    if b"\r\nx-way: busy" in head:
        body = answer_to(number)
        await exchange.reply(body, status=b"200 OK" if b"/spare/" in head.split(b"\r\n", 1)[0] else b"503 Service Unavailable")
        return True
    if b"\r\nx-way: socket" in head:
        await exchange.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n" + HELLO)
        await exchange.reader.read(100)
        await exchange.send(BYE)
        return False
    return await play_mix(exchange, number)


async def stream(ground: Ground, chance: random.Random) -> str:
    """A stream, to its end or not."""
    reader, writer = await ground.connect()
    writer.write(request(next(ground.numbers), b"x-way: events 0 1\r\n", STREAM))
    if chance.random() < 0.5:
        await reader.read(1)
        writer.transport.abort()
        return "hung up"
    got = await reader.read()
    writer.close()
    if got.startswith(RACED):
        return "raced"
    assert got.count(b"word ") == EVENTS and got.endswith(b"\r\n0\r\n\r\n"), got[-200:]
    return "streamed"


async def fall_back(ground: Ground, chance: random.Random) -> str:
    """A call that another upstream answers in the end."""
    target = chance.choice((b"/up/v1/chat/completions", b"/dead/v1/chat/completions"))
    got = await ground.ask(request(number := next(ground.numbers), b"x-way: busy 0 1\r\n", target=target))
    if got.startswith(RACED):
        return "raced"
    assert read_answer(got) == (200, answer_to(number), True), got
    return "fell back"


async def be_refused(ground: Ground, chance: random.Random) -> str:
    """A call that is turned back, or never arrives whole."""
    way = chance.choice(("elsewhere", "no JSON", "half"))
    if way == "half":
        _, writer = await ground.connect()
        writer.write(request(0)[:-10])
        await writer.drain()
        writer.transport.abort()
        return "left early"
    data = request(0, target=b"/nowhere/v1/chat/completions") if way == "elsewhere" else request(0, body=b'{"model":')
    assert read_answer(await ground.ask(data))[0] in (400, 404)
    return "refused"


async def talk(ground: Ground, chance: random.Random) -> str:
    """A WebSocket, that the upstream closes or the client leaves."""
    reader, writer = await ground.connect()
    writer.write(UPGRADE % next(ground.numbers))
    if (await reader.readline()).startswith(RACED):
        writer.close()
        return "raced"
    await reader.readuntil(HELLO)
    if chance.random() < 0.5:
        writer.transport.abort()
        return "socket left"
    writer.write(b"\x81\x85\0\0\0\0hello")
    assert BYE in await reader.read()
    writer.close()
    return "socket closed"


WAYS = (stream, fall_back, be_refused, talk)


async def carry_part(ground: Ground, calls: int, seed: int, seen: Counter[str]) -> None:
    """One part: half of its calls are the mix's."""
    left, generation = [0] * (calls // 2), ground.plane._generation

    async def lane(number: int) -> None:
        chance = random.Random(seed * 1000 + number)
        for done in range(calls // 2 // (LANES * len(WAYS))):
            async with asyncio.timeout(10):
                seen[await WAYS[number % len(WAYS)](ground, chance)] += 1
            if number == 0 and done % max(1, calls // 2 // (LANES * len(WAYS)) // RELOADS) == 0:
                nonlocal generation
                generation += 1
                reload(ground, generation)

    async with asyncio.TaskGroup() as lanes:
        kept = [lanes.create_task(lane(number), name=f"lane {number}") for number in range(LANES * len(WAYS))]
        for number in range(LANES):
            mixed = run_lane(ground, left, random.Random(seed + number), seen, MIXED)
            kept.append(lanes.create_task(mixed, name=f"mix {number}"))
    assert all(one.done() for one in kept)


def take_stock(ground: Ground) -> dict[str, int]:
    """What is there at the moment."""
    gc.collect()
    plane = ground.plane
    kept: Counter[str] = Counter({one.__name__: 0 for one in CLASSES})
    kept.update(type(one).__name__ for one in gc.get_objects() if type(one) in CLASSES)
    return {
        "open files": len(os.listdir("/proc/self/fd")),
        "tasks": len(asyncio.all_tasks()),
        "in flight": len(plane.traffic.in_flight),
        "carrying": plane.traffic.carrying,
        "upstream connections": plane.traffic.lanes.reap(),
        "clients": len(ground.server.connections),
        "held by the ledger": len(plane._ledger._open),
        "kept for samples": plane._samples._kept_bytes,
        **kept,
    }


async def settle_down(ground: Ground, before: dict[str, int] | None = None) -> dict[str, int]:
    """The stock once everything has ended: as it was before, if it ever gets there."""
    with contextlib.suppress(TimeoutError):
        await ground.turn_until(lambda: not (ground.plane.traffic.carrying or ground.server.connections))
    found: dict[str, int] = {}
    same = 0
    for _ in range(50):
        ground.plane.traffic.lanes.close()  # what is kept open for the next calls
        ground.plane.tick()
        await asyncio.sleep(0.01)
        last, found = found, take_stock(ground)
        same = same + 1 if found == last else 0
        if found == before or (before is None and same == STILL):
            break
    return found


def resident_mib() -> float:
    """The memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


async def soak(folder: Path, calls: int, seed: int = 1) -> tuple[dict[str, int], dict[str, int], Counter[str], float]:
    """A first part that opens what is opened once, then three thirds of `calls`: (stock before and after, what was seen, MiB grown in the last)."""
    seen: Counter[str] = Counter()
    memory = []
    async with open_ground(folder, furnish=furnish) as ground:
        ground.play = play
        await carry_part(ground, max(calls // 10, 200), seed, seen)
        before = await settle_down(ground)
        for part in range(1, 4):
            await carry_part(ground, calls // 3, seed + part, seen)
            after = await settle_down(ground, before)
            ground.asked.clear()
            memory.append(resident_mib())
    return before, after, seen, memory[2] - memory[1]


if __name__ == "__main__":
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        first, last, found, growth = uvloop.run(soak(Path(scratch), int(sys.argv[1])))
    print(f"{found.total()} calls in {time.monotonic() - began:.0f} s:", dict(sorted(found.items())))
    print("before:", first)
    print("after: ", last)
    print(f"memory grew by {growth:.1f} MiB in the last third")
    sys.exit(0 if first == last and growth <= MOST_GROWTH_MIB else 1)
