"""The path of a call, in one readable function: identify → read ask → admit → route → forward → settle."""

from __future__ import annotations

import asyncio
import time

import msgspec
from aiohttp import web

from proxy.call import Ask, Call
from proxy.config import Config, Upstream
from proxy.dataplane.admission import Admission, make_subject
from proxy.dataplane.advice import suit_client
from proxy.dataplane.carrier import Carrier, Carrying
from proxy.dataplane.edge import Edge, Sent, write_refusal
from proxy.dataplane.forward import decode_body, read_body
from proxy.dataplane.headers import read_head
from proxy.dataplane.holding import Holding
from proxy.dataplane.identify import Identifier, Place, read_place
from proxy.dataplane.journal import JournalWriter
from proxy.dataplane.lane import Lane
from proxy.dataplane.lanes import Lanes
from proxy.dataplane.meeting import meet
from proxy.dataplane.mending import Mending
from proxy.dataplane.outbox import Outbox
from proxy.dataplane.portion import Portion
from proxy.dataplane.request import Request
from proxy.dataplane.route import Route
from proxy.dataplane.sending import Sending, new_id
from proxy.dataplane.settle import Settler
from proxy.dataplane.tiering import Tiering
from proxy.dataplane.upstream import Pool
from proxy.errors import Refusal
from proxy.hosts import make_check
from proxy.wire import leave_unread, read_ask

_LESSON_NS = 250_000_000  # from one call whose texts teach the estimator to the next: it has to count their tokens


class Traffic:
    """Everything that carries calls: pools, identities, journal, settler; and the calls in flight."""

    def __init__(
        self, config: Config, upstreams: dict[str, Upstream], journal: JournalWriter, settler: Settler, admission: Admission, holding: Holding
    ) -> None:
        self._outbox = Outbox(journal)
        self.lanes = Lanes(self._outbox)
        self.stopping = False
        self.carrying = 0  # calls from their heads to their records
        self._next_lesson_ns = 0
        self._portion = Portion(config.evaluators)
        self.holding = holding
        self._ordered = Portion(config.evaluators)  # beside it, calls that an order wants to be inspected
        self._may_name = make_check(config.listen.host, config.listen.hosts)
        self.redact = settler.redact
        self.identifier = Identifier(config.identity, config.auth, redact=self.redact)
        self._settler = settler
        self._admission = admission
        self.carrier = Carrier(
            config.limits, self.identifier, journal, settler, admission, is_stopping=lambda: self.stopping, holding=holding,
            choose=self._choose_message, propagates=config.otlp.propagate,
        )  # fmt: skip
        self.configure(config, upstreams)

    def configure(self, config: Config, upstreams: dict[str, Upstream]) -> None:
        """Take other upstreams, limits and tiers, from the next call on."""
        self._config = config
        self._portion.configure(config.evaluators)
        self.holding.configure(config.review)
        self._ordered.configure(msgspec.structs.replace(config.evaluators, share=1.0))
        self._tiering = Tiering(config.tiers)
        self._mending = Mending(config.controls)
        self._is_straight = self._tiering.is_idle and self._mending.is_idle  # calls go as they were asked, and once
        self.carrier.limits = config.limits
        self.lanes.configure(upstreams, config.limits)

    @property
    def pools(self) -> dict[str, Pool]:
        """The connections to the upstreams, by name."""
        return self.lanes.pools

    @property
    def in_flight(self) -> set[Carrying]:
        """What carries the calls that run."""
        return self.carrier.in_flight

    @property
    def opened(self) -> int:
        """How many calls have gone upstream."""
        return self.carrier.opened

    async def carry(self, request: Request) -> Sent:
        """Carry one call from its head to its record."""
        edge: Edge = request.edge
        self.carrying += 1
        now_ns = time.time_ns()
        call = Call(id=new_id(now_ns), started_ns=now_ns, method=request.method, path="")
        place, fields, sending, route, counted = Place("", ""), {}, None, None, False
        try:
            lanes, pools = self.lanes.by_name, self.lanes.pools  # a reload puts others in their place
            met = edge.meeting
            if met is None or not met.holds(request, self.lanes):
                place = read_place(request.raw_path)
                head = read_head(request.raw_headers, request.version)
                met = meet(request, place, head, self.lanes, self.redact)
            else:
                place, head = met.place, met.read_head(request)
            fields = head.fields
            met.introduce(call)
            self.redact.note(call.presented)
            if met is not edge.meeting:
                self._check_names(fields)
                edge.meeting = met
            counted = True
            edge.begin_call()
            met.pass_by(self.identifier, fields, now_ns)
            body, content = await self._read(call, fields, request, self._route(place))
            call.identity = met.identify(self.identifier, call.ask, fields)
            is_socket = call.method == "GET" and not request.body_exists and fields.get("upgrade", "").lower() == "websocket"  # RFC 6455 §4.1
            if not self.holding.is_idle:
                self._hold(call, content, is_socket=is_socket)
            if self._admission.orders.inspects_some and content is not None and call.kind.json_body:
                self._inspect_more(call, content)
            sending = Sending(call, edge, request, head, body, content, place.rest, pools, time.time_ns())
            del body, content  # so that `sending` can let go of them
            route = self._choose_route(call, lanes, sending.content, place.rest)
            if is_socket:
                await self.carrier.carry_socket(sending, route)
            else:
                await self.carrier.carry(sending, route)
            return Sent(keep_alive=sending.keep_alive)
        except Refusal as refusal:
            suit_client(refusal, call.user_agent, fields)
            call.outcome, call.refused_status = refusal.name, refusal.status
            self._finish(call, place, fields, sending, route)
            keep_alive = request.keep_alive and request.version >= (1, 1) and request.content.is_eof() and not self.stopping
            self._outbox.send(edge.transport, write_refusal(refusal, call.dialect, call.id, keep_alive=keep_alive))
            return Sent(keep_alive=keep_alive)
        except (asyncio.CancelledError, ConnectionError, web.RequestPayloadError):
            call.outcome = "weighbridge_stopping" if self.stopping else "caller_gone"
            raise
        finally:
            edge.relay = None
            self.carrying -= 1
            if counted:
                edge.end_call()
            self._finish(call, place, fields, sending, route)

    def end_running(self) -> None:
        """End the running calls that orders say are to be ended."""
        for relay in list(self.in_flight):
            refusal = self._admission.orders.find_end(make_subject(relay.call))
            if refusal is not None:
                relay.end_by_order(refusal)

    # --- the stages -----------------------------------------------------------------------------------------------

    def _route(self, place: Place) -> Lane:
        lane = self.lanes.by_name.get(place.upstream)
        if lane is None:
            names = ", ".join(self.lanes.names)
            raise Refusal("caller_unknown_upstream", f"The path names no configured upstream. Use /<upstream>/… with one of: {names}.")
        if self.stopping:
            raise Refusal("weighbridge_stopping", "Weighbridge is shutting down; try again.")
        return lane

    def _check_names(self, fields: dict[str, str]) -> None:
        """A page in somebody's browser must not call in that user's place."""
        if not (self._may_name(fields.get("host")) and self._may_name(fields.get("origin"))):
            text = "The request's Host or Origin is none that this proxy may be called by; if it is right, add its name to listen.hosts."
            raise Refusal("caller_bad_request", text)

    async def _read(self, call: Call, fields: dict[str, str], request: Request, lane: Lane) -> tuple[bytes | None, bytes | None]:
        """Read what the request asks. Its body as it came and decoded; None where it is to be streamed through, or cannot be decoded."""
        kind, limits = call.kind, self._config.limits
        if "expect" in fields and request.version >= (1, 1) and request.body_exists and request.edge.transport is not None:
            request.edge.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if not kind.json_body:
            call.ask = leave_unread(kind, has_body=request.body_exists)
            if not request.body_exists:
                return b"", b""
            if not self._is_form(fields, request) and lane.signer is None:
                return None, None
        body = await read_body(request, limits)
        call.request_bytes = len(body)
        content = None
        if kind.json_body or self._is_form(fields, request):
            coding = fields.get("content-encoding", "identity")
            content = body if coding in ("", "identity") else await decode_body(body, coding, limits.body_bytes)
        if content is None:
            call.ask = msgspec.structs.replace(leave_unread(kind, has_body=True), prompt_bytes=len(body))
            return body, None
        try:
            ask = read_ask(kind, content, fields.get("content-type", ""), weighed=not self._admission.is_idle)
            call.ask = self._redact_ask(ask, call.presented)
        except msgspec.DecodeError as error:
            where = str(error).partition("(")[2].rstrip(")") or "cut short"
            raise Refusal("caller_invalid_json", f"The request body is not valid JSON ({where}).") from None
        if kind.needs_model and call.ask.model is None and kind.model is None and not lane.upstream.model_optional:
            raise Refusal("caller_model_absent", "The request names no model: set the field `model` (or `model_optional: true` for this upstream).")
        if kind.json_body:
            call.is_lesson = self._is_lesson(call.started_ns)
            self._choose_sample(call, content)
        return body, content

    def _choose_sample(self, call: Call, request: bytes) -> None:
        """See whether a call is to be inspected, and keep what it asks where its sample needs that."""
        call.is_inspected = self._portion.takes(call.kind.operation, call.started_ns)
        if call.is_inspected or call.is_lesson or not call.ask.usage_expected or self._config.capture.content:
            self._settler.keep(call, request)

    def _choose_message(self, call: Call, message: bytes) -> None:
        """The same of a call on a socket; no lesson, for its tokens are counted together with those of the calls before it."""
        self._choose_sample(call, message)
        if self._admission.orders.inspects_some:
            self._inspect_more(call, message)

    def _inspect_more(self, call: Call, content: bytes) -> None:
        """Have a call inspected that the share has left out, where an order says so."""
        if call.is_inspected or not self._admission.orders.inspects(make_subject(call)):
            return
        call.is_inspected = self._ordered.takes(call.kind.operation, call.started_ns)
        if call.is_inspected:
            self._settler.keep(call, content)

    def _hold(self, call: Call, content: bytes | None, *, is_socket: bool) -> None:
        """See whether a gate concerns the call; then a reviewer is shown what it asks. Raises `Refusal` policy_review_stream."""
        self.holding.meet(call, is_socket=is_socket)
        if call.hold is not None and call.body is None and content:
            self._settler.keep(call, content)

    def _redact_ask(self, ask: Ask, keys: tuple[str, ...]) -> Ask:
        """Names of a model and of a tier are counted and kept as well; the body goes on as it came."""
        names = (ask.model, ask.service_tier)
        clean = self.redact.clean_all(names, keys)
        return ask if clean == names else msgspec.structs.replace(ask, model=clean[0], service_tier=clean[1])

    def _choose_route(self, call: Call, lanes: dict[str, Lane], content: bytes | None, target: str) -> Route:
        """Where the call may go, and with which model."""
        if self._is_straight:
            return Route(call, lanes, content, target)
        subject, asked = make_subject(call), call.kind.model or call.ask.model
        mend = self._mending.find(subject)
        changed = self._tiering.choose(call, subject, content, target, self._admission.orders.find_tier(subject))
        if changed is None:
            return Route(call, lanes, content, target, mend=mend)
        return Route(call, lanes, *changed, asked_model=asked, mend=mend)

    def _is_lesson(self, now_ns: int) -> bool:
        """Whether the texts of a call that will report its usage go to the estimator, which learns from the difference."""
        if now_ns < self._next_lesson_ns:
            return False
        self._next_lesson_ns = now_ns + _LESSON_NS
        return True

    def _is_form(self, fields: dict[str, str], request: Request) -> bool:
        """Whether the body is a form that must be read before it goes up, because a budget or a limit may concern what it asks."""
        return (
            not self._admission.is_idle
            and fields.get("content-type", "").lower().startswith("multipart/")
            and (request.content_length or 0) <= self._config.limits.body_bytes
        )

    def _finish(self, call: Call, place: Place, fields: dict[str, str], sending: Sending | None, route: Route | None) -> None:
        """However the call ended: nothing runs on, and it is settled."""
        if sending is not None and route is not None:
            self.carrier.end(sending, route)
        if call.identity is None:
            call.identity = self.identifier.identify(place, fields, call.ask, call.secret, call.presented)
        if call.outcome is None and not call.settled:  # it ended by a defect of ours
            call.outcome, call.refused_status = "weighbridge_internal", None if call.answer.status else 500
        self._settler.settle(call)
        self._outbox.arm()
