"""The path of a call, in one readable function: identify → read ask → admit → route → forward → settle."""

from __future__ import annotations

import asyncio
import os
import time
from functools import partial
from itertools import count

import msgspec
from aiohttp import web

from proxy.call import Call
from proxy.config import Config, Upstream
from proxy.dataplane.admission import Admission, make_subject
from proxy.dataplane.advice import suit_client
from proxy.dataplane.edge import Edge, Sent, write_refusal
from proxy.dataplane.forward import decode_body, make_head, read_body, send_stream
from proxy.dataplane.headers import Head, drop_coding, presented_key, put_key, read_head
from proxy.dataplane.identify import Identifier, Place, read_place
from proxy.dataplane.journal import JournalWriter
from proxy.dataplane.meter import Meter, MeteredRelay
from proxy.dataplane.outbox import Outbox
from proxy.dataplane.relay import Relay
from proxy.dataplane.settle import Settler
from proxy.dataplane.tunnel import Tunnel
from proxy.dataplane.upstream import Connection, Pool
from proxy.dataplane.ways import Way, Ways
from proxy.errors import Refusal
from proxy.record import Opened
from proxy.upstream import DIALECTS
from proxy.wire import leave_unread, read_ask, recognise

_ids = count()
_samples = count()  # every 64th request body goes along with its sample, to teach the estimator
_PROCESS = os.urandom(4).hex()


def new_id(now_ns: int) -> str:
    """An id that sorts by time and is unique over processes: 12 hexadecimal digits of milliseconds, 8 of the process, 6 of a counter."""
    return f"{now_ns // 1_000_000:012x}{_PROCESS}{next(_ids) & 0xFFFFFF:06x}"


class Traffic:
    """Everything that carries calls: pools, identities, journal, settler; and the calls in flight."""

    def __init__(
        self, config: Config, upstreams: dict[str, Upstream], journal: JournalWriter, settler: Settler, admission: Admission
    ) -> None:
        self.opened = 0
        self.in_flight: set[Relay | Tunnel] = set()
        self._outbox = Outbox(journal)
        self.ways = Ways(self._outbox)
        self.stopping = False
        self.identifier = Identifier(config.identity, config.auth)
        self._journal = journal
        self._settler = settler
        self._admission = admission
        self.configure(config, upstreams)

    def configure(self, config: Config, upstreams: dict[str, Upstream]) -> None:
        """Take other upstreams and limits, from the next call on."""
        self._config = config
        self.ways.configure(upstreams, config.limits)

    @property
    def pools(self) -> dict[str, Pool]:
        """The connections to the upstreams, by name."""
        return self.ways.pools

    async def carry(self, request: web.BaseRequest) -> Sent:
        """Carry one call from its head to its record."""
        edge: Edge = request.protocol  # type: ignore[assignment]
        now_ns = time.time_ns()
        call = Call(id=new_id(now_ns), started_ns=now_ns, method=request.method, path="")
        place, fields, relay = Place("", ""), {}, None
        try:
            place = read_place(request.raw_path)
            head = read_head(request._message.raw_headers, request.version)
            fields = head.fields
            self._meet(call, place, fields)
            self.identifier.admit(place, fields, call.secret, now_ns)
            way, pool = self._route(place)
            body, content = await self._read(call, fields, request, way)
            call.identity = self.identifier.identify(place, fields, call.ask, call.secret)
            upgrade = fields.get("upgrade", "").lower() == "websocket" and call.method == "GET" and not request.body_exists  # RFC 6455 §4.1
            read_ns = time.time_ns()
            target = place.rest
            if upgrade:  # the calls on it are admitted and opened one by one
                await self._admission.admit_socket(call)
            else:
                changed, target = await self._admission.admit(call, content, target)
                if changed is not content:
                    body, head = changed, drop_coding(head)
            wire = self._make_head(call, way, pool, target, head, body, upgrade)
            if not upgrade:
                self._open(call)
            connection = await pool.take()
            relay = self._make_relay(call, edge, connection, request, upgrade)
            self.in_flight.add(relay)
            edge.relay = relay
            if edge.writing_paused:  # by the answer before this one
                relay.client_paused(True)
            call.answer.sent_ns = time.time_ns()
            call.answer.added_ns = call.answer.sent_ns - read_ns - call.toll.waited_ns
            connection.start(relay, call.method, wire + body if body else wire, upgrade=upgrade, complete=body is not None)
            if body is None:
                await send_stream(call, relay, connection, request, self._config.limits)
            await relay.done
            return Sent(keep_alive=relay.keep_alive)
        except Refusal as refusal:
            suit_client(refusal, call.user_agent, fields)
            call.outcome, call.refused_status = refusal.name, refusal.status
            self._finish(call, place, fields, relay)
            keep_alive = request.keep_alive and request.version >= (1, 1) and request.content.is_eof() and not self.stopping
            self._outbox.send(edge.transport, write_refusal(refusal, call.dialect, call.id, keep_alive=keep_alive))
            return Sent(keep_alive=keep_alive)
        except (asyncio.CancelledError, ConnectionError, web.RequestPayloadError):
            call.outcome = "weighbridge_stopping" if self.stopping else "caller_gone"
            raise
        finally:
            edge.relay = None
            self._finish(call, place, fields, relay)

    def end_running(self) -> None:
        """End the running calls that orders say are to be ended."""
        for relay in list(self.in_flight):
            refusal = self._admission.orders.find_end(make_subject(relay.call))
            if refusal is not None:
                relay.end_by_order(refusal)

    # --- the stages -----------------------------------------------------------------------------------------------

    def _route(self, place: Place) -> tuple[Way, Pool]:
        way = self.ways.find(place.upstream)
        if way is None:
            names = ", ".join(self.ways.names)
            raise Refusal("caller_unknown_upstream", f"The path names no configured upstream. Use /<upstream>/… with one of: {names}.")
        if self.stopping:
            raise Refusal("weighbridge_stopping", "Weighbridge is shutting down; try again.")
        return way, self.pools[place.upstream]

    def _meet(self, call: Call, place: Place, fields: dict[str, str]) -> None:
        """What the head alone tells of a call; its dialect is the format's, for one upstream may speak several."""
        path, _, query = place.rest.partition("?")
        way = self.ways.find(place.upstream)
        upstream = way.upstream if way else None
        call.upstream, call.path = place.upstream if upstream else "", path
        call.kind = recognise(call.method, path, query, upstream.dialect if upstream else "openai")
        spoken = call.kind.format.partition(".")[0]
        call.dialect = upstream.dialect if upstream and spoken == "opaque" else spoken if spoken in DIALECTS else "openai"
        call.secret = presented_key(fields, query)
        call.user_agent = fields.get("user-agent", "")[:200] or None
        retry = fields.get("x-stainless-retry-count", "")
        call.retry = int(retry) if retry.isdecimal() and len(retry) < 6 else 0

    async def _read(self, call: Call, fields: dict[str, str], request: web.BaseRequest, way: Way) -> tuple[bytes | None, bytes | None]:
        """Read what the request asks. Its body as it came and decoded; None where it is to be streamed through, or cannot be decoded."""
        kind, limits = call.kind, self._config.limits
        if "expect" in fields and request.version >= (1, 1) and request.body_exists and request.transport is not None:
            request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if not kind.json_body:
            call.ask = leave_unread(kind, has_body=request.body_exists)
            if not request.body_exists:
                return b"", b""
            if not self._is_form(fields, request) and way.signer is None:
                return None, None
        body = await read_body(request, limits)
        call.request_bytes = len(body)
        content = None
        if kind.json_body or self._is_form(fields, request):
            content = await decode_body(body, fields.get("content-encoding"), limits.body_bytes)
        if content is None:
            call.ask = msgspec.structs.replace(leave_unread(kind, has_body=True), prompt_bytes=len(body))
            return body, None
        try:
            call.ask = read_ask(kind, content, fields.get("content-type", ""), weighed=not self._admission.is_idle)
        except msgspec.DecodeError as error:
            where = str(error).partition("(")[2].rstrip(")") or "cut short"
            raise Refusal("caller_invalid_json", f"The request body is not valid JSON ({where}).") from None
        if kind.needs_model and call.ask.model is None and kind.model is None and not way.upstream.model_optional:
            raise Refusal("caller_model_absent", "The request names no model: set the field `model` (or `model_optional: true` for this upstream).")
        if kind.json_body and (self._config.capture.content or not call.ask.usage_expected or next(_samples) % 64 == 0):
            call.body = content
        return body, content

    def _is_form(self, fields: dict[str, str], request: web.BaseRequest) -> bool:
        """Whether the body is a form that must be read before it goes up, because a budget or a limit may concern what it asks."""
        return (
            not self._admission.is_idle
            and fields.get("content-type", "").lower().startswith("multipart/")
            and (request.content_length or 0) <= self._config.limits.body_bytes
        )

    def _make_head(self, call: Call, way: Way, pool: Pool, target: str, head: Head, body: bytes | None, upgrade: bool) -> bytes:
        """The bytes of the upstream request's head. Raises `Refusal` policy_no_upstream_key."""
        forward = head.forward
        if call.toll.is_metered:  # an answer that may be cut has to be read as it flows
            forward = [(name, value) for name, value in forward if name.lower() != b"accept-encoding"] + [(b"Accept-Encoding", b"identity")]
        key = way.key
        if key is None and self.identifier.keys.owns(call.secret):
            if call.upstream != "demo":
                text = "A Weighbridge key was presented, but this upstream has no provider key; set its `key: env:NAME`."
                raise Refusal("policy_no_upstream_key", text)
            key = "demo"  # the simulated provider takes any
        if key is not None:
            path, _, query = target.partition("?")
            forward, query = put_key(forward, query, call.dialect, key)
            target = f"{path}?{query}" if query else path
        extra: list[bytes] = []
        if upgrade:
            extra = [b"Connection: Upgrade", b"Upgrade: websocket"]
        elif body is None:
            length = head.fields.get("content-length")
            extra = [b"Transfer-Encoding: chunked" if length is None else b"Content-Length: " + length.encode("latin-1")]
        elif body or "content-length" in head.fields:
            extra = [b"Content-Length: %d" % len(body)]
        if way.signer is not None:
            forward = way.signer.sign(call.method, pool.origin + target, forward, body or b"")
        return make_head(call.method, pool, target, forward, extra)

    def _make_relay(self, call: Call, edge: Edge, connection: Connection, request: web.BaseRequest, upgrade: bool) -> Relay | Tunnel:
        settle, keep_alive, http_1_0 = self._settler.settle, request.keep_alive, request.version < (1, 1)
        if upgrade:
            return Tunnel(call, edge, connection, settle, self._open, new_id, self._admission)
        if call.toll.is_metered:
            meter = Meter(call, self._admission.extend, partial(self._admission.weigher.count_output, call))
            return MeteredRelay(call, edge, connection, settle, meter, keep_alive=keep_alive, http_1_0=http_1_0)
        return Relay(call, edge, connection, settle, keep_alive=keep_alive, http_1_0=http_1_0)

    def _open(self, call: Call) -> None:
        """Note in the journal that a call goes upstream, and what is reserved for it."""
        who = call.identity
        assert who is not None
        self.opened += 1
        self._journal.opened(
            Opened(
                id=call.id, started_ns=call.started_ns, agent=who.agent, rung=who.rung, task=who.task, session=who.session, team=who.team,
                upstream=call.upstream, dialect=call.dialect, format=call.kind.format, operation=call.kind.operation, method=call.method,
                path=call.path, model_asked=call.kind.model or call.ask.model, stream=call.ask.stream, request_bytes=call.request_bytes,
                key=who.key, tags=who.tags, reserved_nano_usd=call.toll.reserved_nano_usd, reserved=call.toll.reserved,
            )
        )  # fmt: skip

    def _finish(self, call: Call, place: Place, fields: dict[str, str], relay: Relay | Tunnel | None) -> None:
        """However the call ended: nothing runs on, and it is settled."""
        if relay is not None:
            relay.abandon()
            self.in_flight.discard(relay)
        if call.identity is None:
            call.identity = self.identifier.identify(place, fields, call.ask, call.secret)
        if call.outcome is None and not call.settled:  # it ended by a defect of ours
            call.outcome, call.refused_status = "weighbridge_internal", None if call.answer.status else 500
        self._settler.settle(call)
        self._outbox.arm()
