"""Forwarding: reading a request's body, sending it to its upstream, and waiting for the relay of the answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable

import msgspec

from proxy.call import Call
from proxy.config import Limits
from proxy.dataplane.relay import Relay
from proxy.dataplane.request import Request
from proxy.dataplane.tunnel import Tunnel
from proxy.dataplane.upstream import Connection, Pool
from proxy.errors import Refusal
from proxy.wire import decoder, read_ask

_SLICE_BYTES = 16 * 1024  # unpacked at once; gzip makes 16 MiB of it at most
_MOST_RATIO = 100  # of a packed body to what it unpacks to; prompts reach 20
_SMALL_BYTES = 1024 * 1024  # that any body may unpack to
_KEPT_BYTES = 64 * 1024  # of each end of a body that is streamed through: where a form's `model` field stands


def make_head(method: str, pool: Pool, target: str, lines: bytes, extra: bytes) -> bytes:
    """The bytes of an upstream request's head; `lines` and `extra` are headers, as they are written."""
    path = pool.base_path + target.encode("utf-8", "surrogateescape")
    if not path.startswith(b"/"):
        path = b"/" + path
    return b"%b %b HTTP/1.1\r\nHost: %b\r\n%b%b\r\n" % (method.encode(), path, pool.authority, lines, extra)


class Pace:
    """Reads a body that is still on its way, no longer than its client may take: `body_s`, and a second more for each floor's worth that came."""

    __slots__ = ("_content", "_due", "_floor", "_loop")

    def __init__(self, request: Request, limits: Limits) -> None:
        self._loop = asyncio.get_running_loop()
        self._content = request.content
        self._due = self._loop.time() + limits.body_s
        self._floor = limits.body_bytes_per_s

    async def read(self) -> bytes:
        """The next piece; empty at the end. Raises `Refusal` caller_too_slow."""
        try:
            async with asyncio.timeout_at(self._due):
                piece = await self._content.readany()
        except TimeoutError:
            raise Refusal("caller_too_slow", "The request body came too slowly (limits.body_s, limits.body_bytes_per_s).") from None
        self._due += len(piece) / self._floor
        return piece

    async def wait(self, held: Awaitable[None]) -> None:
        """Wait for what is not the client's doing; it has that much longer."""
        began = self._loop.time()
        await held
        self._due += self._loop.time() - began


async def read_body(request: Request, limits: Limits) -> bytes:
    """The whole request body, as it came. Raises `Refusal` caller_body_too_large or caller_too_slow."""
    content = request.content
    if content.is_eof():
        body = content.read_nowait(-1) if request.body_exists else b""
        if len(body) > limits.body_bytes:
            raise _too_large(limits.body_bytes)
        return body
    announced = request.content_length
    if announced is not None and announced > limits.body_bytes:
        raise _too_large(limits.body_bytes)
    pieces: list[bytes] = []
    size, pace = 0, Pace(request, limits)
    while piece := await pace.read():
        size += len(piece)
        if size > limits.body_bytes:
            raise _too_large(limits.body_bytes)
        pieces.append(piece)
    return b"".join(pieces)


def _too_large(limit: int) -> Refusal:
    text = f"The request body is larger than the {limit} bytes that this proxy takes (limits.body_bytes, limits.upload_bytes)."
    return Refusal("caller_body_too_large", text)


async def decode_body(body: bytes, coding: str, limit: int) -> bytes | None:
    """A readable copy of a body; None if it cannot be decoded (which is the upstream's to judge), or grows as only bombs do.

    Unpacking happens in a thread: a small bomb may unpack to `limit` bytes, and no other call waits for that.
    """
    return await asyncio.to_thread(_unpack, body, coding, min(limit, _MOST_RATIO * len(body) + _SMALL_BYTES))


def _unpack(body: bytes, coding: str, limit: int) -> bytes | None:
    """First only to see how much it is, so that a bomb is never held; then to keep it."""
    pieces: list[bytes] = []
    for keep in (False, True):
        unpack = decoder(coding, limit)
        for start in range(0, len(body), _SLICE_BYTES):
            piece = unpack.feed(body[start : start + _SLICE_BYTES])
            if unpack.failed:
                return None
            if keep:
                pieces.append(piece)
    return b"".join(pieces)


async def send_stream(call: Call, relay: Relay | Tunnel, connection: Connection, request: Request, limits: Limits) -> None:
    """Send a request body as it comes, until it ends or an answer has: neither side may hold the other up for good.

    Raises `Refusal` caller_body_too_large or caller_too_slow; the upstream's connection is to be aborted then. Where an answer has begun, a
    refusal would stand within it: it breaks off instead.
    """
    upload = asyncio.create_task(_upload(call, relay, connection, request, limits), name="upload")
    try:
        await asyncio.wait((upload, relay.done), return_when=asyncio.FIRST_COMPLETED)
    finally:
        upload.cancel()
        failure = upload.exception() if upload.done() else None
    if isinstance(failure, Refusal) and relay.head_sent:
        connection.cancel(relay)
        relay.broken(failure.name, failure.message)
    elif failure is not None:
        raise failure


async def _upload(call: Call, relay: Relay | Tunnel, connection: Connection, request: Request, limits: Limits) -> None:
    """Send the body piece by piece, under the back-pressure of both sockets; then read what its ends ask."""
    chunked = request.content_length is None
    first = last = b""
    pace = Pace(request, limits)
    while piece := await pace.read():
        call.request_bytes += len(piece)
        if call.request_bytes > limits.upload_bytes:
            raise _too_large(limits.upload_bytes)
        connection.write(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
        first = first if len(first) >= _KEPT_BYTES else first + piece[:_KEPT_BYTES]
        last = (last + piece)[-_KEPT_BYTES:]
        relay.last_activity = time.monotonic()
        await pace.wait(relay.upload_open())
    if chunked:
        connection.write(b"0\r\n\r\n")
    connection.sent()
    if relay.head_sent:
        return
    try:
        call.ask = read_ask(call.kind, first if first.endswith(last) else first + last, request.headers.get("Content-Type", ""))
    except msgspec.DecodeError:  # two ends of a long body are no JSON; what it asks stays unknown
        return
