"""A tap: a TCP relay that notes every HTTP exchange and WebSocket passing through it, and can hold an answer back.

Two of them stand around the proxy, `client → near tap → proxy → far tap → provider`, so what goes in can be compared
with what comes out, byte for byte. Bytes are noted before they are passed on: what a client has seen is in the notes.
"""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Any

import httptools

Headers = list[tuple[bytes, bytes]]


@dataclasses.dataclass
class Exchange:
    """One request and its answer; chunk framing is taken off, nothing else."""

    method: bytes = b""
    target: bytes = b""
    headers: Headers = dataclasses.field(default_factory=list)
    body: bytes = b""
    sent: bool = False  # the request has arrived whole
    status: int | None = None
    answer_headers: Headers = dataclasses.field(default_factory=list)
    answer: bytes = b""
    answered: bool = False  # the answer has arrived whole
    chunks: int = 0  # of the answer; while one is held back, also the frames of a WebSocket's server
    client_bytes: bytes = b""  # of a WebSocket, behind its handshake
    server_bytes: bytes = b""


def count_frames(data: bytes) -> int:
    """The whole frames in what a WebSocket server sent (RFC 6455 §5.2: not masked)."""
    number = place = 0
    while place + 2 <= len(data):
        wide = {126: 2, 127: 8}.get(data[place + 1] & 127, 0)
        size = int.from_bytes(data[place + 2 : place + 2 + wide], "big") if wide else data[place + 1] & 127
        place += 2 + wide + size
        number += place <= len(data)
    return number


class RequestNotes:
    """httptools' callbacks for one connection's requests."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self.parser = httptools.HttpRequestParser(self)
        self.now = Exchange()

    def on_message_begin(self) -> None:
        self.now = Exchange()
        self._line.waiting.append(self.now)
        self._line.tap.exchanges.append(self.now)

    def on_url(self, url: bytes) -> None:
        self.now.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.now.headers.append((name, value))

    def on_headers_complete(self) -> None:
        self.now.method = self.parser.get_method()

    def on_body(self, body: bytes) -> None:
        self.now.body += body

    def on_message_complete(self) -> None:
        self.now.sent = True


class AnswerNotes:
    """httptools' callbacks for one answer."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.parser = httptools.HttpResponseParser(self)

    def on_header(self, name: bytes, value: bytes) -> None:
        self.exchange.answer_headers.append((name, value))

    def on_headers_complete(self) -> None:
        status = self.parser.get_status_code()
        if 100 <= status < 200 and status != 101:
            self.exchange.answer_headers.clear()
            return
        self.exchange.status = status
        if self.exchange.method == b"HEAD" or status == 101:
            self.exchange.answered = True

    def on_chunk_complete(self) -> None:
        self.exchange.chunks += 1

    def on_body(self, body: bytes) -> None:
        self.exchange.answer += body

    def on_message_complete(self) -> None:
        self.exchange.answered = self.exchange.status is not None


class Line:
    """One client connection and its continuation to the target."""

    def __init__(self, tap: Tap) -> None:
        self.tap = tap
        self.waiting: list[Exchange] = []
        self.client: asyncio.Transport | None = None
        self.server: asyncio.Transport | None = None
        self._early: list[bytes] = []  # from the client, before the target is connected
        self._held: list[bytes] = []
        self._server_gone = False
        self._requests = RequestNotes(self)
        self._answer: AnswerNotes | None = None
        self._tunnel: Exchange | None = None

    def from_client(self, data: bytes) -> None:
        if self._tunnel is not None:
            self._tunnel.client_bytes += data
        else:
            try:
                self._requests.parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                self._tunnel = self._requests.now
                self._tunnel.client_bytes += data[upgrade.args[0] :]
        if self.server is None:
            self._early.append(data)
        else:
            self.server.write(data)

    def server_came(self, transport: Any) -> None:
        self.server = transport
        if self._early:
            transport.writelines(self._early)
        if self.client is None:
            transport.abort()

    def from_server(self, data: bytes) -> None:
        if self.tap.hold_after is not None:
            data = self._pass_until_held(data)
        else:
            self._note(data)
        if data and self.client is not None:
            self.client.write(data)

    def _pass_until_held(self, data: bytes) -> bytes:
        """What may pass of `data`; the rest is kept for the release."""
        if self._held:
            self._held.append(data)
            return b""
        for position in range(len(data)):
            self._note(data[position : position + 1])
            exchange = self._answer.exchange if self._answer else None
            if exchange is not None and exchange.chunks >= (self.tap.hold_after or 0) > 0:
                self._held.append(data[position + 1 :])
                return data[: position + 1]
        return data

    @property
    def holds(self) -> bool:
        return bool(self._held)

    def release(self) -> None:
        """Pass on what was held back."""
        held, self._held = b"".join(self._held), []
        self.from_server(held)
        if self._server_gone and self.client is not None:
            self.client.close()

    def _note(self, data: bytes) -> None:
        while data:
            if self._tunnel is not None and self._tunnel.status == 101:
                self._tunnel.server_bytes += data
                if self.tap.hold_after is not None:
                    self._tunnel.chunks = count_frames(self._tunnel.server_bytes)
                return
            if self._answer is None or (self._answer.exchange.answered and self.waiting):
                if not self.waiting:
                    return
                self._answer = AnswerNotes(self.waiting.pop(0))
            try:
                self._answer.parser.feed_data(data)
                data = b""
            except httptools.HttpParserUpgrade as upgrade:
                data = data[upgrade.args[0] :]

    def client_gone(self) -> None:
        self.client = None
        if self.server is not None:
            self.server.abort()

    def server_gone(self) -> None:
        self.server = None
        self._server_gone = True
        if self.client is not None and not self._held:
            self.client.close()


class _Near(asyncio.Protocol):
    def __init__(self, line: Line) -> None:
        self._line = line

    def connection_made(self, transport: Any) -> None:
        self._line.client = transport
        self._line.tap.lines.add(self._line)
        self._line.tap.connect(self._line)

    def data_received(self, data: bytes) -> None:
        self._line.from_client(data)

    def connection_lost(self, error: Exception | None) -> None:
        self._line.tap.lines.discard(self._line)
        self._line.client_gone()


class _Far(asyncio.Protocol):
    def __init__(self, line: Line) -> None:
        self._line = line

    def connection_made(self, transport: Any) -> None:
        self._line.server_came(transport)

    def data_received(self, data: bytes) -> None:
        self._line.from_server(data)

    def connection_lost(self, error: Exception | None) -> None:
        self._line.server_gone()


class Tap:
    """Listens on a port of its own and relays to `target`, a port on this machine. All methods run on its loop."""

    def __init__(self, target: int) -> None:
        self.exchanges: list[Exchange] = []
        self.lines: set[Line] = set()
        self.hold_after: int | None = None  # chunks of an answer that pass; the rest waits
        self.port = 0
        self._target = target
        self._connecting: set[asyncio.Task] = set()
        self._server: asyncio.Server | None = None

    async def open(self) -> Tap:
        self._server = await asyncio.get_running_loop().create_server(lambda: _Near(Line(self)), "127.0.0.1", 0, backlog=512)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def connect(self, line: Line) -> None:
        task = asyncio.ensure_future(self._connect(line))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    async def _connect(self, line: Line) -> None:
        try:
            await asyncio.get_running_loop().create_connection(lambda: _Far(line), "127.0.0.1", self._target)
        except OSError:
            line.server_gone()

    def take(self) -> list[Exchange]:
        """All exchanges noted since the last time."""
        taken, self.exchanges = self.exchanges, []
        return taken

    def release(self) -> bool:
        """Let held answers go on. Whether every answer was still unfinished until now."""
        unfinished = any(line.holds for line in self.lines) or bool(self.exchanges) and not self.exchanges[-1].answered
        self.hold_after = None
        for line in list(self.lines):
            line.release()
        return unfinished

    def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for line in list(self.lines):
            if line.client is not None:
                line.client.abort()
