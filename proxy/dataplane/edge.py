"""The edge towards clients: aiohttp's server protocol, with what real clients and a relay need beyond it.

Three things differ from aiohttp's own `RequestHandler`. A second `User-Agent` header, which pydantic-ai sends and
aiohttp's parser refuses, is renamed in the head before parsing and gets its name back when the request is forwarded.
A relay writes its response straight to the socket and is told when the socket is full, so no queue stands between
upstream and client. After an upgrade the bytes go to a tunnel, untouched.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from aiohttp import web
from aiohttp.http_parser import HttpRequestParser
from aiohttp.web_protocol import RequestHandler, _ErrInfo

from proxy.config import Limits
from proxy.dataplane.request import Request
from proxy.dataplane.watch import Watch
from proxy.errors import Refusal, body

SECOND = b"X-Weighbridge-Second-"  # stands before the name, so that its spelling stays
_REASONS = {
    400: b"Bad Request", 401: b"Unauthorized", 402: b"Payment Required", 403: b"Forbidden", 404: b"Not Found", 408: b"Request Timeout",
    413: b"Content Too Large", 426: b"Upgrade Required", 429: b"Too Many Requests", 500: b"Internal Server Error", 502: b"Bad Gateway",
    503: b"Service Unavailable", 504: b"Gateway Timeout",
}  # fmt: skip

if HttpRequestParser.__module__ != "aiohttp._http_parser":
    raise RuntimeError("aiohttp runs without its C parser, whose strictness we rely on; unset AIOHTTP_NO_EXTENSIONS and reinstall aiohttp")


class Paced(Protocol):
    """Who must stop producing while the client's socket is full."""

    def client_paused(self, paused: bool) -> None: ...


class Edge(RequestHandler):
    """One client connection."""

    __slots__ = ("_address", "_held", "_watch", "loop", "meeting", "relay", "tunnel", "wire")

    def __init__(self, watch: Watch, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._watch = watch
        self.loop = self._loop
        self._address = ""
        self.wire: asyncio.Transport | None = None  # aiohttp forgets its own as soon as it closes it, though there may be bytes left in it
        self._held = b""  # a request head that has not fully arrived
        self.meeting: Any = None  # a `Meeting`: what the newest head told
        self.relay: Paced | None = None
        self.tunnel: Callable[[bytes], None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.wire = transport  # type: ignore[assignment]
        peer = transport.get_extra_info("peername")
        self._address = peer[0] if isinstance(peer, tuple) else ""
        refusal = self._watch.enter(self._address)
        if refusal is not None:
            self.refuse(refusal)

    def connection_lost(self, exc: BaseException | None) -> None:
        self.wire = None
        self._watch.leave(self, self._address)
        super().connection_lost(exc)

    async def start(self) -> None:
        """The requests of this connection, one after the other: aiohttp's own loop less the task, the writer and the response of each."""
        loop = self._loop
        manager, handler = self._manager, self._request_handler
        while not self._force_close:
            if not self._messages:
                self._waiter = loop.create_future()
                try:
                    await self._waiter
                finally:
                    self._waiter = None
            message, payload = self._messages.popleft()
            if self._parser is not None:
                self._parser.message_consumed()
            if self._buffer_paused and len(self._messages) <= self._msg_queue_resume_size:
                self._resume_reading_if_drained()
            manager.requests_count += 1
            try:
                self._keepalive = await self._answer(message, payload, handler)
                if not payload.is_eof():
                    await self._linger(payload)
            except ConnectionError:
                break
            except asyncio.CancelledError:
                self.force_close()
                raise
            except Exception as error:  # a defect of ours must not leave the connection open
                self.log_exception("a defect between two requests", exc_info=error)
                break
            if not self._keepalive or self._close or self._force_close:
                break
            self._next_keepalive_close_time = loop.time() + self._keepalive_timeout
            if self._keepalive_handle is None:
                self._keepalive_handle = loop.call_at(self._next_keepalive_close_time, self._process_keepalive)
        if not self._force_close:
            await asyncio.sleep(0)  # what the outbox holds of this turn leaves first
            self._task_handler = None
            if self.transport is not None:
                self.transport.close()

    async def _answer(self, message: Any, payload: Any, handler: Any) -> bool:
        """Answer one request; whether the connection may be used on."""
        if isinstance(message, _ErrInfo):
            return self.handle_error(None, message.status, message.exc).keep_alive
        request = self._current_request = Request(message, payload, self)  # type: ignore[assignment]
        self._request_in_progress = True
        try:
            sent = await handler(request)
        except (asyncio.CancelledError, ConnectionError):
            raise
        except Exception as error:  # a defect of ours ends this call, and says so
            sent = self.handle_error(request, 500, error)
        finally:
            self._current_request = None
            self._request_in_progress = False
            if self._handler_waiter is not None:
                self._handler_waiter.set_result(None)
        if self._upgraded:
            await self.finish_response(request, sent, None)
        return sent.keep_alive

    async def _linger(self, payload: Any) -> None:
        """Read what still comes of a request that was answered before its end, for a while; then the connection is closed."""
        try:
            async with asyncio.timeout(self._lingering_time):
                while not payload.is_eof() and not self._force_close:
                    await payload.readany()
        except TimeoutError:
            self.close()

    def refuse(self, refusal: Refusal) -> None:
        """Answer what is no call yet with a refusal, and close."""
        if self.transport is not None:
            self.transport.write(write_refusal(refusal, "openai", "-", keep_alive=False))
            self.force_close()

    def begin_call(self) -> None:
        """A call on this connection; `end_call` follows in any case. Raises `Refusal`."""
        self._watch.begin_call(self._address)

    def end_call(self) -> None:
        """It has ended."""
        self._watch.end_call(self._address)

    def data_received(self, data: bytes) -> None:
        if self.tunnel is not None:
            self.tunnel(data)
            return
        if not (self._held or self._is_between_messages()) or self._force_close:
            super().data_received(data)
            return
        data = self._held + data if self._held else data
        end = data.find(b"\r\n\r\n")
        if max(end, 0) > self._watch.head_bytes or (end < 0 and len(data) > self._watch.head_bytes):
            self._held = b""
            self.refuse(Refusal("caller_bad_request", "The request's head is too long (limits.header_bytes)."))
        elif end >= 0 or b"\n\n" in data or b"\n\r\n" in data:  # of bare line feeds the parser says what it thinks
            self._held = b""
            super().data_received(mend_head(data, end))
            if self._is_between_messages():  # they were empty lines
                self._watch.head_began(self)
            else:
                self._watch.head_ended(self)
        else:
            self._held = data
            self._watch.head_began(self)

    def _is_between_messages(self) -> bool:
        waiter = self._waiter
        return self._request_count == 0 if waiter is None else not waiter.done()

    def begin_tunnel(self, take: Callable[[bytes], None]) -> None:
        """From now on all bytes of the client go to `take`, first those that came behind the request."""
        self.tunnel = take
        if self._buffer_paused:  # more had come than aiohttp keeps
            self._resume_reading_for_buffer()
        if self._message_tail:
            tail, self._message_tail = self._message_tail, b""
            take(tail)

    def reset(self) -> None:
        """Cut the connection with a reset, so that no client can take an answer without framing for whole."""
        if self.wire is not None:
            self.wire.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.wire.abort()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch.stalled(self)
        if self.relay is not None:
            self.relay.client_paused(True)

    def resume_reading(self, resume_parser: bool = True) -> None:
        """aiohttp asks this of every body that has been read, and parses once more; which has a sense only where reading was paused."""
        if self._reading_paused:
            super().resume_reading(resume_parser)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._watch.taken(self)
        if self.relay is not None:
            self.relay.client_paused(False)

    def handle_error(self, request: Request, status: int = 500, exc: BaseException | None = None, message: str | None = None) -> Any:
        """Our own error page: aiohttp's would echo the offending line, and a key with it."""
        name = "caller_bad_request" if status < 500 else "weighbridge_internal"
        text = "The request is not well-formed HTTP." if status < 500 else "Weighbridge failed to handle this call; its log has the cause."
        if status >= 500:
            self.logger.error("a call failed: %s", type(exc).__name__, exc_info=exc)
        if self.transport is not None:
            self.transport.write(write_refusal(Refusal(name, text), "openai", "-", keep_alive=False))
        return Sent(keep_alive=False)

    def log_exception(self, *arguments: Any, **options: Any) -> None:
        self.logger.error("the client connection failed: %s", arguments[0] if arguments else "", exc_info=options.get("exc_info"))


def mend_head(data: bytes, end: int) -> bytes:
    """The bytes with every `User-Agent` header but the first renamed; `end` is where the head's blank line stands."""
    head = data[: end if end >= 0 else len(data)].lower()
    if head.count(b"\nuser-agent:") < 2:
        return data
    position = head.find(b"\nuser-agent:")
    while (position := head.rfind(b"\nuser-agent:", position + 1)) >= 0:
        data = data[: position + 1] + SECOND + data[position + 1 :]
        head = head[:position]
        position = head.find(b"\nuser-agent:")
    return data


class Sent:
    """The response that aiohttp gets to see: it has been written already."""

    __slots__ = ("keep_alive",)
    status = 200

    def __init__(self, *, keep_alive: bool) -> None:
        self.keep_alive = keep_alive

    async def prepare(self, request: Request) -> None:
        """Nothing is left to write."""

    async def write_eof(self) -> None:
        """Nothing is left to write."""


def write_refusal(refusal: Refusal, dialect: str, call_id: str, *, keep_alive: bool) -> bytes:
    """A refusal as the bytes of a whole response."""
    content, headers = body(refusal, dialect, call_id)
    lines = [b"HTTP/1.1 %d %s" % (refusal.status, _REASONS[refusal.status])]
    lines += [f"{name}: {value}".encode("latin-1") for name, value in headers]
    lines.append(b"Content-Length: %d" % len(content))
    if not keep_alive:
        lines.append(b"Connection: close")
    return b"\r\n".join(lines) + b"\r\n\r\n" + content


class EdgeServer(web.Server):
    """aiohttp's low-level server, making an `Edge` for each client connection."""

    def __init__(self, handler: Callable[[Request], Awaitable[Sent]], limits: Limits) -> None:
        super().__init__(
            handler,  # type: ignore[arg-type]  # Sent has all that the protocol asks of a response
            handler_cancellation=True,
            auto_decompress=False,
            access_log=None,
            keepalive_timeout=limits.idle_client_s,
            max_line_size=limits.header_bytes,
            max_field_size=limits.header_bytes,
            lingering_time=10.0,
        )
        self._watch = Watch(limits)

    def sweep(self) -> None:
        """Once a second: end the client connections that are over a limit."""
        self._watch.sweep(self.connections)

    def __call__(self) -> Edge:
        return Edge(self._watch, self, loop=asyncio.get_running_loop(), **self._kwargs)
