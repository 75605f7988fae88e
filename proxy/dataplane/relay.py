"""The relay of one answer: from the upstream's socket callback straight to the client's socket.

Each piece is written as it comes; a copy goes to the reader of its format, at once until the first token has been
seen and in batches after it. When the answer ends, the call is settled *before* its last bytes are given to the
client's socket, so a caller that has seen the end of an answer has a record. An answer that breaks off is never
ended cleanly: what has come is delivered, then the client's connection ends without the end of the message.
Reading never touches traffic: should a reader fail, the bytes go on, and the call's figures stay unknown or estimated.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from proxy.call import Call, Reading
from proxy.dataplane.advice import tell_toll
from proxy.dataplane.edge import Edge
from proxy.dataplane.headers import ResponseHead
from proxy.dataplane.upstream import Connection
from proxy.errors import Refusal
from proxy.wire import StreamReader, decoder, make_failure, open_reader, read_limits, request_id

_BATCH_BYTES = 8192
_SLICE_BYTES = 512  # of a packed answer, unpacked at once: some 16 MiB of it at most
_UNPACKED_BYTES = 64 * 1024 * 1024  # that are read of one packed answer
_CHAIN_BYTES = 16 * 1024 * 1024  # where it is packed more than once, and a slice may make all of it
log = logging.getLogger("weighbridge.relay")


class Blind:
    """The reader of an answer whose own reader has failed; what it missed is counted as unread."""

    first_token = True
    output_bytes = 0

    def feed(self, data: bytes) -> None:
        """Nothing is read any more."""

    def end(self) -> Reading:
        return Reading(unread=1)


class Relay:
    """Receives one upstream answer and passes it on. `done` ends with None, or with the `Refusal` of a failure before the head."""

    __slots__ = (
        "done", "keep_alive", "last_activity", "head_sent", "_call", "_edge", "_connection", "_outbox", "_settle", "_http_1_0", "_reader", "_decoder",
        "_chunked", "_framed", "_out", "_pending", "_pending_bytes", "_upload_gate",
    )  # fmt: skip

    def __init__(self, call: Call, edge: Edge, connection: Connection, settle: Callable[[Call], None], *, keep_alive: bool, http_1_0: bool) -> None:
        self.done: asyncio.Future[None] = edge.loop.create_future()
        self.keep_alive = keep_alive and not http_1_0  # which would have to be told so
        self.last_activity = time.monotonic()
        self.head_sent = False
        self._call = call
        self._edge = edge
        self._connection = connection
        self._outbox = connection.pool.outbox
        self._settle = settle
        self._http_1_0 = http_1_0
        self._upload_gate: asyncio.Event | None = None
        self._reader = None
        self._decoder = None
        self._chunked = False
        self._framed = True  # the client can tell a whole answer from a cut one
        self._out: list[bytes] = []
        self._pending: list[bytes] = []
        self._pending_bytes = 0

    @property
    def call(self) -> Call:
        """The call whose answer this is; on a WebSocket, the one that opened it."""
        return self._call

    # --- from the upstream ----------------------------------------------------------------------------------------

    def head_came(self, head: ResponseHead) -> None:
        call, answer, fields = self._call, self._call.answer, head.fields
        answer.first_byte_ns = time.time_ns()
        answer.status = head.status
        framing, lines = head.framing, [b"HTTP/1.1 %d %s" % (head.status, head.reason), *head.lines]
        if isinstance(framing, int):
            lines.append(b"Content-Length: %d" % framing)
        elif framing in ("chunked", "close"):
            if self._http_1_0:
                self.keep_alive = self._framed = False
            else:
                self._chunked = True
                lines.append(b"Transfer-Encoding: chunked")
        elif framing == "none" and "content-length" in fields and head.status != 204:
            lines.append(b"Content-Length: " + fields["content-length"].encode())  # of the body that a GET would have
        elif framing == "tunnel":
            lines += [b"Connection: Upgrade", b"Upgrade: websocket"]
        lines.append(b"x-weighbridge-call: " + call.id.encode())
        lines += tell_toll(call.toll)
        lines.append(b"\r\n" if self.keep_alive or framing == "tunnel" else b"Connection: close\r\n\r\n")
        self._out.append(b"\r\n".join(lines))
        self.head_sent = True
        try:
            answer.limits = read_limits(fields, answer.first_byte_ns / 1e9)
            answer.request_id = request_id(fields)
            watched = call.toll.is_metered
            self._reader = open_reader(call.kind, call.ask, head.status, fields.get("content-type", ""), fields, watched=watched)
            coding = fields.get("content-encoding")
            if coding and coding != "identity":
                self._decoder = decoder(coding, _CHAIN_BYTES if "," in coding else _UNPACKED_BYTES)
        except Exception:  # reading never touches traffic
            self._go_blind()

    def body_came(self, data: bytes) -> None:
        self._call.answer.chunks += 1
        self._call.answer.response_bytes += len(data)
        self._out.append(b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data)
        try:
            if self._decoder is None:
                self._read(data)
            else:  # in slices, for a little may unpack to a thousand times as much
                for start in range(0, len(data), _SLICE_BYTES):
                    self._read(self._decoder.feed(data[start : start + _SLICE_BYTES]))
        except Exception:  # reading never touches traffic
            self._go_blind()

    def _read(self, data: bytes) -> None:
        reader = self._reader
        if reader.first_token:
            self._pending.append(data)
            self._pending_bytes += len(data)
            if self._pending_bytes >= _BATCH_BYTES:
                self._read_pending()
        else:
            reader.feed(data)
            if reader.first_token:
                self._call.answer.first_token_ns = time.time_ns()

    def message_ended(self) -> None:
        if self._chunked:
            self._out.append(b"0\r\n\r\n")
        self._end(None)

    def batch_ended(self) -> None:
        if not self._out:
            return
        self.last_activity = time.monotonic()
        data = self._out[0] if len(self._out) == 1 else b"".join(self._out)
        self._out.clear()
        self._outbox.send(self._edge.transport, data)

    def broken(self, name: str, message: str) -> None:
        """Before the head: a refusal, which may be answered. After it: the client's connection is cut as well."""
        if self.done.done():
            return
        if not self.head_sent:
            self.done.set_exception(Refusal(name, message))
            return
        self.batch_ended()
        self.keep_alive = False
        self._end(name)
        if self._framed:  # the missing rest shows the cut
            self._outbox.close(self._edge.transport)
        else:
            self._outbox.flush()
            self._edge.reset()

    def upload_paused(self, paused: bool) -> None:
        if self._upload_gate is None:
            self._upload_gate = asyncio.Event()
        if paused:
            self._upload_gate.clear()
        else:
            self._upload_gate.set()

    async def upload_open(self) -> None:
        """Wait while the upstream takes no more of the request body."""
        if self._upload_gate is not None:
            await self._upload_gate.wait()

    # --- from the client ------------------------------------------------------------------------------------------

    def client_paused(self, paused: bool) -> None:
        if not self.done.done():  # after it the connection is back in its pool, or with the next call
            self._connection.hold(paused)

    def abandon(self) -> None:
        """Nobody waits for the rest: cancel the upstream, keep what has been read. After the end it does nothing."""
        if self.done.done() and not self.done.cancelled():
            self.done.exception()  # looked at, also where the client left in the same moment
            return
        self._finish_reading()
        self._connection.cancel(self)

    def expire(self, now: float, first_byte_s: float, idle_s: float) -> None:
        """End the call if the upstream has been silent, or the client has taken nothing, for too long."""
        silence = now - self.last_activity
        if not self.head_sent and silence > first_byte_s:
            self._connection.cancel(self)
            self.broken("upstream_timeout", f"The provider sent no answer within {first_byte_s:g} s (limits.first_byte_s).")
        elif self.head_sent and silence > idle_s:
            self._connection.cancel(self)
            if self._edge.writing_paused:
                self._end("caller_gone")
                self._edge.reset()
            else:
                self.broken("upstream_timeout", "The provider fell silent in the middle of its answer.")

    def end_by_order(self, refusal: Refusal) -> None:
        """Killed: the upstream is cancelled and the caller's connection broken off; before the head the refusal is its answer."""
        self._connection.cancel(self)
        if self.head_sent:
            self.broken(refusal.name, refusal.message)
        elif not self.done.done():
            self.done.set_exception(refusal)

    def end_in_band(self, refusal: Refusal) -> bool:
        """End the call with an error in its own dialect; False where that cannot be: the answer is no stream, or stands within an event."""
        if self.done.done():
            return True
        if not self.head_sent:
            self.end_by_order(refusal)
            return True
        last = self._make_last(refusal)
        if last is None:
            return False
        self._connection.cancel(self)
        self._out.append(b"%x\r\n%b\r\n0\r\n\r\n" % (len(last), last) if self._chunked else last)
        self.keep_alive = False
        self._end(refusal.name)
        self.batch_ended()
        self._outbox.close(self._edge.transport)
        return True

    def _make_last(self, refusal: Refusal) -> bytes | None:
        """The error event that may follow on what was passed on; None where none may: bytes of ours would not belong there."""
        if self._decoder is not None or (self._framed and not self._chunked):
            return None
        try:
            self._read_pending()
            if isinstance(self._reader, StreamReader):
                return self._reader.append([make_failure(self._call.kind, self._call.dialect, refusal, self._call.id)])
        except Exception:  # reading never touches traffic
            self._go_blind()
        return None

    @property
    def is_held_back(self) -> bool:
        """Whether the client takes no more at the moment."""
        return self._edge.writing_paused

    def count_output(self) -> int:
        """Bytes of output seen so far."""
        try:
            self._read_pending()
            return self._reader.output_bytes if self._reader is not None else 0
        except Exception:  # reading never touches traffic
            self._go_blind()
            return 0

    def stall(self, message: str) -> None:
        """The upstream has stalled: it is cancelled, and the caller's connection is broken off."""
        self._connection.cancel(self)
        self.broken("upstream_stalled", message)

    # --- endings --------------------------------------------------------------------------------------------------

    def _finish_reading(self) -> None:
        if self._reader is None:
            return
        try:
            self._read_pending()
            self._call.reading = self._reader.end()
        except Exception:  # reading never touches traffic
            self._go_blind()
            self._call.reading = Blind().end()
        self._reader = None

    def _go_blind(self) -> None:
        log.exception("reading an answer failed; its bytes go on, its figures stay unknown or estimated")
        self._reader, self._decoder = Blind(), None
        self._pending.clear()
        self._pending_bytes = 0

    def _read_pending(self) -> None:
        if self._pending:
            self._reader.feed(b"".join(self._pending))
            self._pending.clear()
            self._pending_bytes = 0

    def _end(self, outcome: str | None) -> None:
        if self.done.done():
            return
        self._call.answer.last_byte_ns = time.time_ns()
        self._finish_reading()
        if self._call.outcome is None:
            self._call.outcome = outcome
        self._settle(self._call)
        self.done.set_result(None)
