"""The carrier: takes a call that is read and identified upstream, in as many attempts as its route has, until an answer has been passed on.

An attempt is let through (once for every place: upstream, model, and what was reserved), noted in the journal, given a connection and
sent. Before the first byte of an answer is passed on, a failure may lead to another attempt; then the wait is here. An attempt that
the provider may bill although it was given up is settled at once, with a record of its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import msgspec

from proxy.call import Call
from proxy.config import Limits
from proxy.dataplane.admission import Admission
from proxy.dataplane.attempt import Attempt
from proxy.dataplane.forward import make_head, send_stream
from proxy.dataplane.gated import GatedRelay
from proxy.dataplane.headers import Head, drop_coding, drop_key, put_key, write_lines
from proxy.dataplane.hedge import hedge, may_hedge
from proxy.dataplane.holding import Holding
from proxy.dataplane.identify import Identifier
from proxy.dataplane.journal import JournalWriter
from proxy.dataplane.meter import Meter, MeteredRelay
from proxy.dataplane.race import Race
from proxy.dataplane.relay import Relay
from proxy.dataplane.route import Failure, Route
from proxy.dataplane.sending import Pause, Sending, new_id
from proxy.dataplane.settle import Settler
from proxy.dataplane.trail import close_attempt, put_trace
from proxy.dataplane.tunnel import Tunnel
from proxy.dataplane.upstream import Connection
from proxy.errors import Refusal
from proxy.record import Extended, Opened

Carrying = Relay | Attempt | Race | Tunnel | Pause


class Carrier:
    """Makes the attempts of all calls. `in_flight` holds what carries each of them."""

    def __init__(
        self, limits: Limits, identifier: Identifier, journal: JournalWriter, settler: Settler,
        admission: Admission, is_stopping: Callable[[], bool], holding: Holding,
        choose: Callable[[Call, bytes], None], propagates: bool = False,
    ) -> None:  # fmt: skip
        self.opened = 0
        self.in_flight: set[Carrying] = set()
        self.limits = limits
        self._identifier = identifier
        self._journal = journal
        self.settle = settler.settle
        self.admission = admission
        self.is_stopping = is_stopping
        self._holding = holding
        self._choose = choose
        self._propagates = propagates  # whether upstreams are given a traceparent of ours

    async def carry(self, sending: Sending, route: Route) -> None:
        """Make attempts until an answer has been passed on. Raises the `Refusal` of the last one."""
        while True:
            try:
                await self.prepare(sending, route)
            except Refusal:  # where another attempt cannot be made, the caller gets what became of the last one
                failure = route.restore()
                if failure is not None and failure.refusal is not None:
                    raise failure.refusal from None
                if failure is None or failure.replay is None:
                    raise
                failure.replay()
                return
            failure = await self._attempt(sending, route)
            if failure is None:
                return
            self.admission.learn(sending.call)
            if failure.outcome is not None:
                self._settle_apart(failure, sending.call)
            if delay_s := route.go():
                rest = Pause(sending.call)
                self._take_up(sending, rest)
                await rest.wait(delay_s)

    async def carry_socket(self, sending: Sending, route: Route) -> None:
        """Open a WebSocket: one attempt, and the calls on it are admitted and opened one by one."""
        call, edge = sending.call, sending.edge
        route.enter()
        await self.admission.admit_socket(call)
        wire = self._make_head(sending, route, sending.head, b"", b"Connection: Upgrade\r\nUpgrade: websocket\r\n")
        route.start()
        connection = await sending.pools[call.upstream].take()
        tunnel = Tunnel(call, edge, connection, self.settle, self.open, new_id, self.admission, self._choose)
        self._take_up(sending, tunnel)
        self._note_sent(sending)
        connection.start(tunnel, call.method, wire, upgrade=True)
        await tunnel.done

    def end(self, sending: Sending, route: Route) -> None:
        """However the call ended: nothing runs on."""
        route.leave()
        if sending.carrier is not None:
            sending.carrier.abandon()
            self.in_flight.discard(sending.carrier)

    def open(self, call: Call) -> None:
        """Note in the journal that a call goes upstream, and what is reserved for it."""
        who = call.identity
        assert who is not None
        self._journal.opened(
            Opened(
                id=call.id, started_ns=call.started_ns, agent=who.agent, rung=who.rung, task=who.task, session=who.session, team=who.team,
                upstream=call.upstream, dialect=call.dialect, format=call.kind.format, operation=call.kind.operation, method=call.method,
                path=call.path, model_asked=call.kind.model or call.ask.model, stream=call.ask.stream, request_bytes=call.request_bytes,
                key=who.key, tags=who.tags, reserved_nano_usd=call.toll.reserved_nano_usd, reserved=call.toll.reserved,
            )
        )  # fmt: skip
        self.opened += 1
        call.is_open = True

    def _open_again(self, call: Call) -> None:
        """Another attempt: where it goes, and what is reserved for it; of what an earlier one had reserved nothing is left."""
        self.open(call)
        self.opened -= 1
        if call.toll.reserved:
            self._journal.extended(Extended(id=call.id, reserved_nano_usd=call.toll.reserved_nano_usd, reserved=call.toll.reserved))

    # --- an attempt -----------------------------------------------------------------------------------------------

    async def prepare(self, sending: Sending, route: Route) -> None:
        """Find where the next attempt goes, let the call through there, and write what is to be sent. Raises `Refusal`."""
        call, head, body = sending.call, sending.head, sending.body
        if route.failure is not None and self.is_stopping():
            raise Refusal("weighbridge_stopping", "Weighbridge is shutting down; try again.")
        route.enter()
        if route.is_moved:
            if route.failure is not None:
                self.admission.release(call)
            call.toll.asked_model = route.asked_model
            sending.changed, sending.target = await self.admission.admit(call, route.content, route.target)
            route.is_moved = False
        if sending.changed is not sending.content:
            body, head = sending.changed, drop_coding(head)
        extra = b""
        if body is None:
            length = head.fields.get("content-length")
            extra = b"Transfer-Encoding: chunked\r\n" if length is None else b"Content-Length: %b\r\n" % length.encode("latin-1")
        elif body or "content-length" in head.fields:
            extra = b"Content-Length: %d\r\n" % len(body)
        wire = self._make_head(sending, route, head, body, extra)
        sending.wire = wire + body if body else wire

    async def _attempt(self, sending: Sending, route: Route) -> Failure | None:
        """One attempt; the failure that another one follows on. Raises the `Refusal` of one that none follows on."""
        call = sending.call
        if call.attempts:
            self._open_again(call)
        else:
            self.open(call)
        route.start()
        try:
            connection = await sending.pools[call.upstream].take()
        except Refusal as refusal:
            failure = route.decide_refused(refusal, is_sent=False)
            if failure is None:
                raise
            return failure
        relay, is_streamed = self.make_relay(sending, connection), sending.body is None
        is_final = is_streamed or route.is_plain
        if is_final:
            carrier = receiver = relay
        elif may_hedge(call, route):
            carrier = Race(relay, connection, route, self.settle, self.in_flight, sending.let_go)
            receiver = carrier.first
        else:
            carrier = receiver = Attempt(relay, connection, route, sending.let_go)
        self._take_up(sending, carrier)
        self._note_sent(sending)
        connection.start(receiver, call.method, sending.wire, complete=not is_streamed)
        sending.wire = b""
        if is_final:
            route.let_go()
            sending.let_go()
        if is_streamed:
            await send_stream(call, relay, connection, sending.request, self.limits)
        elif carrier is not receiver:
            await hedge(self, sending, route, carrier)
        return await carrier.done

    def _take_up(self, sending: Sending, carrier: Carrying) -> None:
        """From now on this carries the call."""
        edge = sending.edge
        if sending.carrier is not None:
            self.in_flight.discard(sending.carrier)
        sending.carrier = carrier
        self.in_flight.add(carrier)
        edge.relay = carrier
        if edge.writing_paused:  # by the answer before this one
            carrier.client_paused(True)

    def _note_sent(self, sending: Sending) -> None:
        call = sending.call
        call.answer.sent_ns = time.time_ns()
        call.answer.added_ns = call.answer.sent_ns - sending.read_ns - call.toll.waited_ns if call.attempts == 1 else None

    def make_relay(self, sending: Sending, connection: Connection) -> Relay:
        call, edge, settle = sending.call, sending.edge, self.settle
        keep_alive, http_1_0 = sending.request.keep_alive, sending.request.version < (1, 1)
        if call.hold is not None:  # no stream, so that it is not metered either
            return GatedRelay(call, edge, connection, settle, self._holding, keep_alive=keep_alive, http_1_0=http_1_0)
        if call.toll.is_metered:
            meter = Meter(call, self.admission.extend, partial(self.admission.weigher.count_output, call))
            return MeteredRelay(call, edge, connection, settle, meter, keep_alive=keep_alive, http_1_0=http_1_0)
        return Relay(call, edge, connection, settle, keep_alive=keep_alive, http_1_0=http_1_0)

    def _make_head(self, sending: Sending, route: Route, head: Head, body: bytes | None, extra: bytes) -> bytes:
        """The bytes of the upstream request's head. Raises `Refusal` policy_no_upstream_key."""
        call, target, forward = sending.call, sending.target, head.forward
        if self._propagates:
            forward = put_trace(forward, call)
        if call.toll.is_metered:  # an answer that may be cut has to be read as it flows
            forward = [(name, value) for name, value in forward if name.lower() != b"accept-encoding"] + [(b"Accept-Encoding", b"identity")]
        key = route.key.secret
        if key is None and not route.is_foreign and self._identifier.keys.owns(call.secret):
            if call.upstream != "demo":
                text = "A Weighbridge key was presented, but this upstream has no provider key; set its `key: env:NAME`."
                raise Refusal("policy_no_upstream_key", text)
            key = "demo"  # the simulated provider takes any
        if key is not None or route.is_foreign:
            path, _, query = target.partition("?")
            forward, query = drop_key(forward, query) if key is None else put_key(forward, query, call.dialect, key)
            target = f"{path}?{query}" if query else path
        pool = sending.pools[call.upstream]
        if route.lane.signer is not None:
            forward = route.lane.signer.sign(call.method, pool.origin + target, forward, body or b"")
        return make_head(call.method, pool, target, head.lines if forward is head.forward else write_lines(forward), extra)

    def _settle_apart(self, failure: Failure, call: Call) -> None:
        """Settle an attempt that is given up and may be billed, under an id of its own; nothing of it is the call's any more."""
        before = failure.call
        apart = msgspec.structs.replace(
            before, id=new_id(time.time_ns()), attempt_of=call.id, attempts=1, tried=None, outcome=failure.outcome, body=None,
            trail=(close_attempt(before, failure.outcome, before.answer.last_byte_ns),),
        )  # fmt: skip
        call.attempt_ns = 0
        self.admission.ledger.rename(call.id, apart.id)
        self.opened += 1
        self.settle(apart)
