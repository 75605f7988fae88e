"""The ground of the fault suite: a data plane in this process, a scripted peer as its upstream, and raw clients.

Every request carries a number of its own in `x-number`. The peer answers it with that number, so whatever reaches a
client can be told from what was meant for it; a request that asks for the fault (`x-fault`) gets the scripted bytes
instead. After each case `Ground.check` holds what has to be true of every case.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import ssl
import struct
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import count
from pathlib import Path

from proxy.config import Config, Limits, Upstream
from proxy.dataplane.edge import EdgeServer
from proxy.dataplane.plane import DataPlane
from tests.dataplane.conftest import Exchange

CHAT = b"/up/v1/chat/completions"
ASK = b'{"model":"gpt-4o-mini","messages":[{"role":"user","content":"hi"}]}'
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
FOREIGN = b"FOREIGN"  # stands in whatever the peer sends that nobody asked for
NUMBER = re.compile(rb"\r\nx-number: (\d+)\r\n", re.IGNORECASE)

Play = Callable[[Exchange], Awaitable[None]]
Step = bytes | Play


def answer_to(number: int, size: int = 0) -> bytes:
    """The body of the whole answer that belongs to a number."""
    return b'{"number":%d,"choices":[{"index":0,"message":{"role":"assistant","content":"%b"}}]}' % (number, b"%d." % number * size)


def request(number: int, headers: bytes = b"", body: bytes = ASK, *, connection: bytes = b"close", target: bytes = CHAT) -> bytes:
    """An ordinary call's bytes."""
    head = b"POST %b HTTP/1.1\r\nHost: proxy\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: %b\r\nx-number: %d\r\n%b\r\n"
    return head % (target, len(body), connection, number, headers) + body


def read_answer(data: bytes) -> tuple[int, bytes, bool]:
    """(status, content, whether a client can see that it is whole) of one answer; status 0 where there is none."""
    head, mark, body = data.partition(b"\r\n\r\n")
    if not mark:
        return 0, data, False
    status, lower = int(head.split(b" ", 2)[1]), head.lower()
    if length := re.search(rb"\r\ncontent-length: (\d+)", lower):
        return status, body, len(body) == int(length[1])
    if b"transfer-encoding: chunked" not in lower:
        return status, body, status in (204, 304)
    content = b""
    while body:
        size, _, body = body.partition(b"\r\n")
        if not (wanted := int(size, 16)):
            return status, content, body == b"\r\n"
        content, body = content + body[:wanted], body[wanted + 2 :]
    return status, content, False


async def reset(exchange: Exchange) -> None:
    """End the connection with a reset."""
    exchange.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    exchange.writer.transport.abort()


async def half_close(exchange: Exchange) -> None:
    """Say that nothing more will be sent, and go on reading until the other side ends."""
    exchange.writer.write_eof()
    await exchange.reader.read()


class Ground:
    """A data plane, its peer, and what both have seen."""

    def __init__(self, plane: DataPlane, server: EdgeServer, port: int, folder: Path) -> None:
        self.plane = plane
        self.server = server
        self.port = port
        self.client_saw = asyncio.Event()  # the head and the first piece of the faulty answer
        self.asked: Counter[int] = Counter()  # how often the peer got each number
        self.numbers = count(1)
        self.early: Play | None = None  # runs once a head is there that says `x-early`
        self.play: Callable[[Exchange, int], Awaitable[bool]] | None = None  # answers requests that say `x-way`
        self.folder = folder

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 22)

    async def ask(self, data: bytes, limit_s: float = 10, *, end: bool = False) -> bytes:
        """Send bytes on a new connection; what comes back until its end, or until a reset. `end`: no more is sent than these."""
        reader, writer = await self.connect()
        got = b""
        try:
            async with asyncio.timeout(limit_s):
                writer.write(data)
                with contextlib.suppress(ConnectionError):
                    while piece := await reader.read(1 << 20):
                        got += piece
                        if end and read_answer(got.removeprefix(CONTINUE))[2]:
                            break
                        if got.partition(b"\r\n\r\n")[2]:
                            self.client_saw.set()
        finally:
            writer.close()
        return got

    async def check(self) -> None:
        """What holds after every case: fresh calls work within 3 s, with their own bytes only, and no POST went up twice."""
        async with asyncio.timeout(3):
            for _ in range(2):
                number = next(self.numbers)
                got = await self.ask(request(number))
                assert read_answer(got) == (200, answer_to(number), True), got
        assert all(times == 1 for times in self.asked.values()), self.asked
        assert not self.plane.traffic.in_flight

    async def turn_until(self, holds: Callable[[], bool]) -> None:
        """Let the data plane's clock tick until something holds."""
        async with asyncio.timeout(5):
            while not holds():
                self.plane.tick()
                self.server.sweep()
                await asyncio.sleep(0.002)


async def _play(exchange: Exchange, steps: tuple[Step, ...], bytewise: bool) -> None:
    for step in steps:
        if not isinstance(step, bytes):
            await step(exchange)
        elif bytewise:
            for index in range(len(step)):
                await exchange.send(step[index : index + 1])
                await asyncio.sleep(0)
        else:
            await exchange.send(step)


async def serve(exchange: Exchange, ground: Ground, steps: tuple[Step, ...], bytewise: bool) -> None:
    """One connection of the peer: each request gets its own answer, or the fault."""
    while True:
        exchange.ground = ground
        head = await exchange.read_request() if ground.early is None else await exchange.reader.readuntil(b"\r\n\r\n")
        number = NUMBER.search(head)
        assert number is not None, head
        ground.asked[int(number[1])] += 1
        lower = head.lower()
        if b"\r\nx-early:" in lower:
            play, ground.early = ground.early, None
            await play(exchange)
            return
        if b"\r\nx-fault:" in lower:
            await _play(exchange, steps, bytewise)
            return
        if ground.play is not None and b"\r\nx-way:" in lower:
            if not await ground.play(exchange, int(number[1])):
                return
        else:
            await exchange.reply(answer_to(int(number[1])))


@contextlib.asynccontextmanager
async def open_ground(
    folder: Path, steps: tuple[Step, ...] = (), *, bytewise: bool = False, limits: Limits | None = None, certificate: Path | None = None,
    furnish: Callable[[Config, Path], Config] | None = None,
) -> AsyncIterator[Ground]:
    """A running data plane before a peer that plays `steps` where the fault is asked for, then closes.

    `furnish` makes another config of the ground's, and writes it where a reload will read it.
    """
    tls = None
    if certificate is not None:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(certificate)
    meetings: set[asyncio.Task] = set()

    async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        meetings.add(asyncio.current_task())
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await serve(Exchange(reader, writer), ground, steps, bytewise)
        writer.close()
        meetings.discard(asyncio.current_task())  # one that has failed stays

    peer = await asyncio.start_server(meet, "127.0.0.1", 0, ssl=tls, limit=1 << 20)
    port = peer.sockets[0].getsockname()[1]
    up = Upstream(url=f"https://localhost:{port}", ca_file=str(certificate)) if tls else Upstream(url=f"http://127.0.0.1:{port}")
    config = Config(state_dir=str(folder), demo=False, upstreams={"up": up}, limits=limits or Limits())
    file = folder / "weighbridge.yaml"
    if furnish is not None:
        config = furnish(config, file)
    plane = DataPlane(config, None, str(file))
    server = EdgeServer(plane.answer, config.limits)
    listening = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0)
    ground = Ground(plane, server, listening.sockets[0].getsockname()[1], folder)
    try:
        yield ground
    finally:
        listening.close()
        await server.shutdown(0.1)
        plane.close()
        peer.close()
        async with asyncio.timeout(5):
            done = await asyncio.gather(*meetings, return_exceptions=True)
    for one in done:
        assert not isinstance(one, AssertionError), one
