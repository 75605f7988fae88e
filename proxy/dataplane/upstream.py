"""Connections to upstreams: one HTTP/1.1 exchange at a time over a pooled socket, framed exactly.

A `Connection` parses the response with llhttp (httptools) and hands every piece, in the moment it arrives, to the
`Receiver` of the exchange; nothing is queued in between, so back-pressure is the socket's own. It goes back to its pool
only when the response is provably complete; a byte that arrives on an idle connection closes it. What is not
unambiguously framed (two lengths, a length beside chunks, a transfer coding other than `chunked`) is refused.
"""

from __future__ import annotations

import asyncio
import select
import time
from collections.abc import Callable
from typing import Protocol
from urllib.parse import urlsplit

import httptools

from proxy.config import Limits, Upstream
from proxy.dataplane.dial import Dialer, is_end_told
from proxy.dataplane.headers import Headers, ResponseHead, keep_alive_s, read_response_head
from proxy.dataplane.names import Resolve, resolve
from proxy.dataplane.outbox import Outbox
from proxy.errors import Refusal

_MAX_HEAD_BYTES = 256 * 1024  # without a byte of a body among them: heads, extensions of chunks, trailers


class Receiver(Protocol):
    """Who gets the answer of one exchange. Called from the socket's own callback: must not block."""

    def head_came(self, head: ResponseHead) -> None: ...

    def body_came(self, data: bytes) -> None: ...

    def message_ended(self) -> None: ...

    def batch_ended(self) -> None:
        """All pieces of one read of the socket have been handed over."""

    def broken(self, name: str, message: str) -> None:
        """The exchange failed; `name` is an upstream_* error name."""

    def upload_paused(self, paused: bool) -> None: ...


class Connection(asyncio.Protocol):
    """One socket to an upstream."""

    __slots__ = (
        "pool", "transport", "_parser", "_receiver", "_method", "_status", "_reason", "_headers", "_head_bytes", "_framing", "_poll",
        "idle_since", "keep_s", "_reusable", "_tunnel", "_upgrade", "_request_sent",
    )  # fmt: skip

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.transport: asyncio.Transport = None  # type: ignore[assignment]  # set by connection_made, before any use
        self._parser = httptools.HttpResponseParser(self)
        self._receiver: Receiver | None = None
        self._method = ""
        self._upgrade = self._request_sent = self._reusable = self._tunnel = False
        self._status = self._head_bytes = 0
        self._reason = b""
        self._headers: Headers = []
        self._framing: str | int | None = None  # None: the head is still to come
        self._poll = select.poll()
        self.idle_since = 0.0
        self.keep_s = pool.idle_s

    def start(self, receiver: Receiver, method: str, head: bytes, *, upgrade: bool = False, complete: bool = True) -> None:
        """Send a request head; the answer goes to `receiver`. `complete`: the body stands behind the head already."""
        self._receiver = receiver
        self._method = method
        self._upgrade = upgrade
        self._request_sent = complete
        self._framing = None
        self._head_bytes = 0
        self._reusable = False
        self.pool.outbox.send(self.transport, head)

    def sent(self) -> None:
        """The whole request body has been written."""
        self._request_sent = True

    def write(self, data: bytes) -> None:
        """Send a piece of the request body, or of a tunnel."""
        self.pool.outbox.send(self.transport, data)

    def hold(self, paused: bool) -> None:
        """Read no more of the answer, or go on."""
        if self.transport is not None:
            (self.transport.pause_reading if paused else self.transport.resume_reading)()

    def hand_over(self, receiver: Receiver, other: Receiver) -> None:
        """The rest of the answer of `receiver` goes to another one; nothing where it is over."""
        if self._receiver is receiver:
            self._receiver = other

    def cancel(self, receiver: Receiver) -> None:
        """End the exchange of `receiver` now: nobody wants the rest. One that is over leaves the connection to whoever has it by now."""
        if self._receiver is receiver:
            self.abort()

    def abort(self) -> None:
        """End the connection now."""
        self._receiver = None
        if self.transport is not None:
            self.transport.abort()

    # --- asyncio's callbacks --------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]
        self._poll.register(transport.get_extra_info("socket").fileno(), select.POLLIN)
        self.pool.connections.add(self)

    def data_received(self, data: bytes) -> None:
        receiver = self._receiver
        if receiver is None:  # a byte nobody asked for: never let it reach the next caller
            self.transport.abort()
            return
        if self._tunnel:
            receiver.body_came(data)
            receiver.batch_ended()
            return
        self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            rest = data[upgrade.args[0] :]
            if self._tunnel and rest:
                receiver.body_came(rest)
        except httptools.HttpParserError as error:
            cause = error.__context__
            if self._receiver is None:  # the answer was whole; what came behind it is poison
                self._reusable = False
            elif isinstance(cause, Refusal):
                self._fail(cause.name, cause.message)
                return
            elif isinstance(error, httptools.HttpParserCallbackError):
                raise
            else:
                self._fail("upstream_malformed", "The provider's answer is not well-formed HTTP.")
                return
        if self._head_bytes > _MAX_HEAD_BYTES and self._receiver is not None:
            self._fail("upstream_malformed", "The provider's answer has too large a head, or too large trailers.")
            return
        receiver.batch_ended()
        if self._receiver is None and self.transport is not None:
            self._leave()

    def connection_lost(self, error: Exception | None) -> None:
        self.pool.forget(self)
        receiver, self._receiver = self._receiver, None
        transport, self.transport = self.transport, None  # type: ignore[assignment]
        self._parser = None  # it and the connection hold each other: they would be garbage
        if receiver is None:
            return
        if self._tunnel or (self._framing == "close" and error is None and is_end_told(transport)):  # RFC 9112, section 9.8
            receiver.message_ended()
            receiver.batch_ended()
        else:
            receiver.broken("upstream_cut", "The provider closed the connection before its answer was complete.")

    def pause_writing(self) -> None:
        if self._receiver is not None:
            self._receiver.upload_paused(True)

    def resume_writing(self) -> None:
        if self._receiver is not None:
            self._receiver.upload_paused(False)

    # --- llhttp's callbacks ---------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        self._headers = []
        self._reason = b""
        if self._receiver is None:  # more than the answer that was asked for
            self._reusable = False

    def on_status(self, reason: bytes) -> None:
        self._reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._framing is None:  # a trailer is not passed on, nor kept
            self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        status = self._status = self._parser.get_status_code()
        if 100 <= status < 200 and status != 101:
            return  # an interim answer; the final one follows
        if self._receiver is None or self._framing is not None:
            raise Refusal("upstream_malformed", "The provider sent more than one answer.")
        if self._head_bytes > _MAX_HEAD_BYTES < len(self._reason) + sum(len(name) + len(value) + 4 for name, value in self._headers):
            raise Refusal("upstream_malformed", "The provider's answer has too large a head.")
        head = read_response_head(self._method, status, self._reason, self._headers, self._upgrade, self._parser.get_http_version())
        self._framing = framing = head.framing
        self._tunnel = framing == "tunnel"
        if "keep-alive" in head.fields:
            self.keep_s = min(self.pool.idle_s, keep_alive_s(head.fields))
        self._reusable = self._parser.should_keep_alive() and framing not in ("close", "tunnel")
        self._receiver.head_came(head)
        if framing == "none" and self._method == "HEAD":
            self._reusable = False  # llhttp cannot be told that a body announced to HEAD never comes
            self._finish()

    def on_body(self, data: bytes) -> None:
        self._head_bytes = 0
        if self._receiver is not None:
            self._receiver.body_came(data)

    def on_message_complete(self) -> None:
        if self._status >= 200 and self._receiver is not None:
            self._finish()

    # --- endings --------------------------------------------------------------------------------------------------

    def _finish(self) -> None:
        receiver, self._receiver = self._receiver, None
        if receiver is not None:
            receiver.message_ended()

    def _leave(self) -> None:
        """The response is complete and handed over: back to the pool, or closed."""
        if self._reusable and self._request_sent and not self.transport.is_closing():
            self.pool.put(self)
        else:
            self.transport.abort()  # in order it would wait for an upstream that does not take the rest of the request

    def _fail(self, name: str, message: str) -> None:
        receiver, self._receiver = self._receiver, None
        self.transport.abort()
        if receiver is not None:
            receiver.broken(name, message)

    def is_fresh(self, now: float) -> bool:
        """Whether an idle connection may be used: open, not too old, and with nothing to read (not even an end)."""
        return not self.transport.is_closing() and now - self.idle_since < self.keep_s and not self._poll.poll(0)


class Pool:
    """The connections to one upstream: the most recently used one first, none that may be stale."""

    def __init__(
        self, upstream: Upstream, limits: Limits, outbox: Outbox, clock: Callable[[], float] = time.monotonic, resolve: Resolve = resolve
    ) -> None:
        self.outbox = outbox
        self._dialer = Dialer(upstream, resolve, clock)
        url = urlsplit(upstream.url)
        self.hostname, self.port = self._dialer.host, self._dialer.port
        self.authority = (url.netloc if url.port else self.hostname if ":" not in self.hostname else f"[{self.hostname}]").encode()
        self.base_path = url.path.rstrip("/").encode()
        self.origin = f"{url.scheme}://{url.netloc}{url.path.rstrip('/')}"
        self.idle_s = limits.idle_connection_s
        self.connect_s = limits.connect_s
        self.connections: set[Connection] = set()
        self._idle: dict[Connection, None] = {}  # oldest first
        self._clock = clock

    async def take(self) -> Connection:
        """A usable connection, pooled or new. Raises `Refusal` upstream_unreachable or upstream_timeout."""
        now = self._clock()
        while self._idle:
            connection, _ = self._idle.popitem()
            if connection.is_fresh(now):
                return connection
            connection.abort()
        return await self._dialer.dial(lambda: Connection(self), self.connect_s)

    def put(self, connection: Connection) -> None:
        """Keep a connection whose response is complete."""
        if not connection.idle_since:
            self._dialer.keep_session(connection.transport)
        connection.idle_since = self._clock()
        self._idle[connection] = None

    def forget(self, connection: Connection) -> None:
        """A connection is gone."""
        self.connections.discard(connection)
        self._idle.pop(connection, None)

    def reap(self) -> None:
        """Close the idle connections that have outlived their time."""
        now = self._clock()
        for connection in [one for one in self._idle if now - one.idle_since >= one.keep_s]:
            connection.abort()

    def close(self) -> None:
        """Close what is idle; busy connections end with their calls."""
        for connection in list(self._idle):
            connection.abort()
