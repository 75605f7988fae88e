"""WebSockets: after the upgrade, bytes go through untouched both ways, and a copy is read frame by frame.

Many responses may pass on one socket (OpenAI Responses, Realtime). Each is a call of its own, opened when its request
goes up and settled when its end comes down. A socket on which none was seen leaves one record, of itself.

Where rules are set, what comes from the client is held back while the call that it begins is admitted. A call that is refused
gets an error event in its place, and the socket is closed (1008, RFC 6455 §7.4.1): nothing of that call goes up.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import msgspec

from proxy.call import Answer, Call, Reading, Toll
from proxy.dataplane.admission import Admission
from proxy.dataplane.edge import Edge
from proxy.dataplane.headers import ResponseHead
from proxy.dataplane.relay import Relay
from proxy.dataplane.upstream import Connection
from proxy.errors import Refusal, body
from proxy.wire import Began, Ended, FrameTap, agree_deflate, make_frames, open_socket_reader

_POLICY_VIOLATION = 1008
_GOING_AWAY = 1001


class Tunnel(Relay):
    """A relay that becomes a tunnel if the upstream agrees to the upgrade; else it relays the refusal like any answer."""

    __slots__ = (
        "_tunnel", "_current", "_responses", "_open", "_new_id", "_up", "_down", "_session", "_is_blind",
        "_admission", "_choose", "_held", "_judging", "_hides_calls",
    )  # fmt: skip

    def __init__(
        self,
        call: Call,
        edge: Edge,
        connection: Connection,
        settle: Callable[[Call], None],
        open_call: Callable[[Call], None],
        new_id: Callable[[int], str],
        admission: Admission,
        choose: Callable[[Call, bytes], None],
    ) -> None:
        super().__init__(call, edge, connection, settle, keep_alive=False, http_1_0=False)
        call.transport = "websocket"
        self._open = open_call
        self._admission = admission
        self._choose = choose  # whether a call and what it asks are to be inspected
        self._held: list[bytes] | None = None  # what came while a call is being admitted
        self._judging: asyncio.Task[None] | None = None
        self._new_id = new_id
        self._tunnel = False
        self._current: Call | None = None
        self._responses = 0
        self._is_blind = False
        self._hides_calls = False  # something went up that was not read, and may have begun a call

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
        self._send_up(data)

    def _send_up(self, data: bytes) -> None:
        """Read what came from the client and send it on, once the calls that it begins are admitted."""
        if self._held is not None:
            self._held.append(data)
            return
        begun: list[Call] = []
        try:
            begun = self._read_up(data)
        except Exception:  # reading never touches traffic
            self._go_blind()
        if (self._hides_calls or self._is_blind) and not self._admission.is_idle:
            try:
                self._admission.check_unread(self._call)
            except Refusal as refusal:
                self._close_current("caller_gone")
                self._call.outcome = refusal.name
                self._refuse(self._call, refusal)
                return
        if begun and not self._admission.is_idle:
            self._held = [data]
            self._edge.transport.pause_reading()
            self._judging = asyncio.create_task(self._judge(begun), name="admit a message")
            return
        for call in begun:
            self._open(call)
        self._connection.write(data)

    def _read_up(self, data: bytes) -> list[Call]:
        """The calls that begin with what came from the client."""
        if self._is_blind:
            return []
        up, session = self._up, self._session
        unread = session.unread
        begun = [self._begin(began, len(message)) for message in up.feed(data) for began in session.client(message)]
        self._hides_calls |= bool(up.failed or up.dropped or up.binary or session.unread > unread)
        return begun

    async def _judge(self, begun: list[Call]) -> None:
        """Admit the calls that begin with what is held, then send it up; or refuse, and close the socket."""
        for call in begun:
            try:
                await self._admission.admit_message(call)
            except Refusal as refusal:
                self._refuse(call, refusal)
                return
            self._open(call)
        held, self._held = self._held or [], None
        self._connection.write(held[0])
        for data in held[1:]:
            self._send_up(data)
        if self._held is None and not self.done.done() and self._edge.transport is not None:
            self._edge.transport.resume_reading()

    def _refuse(self, call: Call, refusal: Refusal) -> None:
        """Answer a call with an error event, and end the socket on both sides."""
        call.answer.sent_ns = call.answer.status = None
        call.refused_status = refusal.status
        if self._current is call:
            self._finish_current(Reading(), refusal.name)
        self._farewell(_make_error(refusal, call.id), _POLICY_VIOLATION, refusal.name, None)

    def _farewell(self, message: bytes | None, code: int, reason: str, outcome: str | None) -> None:
        """Say a last word, and end the socket on both sides."""
        self._connection.cancel(self)
        self.batch_ended()
        self._outbox.send(self._edge.transport, make_frames(message, code, reason))
        self._end(outcome)
        self._outbox.close(self._edge.transport)

    def end_in_band(self, refusal: Refusal) -> bool:
        """An error event for the call on the socket, where there is one, and the closing of the socket."""
        if not self._tunnel or self.done.done():
            return super().end_in_band(refusal)
        if self._is_blind or not self._down.is_between_messages:
            return False
        message = None if self._current is None else _make_error(refusal, self._current.id)
        self._close_current(refusal.name)
        self._farewell(message, _GOING_AWAY, refusal.name, refusal.name)
        return True

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
        if self._judging is not None:
            self._judging.cancel()
        if self._tunnel:
            self._close_current("caller_gone")
            self._call.settled |= self._responses > 0
        super().abandon()

    def expire(self, now: float, first_byte_s: float, idle_s: float) -> None:
        """A socket may rest between its calls as long as both ends like; within one, silence ends it."""
        if not self._tunnel or self._current is not None:
            super().expire(now, first_byte_s, idle_s)

    # --- the calls on the socket ----------------------------------------------------------------------------------

    def _begin(self, began: Began, size: int) -> Call:
        self._finish_current(began.left or Reading(), "upstream_cut")  # one that never ended: its successor took its place
        now_ns = time.time_ns()
        self._responses += 1
        call = msgspec.structs.replace(
            self._call, id=self._new_id(now_ns), started_ns=now_ns, ask=began.ask, request_bytes=size,
            answer=Answer(status=200, sent_ns=now_ns, request_id=self._call.answer.request_id), reading=Reading(), toll=Toll(),
        )  # fmt: skip
        self._current = call
        if began.request is not None:
            self._choose(call, began.request)
        return call

    def _take(self, step: Began | Ended) -> None:
        if isinstance(step, Began):  # the provider began it: it cannot be held back any more
            self._open(self._begin(step, 0))
        elif step.apart:
            current, self._current = self._current, None
            self._open(self._begin(Began(self._call.ask), 0))
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


def _make_error(refusal: Refusal, call_id: str) -> bytes:
    """A refusal as an event on a socket."""
    shape = msgspec.json.decode(body(refusal, "openai", call_id)[0])
    return msgspec.json.encode({"type": "error", "status": refusal.status, **shape})
