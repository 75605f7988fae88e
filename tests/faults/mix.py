"""A mix of calls, each answered with its own number over upstream connections that misbehave; nobody may get a byte of another.

    python -m tests.faults.mix 100000
"""

from __future__ import annotations

import asyncio
import random
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import uvloop

from tests.faults.ground import FOREIGN, Exchange, Ground, answer_to, open_ground, read_answer, request, reset

SECOND = b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n" + FOREIGN
JSON = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
_WAY = re.compile(rb"\r\nx-way: ([a-z-]+) (\d+) (\d+)\r\n")
_LANES = 48  # calls at once


def sized(body: bytes) -> bytes:
    return JSON + b"Content-Length: %d\r\n\r\n" % len(body) + body


def chunked(body: bytes, size: int = 5000) -> bytes:
    pieces = (body[start : start + size] for start in range(0, len(body), size))
    return JSON + b"Transfer-Encoding: chunked\r\n\r\n" + b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


# way: (what the peer sends for a body, how the connection ends after it: kept, closed or reset, what the client may get). A reset may
# overtake what was sent before it.
WAYS = {
    "length": (sized, "kept", "whole"),
    "chunks": (chunked, "kept", "whole"),
    "small-chunks": (lambda body: chunked(body, 700), "kept", "whole"),
    "until-the-end": (lambda body: JSON + b"\r\n" + body, "closed", "whole"),
    "interim": (lambda body: b"HTTP/1.1 103 Early\r\nX: 1\r\n\r\n" + sized(body), "kept", "whole"),
    "close-unsaid": (sized, "closed", "whole"),
    "reset-behind": (chunked, "reset", "either"),
    "poison": (lambda body: sized(body) + SECOND, "kept", "whole"),
    "poison-half": (lambda body: chunked(body) + SECOND[:20], "kept", "whole"),
    "poison-letter": (lambda body: sized(body) + b"F", "kept", "whole"),
    "cut-length": (lambda body: sized(body)[:-3], "closed", "cut"),
    "cut-chunks": (lambda body: chunked(body)[:-5], "closed", "cut"),
    "cut-head": (lambda body: sized(body)[:30], "closed", "refused"),
    "reset-within": (lambda body: chunked(body)[:-9], "reset", "cut"),
    "bad-chunk": (lambda body: chunked(body)[:-5] + b"zz\r\n" + FOREIGN, "kept", "cut"),
    "bad-coding": (lambda body: chunked(body).replace(b"chunked", b"identity", 1), "kept", "refused"),
    "two-lengths": (lambda body: sized(body).replace(b"\r\n", b"\r\nContent-Length: 7\r\n", 1), "kept", "refused"),
}


async def play(exchange: Exchange, number: int) -> bool:
    """Answer a request the way it asks for; whether the connection goes on."""
    asked = _WAY.search(exchange.head)
    way, size, cut = asked[1].decode(), int(asked[2]), int(asked[3])
    make, end, _ = WAYS[way]
    data = make(answer_to(number, size))
    for piece in (data[:cut], data[cut:]):  # in two pieces, cut anywhere
        await exchange.send(piece)
        await asyncio.sleep(0)
    if end == "reset":
        await reset(exchange)
    return end == "kept"


async def _read(reader: asyncio.StreamReader) -> tuple[bytes, bool]:
    """The bytes of one answer, and whether the connection goes on behind it."""
    got = b""
    try:
        while piece := await reader.read(1 << 20):
            got += piece
            if read_answer(got)[2]:
                return got, True
    except ConnectionError:
        pass
    return got, False


async def run_lane(ground: Ground, left: list[int], chance: random.Random, seen: Counter[str], ways: Sequence[str] = tuple(WAYS)) -> None:
    """One client, which keeps its connection as long as it may, and sometimes leaves in the middle."""
    reader = writer = None
    while left:
        left.pop()
        number = next(ground.numbers)
        way, size = chance.choice(ways), chance.choice((0, 0, 10, 300, 3000, 20_000))
        if writer is None:
            reader, writer = await asyncio.open_connection("127.0.0.1", ground.port, limit=1 << 22)
        headers = b"x-way: %b %d %d\r\n" % (way.encode(), size, chance.randrange(1, 400 + size))
        body = b'{"model":"m","messages":[],"pad":"%b"}' % (b"x" * chance.choice((0, 0, 50_000)))
        writer.write(request(number, headers, body, connection=b"keep-alive"))
        if chance.random() < 0.03:  # leave in the middle
            await reader.read(chance.choice((1, 1000, 20_000)))
            writer.transport.abort()
            reader = writer = None
            seen["left"] += 1
            continue
        async with asyncio.timeout(10):
            got, goes_on = await _read(reader)
        if got.startswith(b"HTTP/1.1 502 ") and not ground.asked[number]:
            seen["raced"] += 1  # the connection it was sent on had just ended; it is not sent again, for nobody knows how far it came
        else:
            judge(got, number, size, WAYS[way][2])
            seen[way] += 1
        if not goes_on or b"\r\nconnection: close\r\n" in got.partition(b"\r\n\r\n")[0].lower() + b"\r\n":
            writer.close()
            reader = writer = None
    if writer is not None:
        writer.close()


def judge(got: bytes, number: int, size: int, may: str) -> None:
    """Hold that an answer is the number's own, whole where it was, and seen to be cut where it was."""
    status, body, whole = read_answer(got)
    own = answer_to(number, size)
    assert FOREIGN not in got, (number, got[-300:])
    if may == "whole":
        assert (status, body, whole) == (200, own, True), (number, got[:300])
    elif may != "refused" and status == 200:
        assert own.startswith(body) and not whole or (body == own and may == "either"), (number, got[:300])
    else:
        assert status in (0, 502) and (whole or not status), (number, got[:300])


async def carry_mix(folder: Path, calls: int, seed: int) -> tuple[Counter[str], Counter[int]]:
    """Carry `calls` calls; how often each way was seen, and how often the peer got each number."""
    seen: Counter[str] = Counter()
    async with open_ground(folder) as ground:
        ground.play = play
        left = list(range(calls))
        async with asyncio.TaskGroup() as lanes:
            kept = [lanes.create_task(run_lane(ground, left, random.Random(seed + lane), seen), name=f"lane {lane}") for lane in range(_LANES)]
        assert all(lane.done() for lane in kept)
        await ground.turn_until(lambda: not ground.plane.traffic.in_flight)
        await ground.check()
    return seen, ground.asked


if __name__ == "__main__":
    calls = int(sys.argv[1])
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        found, _ = uvloop.run(carry_mix(Path(scratch), calls, 1))
    print(f"{calls} calls, no foreign byte, {time.monotonic() - begin:.0f} s:", dict(sorted(found.items())))
