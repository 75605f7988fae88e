"""WebSockets: after the upgrade, bytes go through untouched both ways, and a copy is read frame by frame.

Many responses may pass on one socket (OpenAI Responses, Realtime). Each is a call of its own, opened when its request
goes up and settled when its end comes down. A socket on which none was seen leaves one record, of itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec

from proxy.call import Answer, Call, Reading
from proxy.dataplane.edge import Edge
from proxy.dataplane.headers import ResponseHead
from proxy.dataplane.relay import Relay
from proxy.dataplane.upstream import Connection
from proxy.wire import Began, Ended, FrameTap, agree_deflate, open_socket_reader


class Tunnel(Relay):
    """A relay that becomes a tunnel if the upstream agrees to the upgrade; else it relays the refusal like any answer."""

    __slots__ = ("_tunnel", "_current", "_responses", "_announce", "_new_id", "_up", "_down", "_session", "_is_blind")

    def __init__(
        self,
        call: Call,
        edge: Edge,
        connection: Connection,
        settle: Callable[[Call], None],
        announce: Callable[[Call], None],
        new_id: Callable[[int], str],
    ) -> None:
        super().__init__(call, edge, connection, settle, keep_alive=False, http_1_0=False)
        call.transport = "websocket"
        self._announce = announce
        self._new_id = new_id
        self._tunnel = False
        self._current: Call | None = None
        self._responses = 0
        self._is_blind = False

    # --- from the upstream ----------------------------------------------------------------------------------------

    def head_came(self, head: ResponseHead) -> None:
        super().head_came(head)
        if head.framing != "tunnel":
            return
        self._tunnel = True
        self._reader = None
        self._session = open_socket_reader(self._call.kind)
        extensions = head.fields.get("sec-websocket-extensions", "")
        for name, direction in (("_up", "client"), ("_down", "server")):
            deflate, keeps_context = agree_deflate(extensions, direction)
            setattr(self, name, FrameTap(deflate=deflate, keeps_context=keeps_context))
        self.batch_ended()  # the client may speak as soon as it has the head
        self._edge.begin_tunnel(self._client_came)

    def body_came(self, data: bytes) -> None:
        if not self._tunnel:
            super().body_came(data)
            return
        self._call.answer.response_bytes += len(data)
        self._out.append(data)
        try:
            self._read_down(data)
        except Exception:  # reading never touches traffic
            self._go_blind()

    def _read_down(self, data: bytes) -> None:
        if self._is_blind:
            return
        for message in self._down.feed(data):
            if self._current is not None:
                self._current.answer.chunks += 1
                self._current.answer.response_bytes += len(message)
                self._current.answer.first_byte_ns = self._current.answer.first_byte_ns or time.time_ns()
            for step in self._session.server(message):
                self._take(step)
            if self._current is not None and self._session.first_token and self._current.answer.first_token_ns is None:
                self._current.answer.first_token_ns = time.time_ns()

    def message_ended(self) -> None:
        if not self._tunnel:
            super().message_ended()
            return
        self._close_current("upstream_cut")
        self._end(None)
        self._outbox.close(self._edge.transport)

    def broken(self, name: str, message: str) -> None:
        if self._tunnel:
            self._close_current(name)
        super().broken(name, message)

    # --- from the client ------------------------------------------------------------------------------------------

    def _client_came(self, data: bytes) -> None:
        self.last_activity = time.monotonic()
        self._call.request_bytes += len(data)
        try:
            self._read_up(data)
        except Exception:  # reading never touches traffic
            self._go_blind()
        self._connection.write(data)

    def _read_up(self, data: bytes) -> None:
        if self._is_blind:
            return
        for message in self._up.feed(data):
            for began in self._session.client(message):
                self._begin(began, len(message))

    def _go_blind(self) -> None:
        super()._go_blind()
        self._reader = None
        self._is_blind = True

    def upload_paused(self, paused: bool) -> None:
        super().upload_paused(paused)
        transport = self._edge.transport
        if self._tunnel and transport is not None:
            if paused:
                transport.pause_reading()
            else:
                transport.resume_reading()

    def abandon(self) -> None:
        if self._tunnel:
            self._close_current("caller_gone")
            self._call.settled |= self._responses > 0
        super().abandon()

    def expire(self, now: float, first_byte_s: float, idle_s: float) -> None:
        """A socket may rest between its calls as long as both ends like; within one, silence ends it."""
        if not self._tunnel or self._current is not None:
            super().expire(now, first_byte_s, idle_s)

    # --- the calls on the socket ----------------------------------------------------------------------------------

    def _begin(self, began: Began, size: int) -> None:
        self._finish_current(began.left or Reading(), "upstream_cut")  # one that never ended: its successor took its place
        now_ns = time.time_ns()
        self._responses += 1
        call = msgspec.structs.replace(
            self._call, id=self._new_id(now_ns), started_ns=now_ns, ask=began.ask, request_bytes=size,
            answer=Answer(status=200, sent_ns=now_ns, request_id=self._call.answer.request_id), reading=Reading(),
        )  # fmt: skip
        self._current = call
        self._announce(call)

    def _take(self, step: Began | Ended) -> None:
        if isinstance(step, Began):
            self._begin(step, 0)
        elif step.apart:
            current, self._current = self._current, None
            self._begin(Began(self._call.ask), 0)
            self._finish_current(step.reading, None)
            self._current = current
        else:
            self._finish_current(step.reading, None)

    def _close_current(self, outcome: str) -> None:
        """The socket ends, or a new call begins, before the open call has ended."""
        reading = None if self._is_blind else self._session.end()
        if self._current is not None:
            self._finish_current(reading or Reading(), outcome)

    def _finish_current(self, reading: Reading, outcome: str | None) -> None:
        call, self._current = self._current, None
        if call is None:
            return
        call.reading = reading
        call.outcome = outcome
        call.answer.last_byte_ns = time.time_ns()
        self._settle(call)

    def _end(self, outcome: str | None) -> None:
        if self._tunnel and self._responses:
            self._call.settled = True  # its responses have their own records
        super()._end(outcome)
