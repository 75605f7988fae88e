"""Ordinary clients, in a process of their own, and the answers they get: what something else is measured by."""

from __future__ import annotations

import asyncio
import contextlib
import json
import multiprocessing
import random
import re
import statistics
import time
from multiprocessing.connection import Connection

import uvloop

LANES = 8  # clients, …
PAUSE_S = 0.02  # … each of which waits so long between two calls, on average
ASK = json.dumps({"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "How far is it? " * 60}]}).encode()
ANSWER = json.dumps({
    "id": "chatcmpl-1", "object": "chat.completion", "model": "gpt-4o-mini",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Not far. " * 60}}],
    "usage": {"prompt_tokens": 300, "completion_tokens": 180, "total_tokens": 480},
}).encode()  # fmt: skip
HEAD = b"POST /a/%b/up/v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
CALL = HEAD % (b"ordinary", len(ASK)) + ASK


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, big: bytes = ANSWER) -> None:
    """The upstream: it answers every request at once, with `big` to whoever says so in the path."""
    with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", head.lower())
            await reader.readexactly(int(length[1]) if length else 0)
            body = big if b"/big" in head.split(b" ", 2)[1] else ANSWER
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body))
            writer.write(body)
            await writer.drain()
    writer.close()


class Ordinary:
    """Clients that call a port for as long as they are told to."""

    def __init__(self, port: int) -> None:
        self._near, far = multiprocessing.Pipe()
        self._process = multiprocessing.Process(target=_call, args=(port, far), daemon=True)
        self._process.start()

    def start(self, round_s: float) -> None:
        """Call for so many seconds; `finish` has what became of it."""
        self._near.send(round_s)

    def finish(self) -> tuple[list[float], int]:
        """(how long each call took in seconds, how many failed) in the round."""
        return self._near.recv()

    def close(self) -> None:
        self._process.kill()


def percentiles_ms(taken: list[float]) -> tuple[float, float]:
    """(median, p99) in milliseconds."""
    return statistics.median(taken) * 1000, statistics.quantiles(taken, n=100)[98] * 1000


def _call(port: int, pipe: Connection) -> None:
    async def lane(until: float, taken: list[float]) -> int:
        failed = 0
        while time.monotonic() < until:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                while time.monotonic() < until:
                    failed += 1  # unless it ends well
                    began = time.perf_counter()
                    writer.write(CALL)
                    head = await reader.readuntil(b"\r\n\r\n")
                    content = await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]))
                    taken.append(time.perf_counter() - began)
                    failed -= head.startswith(b"HTTP/1.1 200 ") and content == ANSWER
                    await asyncio.sleep(random.uniform(0, 2 * PAUSE_S))
                writer.close()
        return failed

    async def main(round_s: float) -> tuple[list[float], int]:
        taken: list[float] = []
        until = time.monotonic() + round_s
        return taken, sum(await asyncio.gather(*(lane(until, taken) for _ in range(LANES))))

    while round_s := pipe.recv():
        pipe.send(uvloop.run(main(round_s)))
