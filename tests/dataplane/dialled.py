"""What there is to connect to in the tests of dialling: servers, a listener that never takes, a resolver that answers as told."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Iterator

import pytest

from proxy.dataplane.dial import Dialer
from proxy.errors import Refusal

V4, V6 = socket.AF_INET, socket.AF_INET6


@contextlib.contextmanager
def listening(backlog: int = 16) -> Iterator[socket.socket]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(backlog)
        yield listener


@contextlib.contextmanager
def silent() -> Iterator[tuple]:
    """The address of a listener whose queue is full: a connection to it is neither taken nor refused."""
    with listening(0) as listener, contextlib.ExitStack() as held:
        for _ in range(2):
            each = held.enter_context(socket.socket())
            each.setblocking(False)
            each.connect_ex(listener.getsockname())
        yield listener.getsockname()


def refusing() -> tuple:
    """An address where nobody listens."""
    with listening() as listener:
        return listener.getsockname()


@contextlib.asynccontextmanager
async def serve(tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """The port of a server that answers each byte by `!`."""

    async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while await reader.read(1):
                writer.write(b"!")
        writer.close()

    server = await asyncio.start_server(meet, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


class Talk(asyncio.Protocol):
    """Asks one byte."""

    def connection_made(self, transport):
        self.transport = transport
        self.answered = asyncio.get_running_loop().create_future()
        transport.write(b"?")

    def data_received(self, data):
        self.answered.set_result(data)

    def connection_lost(self, error):
        if not self.answered.done():
            self.answered.set_exception(error or EOFError())


class Dns:
    """A resolver that gives these addresses, one answer after the other, the last for ever."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, int]] = []

    async def __call__(self, host: str, port: int) -> list:
        self.asked.append((host, port))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [(V6, (one, port, 0, 0)) if ":" in one else (V4, (one, port)) for one in answer.split()]


async def talk(dialer: Dialer, within_s: float = 5.0) -> Talk:
    spoken = await dialer.dial(Talk, within_s)
    try:
        async with asyncio.timeout(5):
            assert await spoken.answered == b"!"
        dialer.keep_session(spoken.transport)
    finally:
        spoken.transport.abort()
    return spoken


async def refusal(dialer: Dialer, within_s: float = 5.0) -> tuple[str, str]:
    with pytest.raises(Refusal) as caught:
        await talk(dialer, within_s)
    return caught.value.name, caught.value.message
