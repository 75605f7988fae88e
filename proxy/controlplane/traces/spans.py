"""A record becomes spans: SERVER for the call, and below it CLIENT `chat {model}` for each attempt at an upstream, with the times they had.

Ids are made from the call's id, so the journal read again makes the same spans. An attempt that was given up and may be billed has a record of
its own, which becomes a CLIENT span below its call. Tokens, cost and what the provider said stand on the attempt whose answer it was.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from proxy.config import Upstream
from proxy.controlplane.traces import semconv
from proxy.controlplane.traces.messages import write_input, write_output
from proxy.controlplane.traces.sampling import find_trace
from proxy.record import Attempted, Record
from proxy.trace import OF_CALL, make_span_id

_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_UNSET, _FAILED = Status(StatusCode.UNSET), Status(StatusCode.ERROR)
_MOST_KIN = 10_000
_S = 1e9
_FAULTS = ("caller", "policy", "upstream", "weighbridge")


class Told(Record, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A record as the journal has it; of a call whose process died no end is known."""

    duration_ns: int = 0


class Content(msgspec.Struct, frozen=True):
    """What was asked and answered, redacted; `tools` is JSON."""

    prompt: str
    output: str
    tools: str


class SpanMaker:
    """Makes the spans of records, in the order in which they ended. Belongs to one thread, but for `know`."""

    def __init__(self, upstreams: Mapping[str, Upstream], version: str, host: str, vocabulary: semconv.Vocabulary) -> None:
        self.resource = Resource(
            {semconv.SERVICE_NAME: semconv.SCOPE, semconv.SERVICE_VERSION: version or "unknown", semconv.HOST_NAME: host}
        )
        self.scope = InstrumentationScope(semconv.SCOPE, version, None if vocabulary == "legacy" else semconv.SCHEMA_URL)
        self._vocabulary = vocabulary
        self._newest: OrderedDict[tuple[str, str | None], SpanContext] = OrderedDict()  # (session, agent or None) → its newest call
        self.know(upstreams)

    def know(self, upstreams: Mapping[str, Upstream]) -> None:
        """Take other upstreams."""
        self._urls = {name: one.url for name, one in upstreams.items()}

    def make(self, record: Record, content: Content | None = None) -> list[ReadableSpan]:
        """The spans of a record; the call's own stands first."""
        trace = find_trace(record)
        attempts = list_attempts(record)
        spans = []
        if record.attempt_of is None:
            spans.append(self._make_server(record, trace, attempts))
        owner = record.attempt_of if record.attempt_of and record.trail else record.id
        parent = make_context(trace, make_span_id(record.attempt_of or record.id, OF_CALL))
        for attempt in attempts:
            context = make_context(trace, make_span_id(owner, attempt.number))
            spans.append(self._make_client(record, attempt, context, parent, content if attempt is attempts[-1] else None, attempt is attempts[-1]))
        return spans

    def _make_server(self, record: Record, trace: str, attempts: list[Attempted]) -> ReadableSpan:
        context = make_context(trace, make_span_id(record.id, OF_CALL))
        parent = make_context(trace, record.span_id, is_remote=True) if record.span_id else None
        end_ns = record.started_ns + record.duration_ns
        fault = record.outcome.partition("_")[0]
        own = {
            semconv.METHOD: record.method, semconv.PATH: record.path, semconv.STATUS: record.status, semconv.USER_AGENT: record.user_agent,
            semconv.RESENDS: record.retry or None, semconv.ERROR_TYPE: None if record.outcome == "ok" else record.outcome,
            semconv.FAULT: fault if fault in _FAULTS else None, semconv.OUTCOME: record.outcome, semconv.RUNG: record.rung,
            semconv.KEY: record.key, semconv.ATTEMPTS: record.attempts, semconv.TRIED: record.tried, semconv.TIER: record.tier,
            semconv.BUDGET: record.budget, semconv.ACT: record.act, semconv.RESERVED: _usd(record.reserved_nano_usd),
            semconv.CAPPED: record.capped_tokens, semconv.WAITED: record.waited_ns / _S if record.waited_ns else None,
            semconv.ADDED: record.added_ns / _S if record.added_ns is not None else None,
        }  # fmt: skip
        if not attempts:  # what was asked and what it cost stands nowhere else
            own |= self._describe_model(record) | {semconv.COST: _usd(record.cost_nano_usd), semconv.COST_SOURCE: record.cost_source}
        return self._make_span(
            f"{record.method} {record.operation}", SpanKind.SERVER, context, parent, record.started_ns, end_ns, self._identify(record) | own,
            _UNSET if record.outcome == "ok" or fault == "caller" else _FAILED, _make_events(record, attempts, end_ns), self._link(record, context),
        )  # fmt: skip

    def _make_client(
        self, record: Record, attempt: Attempted, context: SpanContext, parent: SpanContext, content: Content | None, is_last: bool
    ) -> ReadableSpan:
        model = record.model_asked if is_last else attempt.model or record.model_asked
        url = urlsplit(self._urls.get(attempt.upstream, ""))
        failed = attempt.outcome != "ok"
        own: dict[str, Any] = self._describe_model(record) | {
            semconv.PROVIDER: semconv.name_provider(self._urls.get(attempt.upstream, ""), record.dialect),
            semconv.REQUEST_MODEL: model, semconv.SERVER_ADDRESS: url.hostname,
            semconv.SERVER_PORT: (url.port or {"https": 443, "http": 80}.get(url.scheme)) if url.hostname else None,
            semconv.STATUS: attempt.status, semconv.ERROR_TYPE: attempt.outcome if failed else None, semconv.ATTEMPT: attempt.number,
            semconv.UPSTREAM: attempt.upstream, semconv.UPSTREAM_KEY: attempt.key,
        }  # fmt: skip
        if is_last:
            own |= _describe_answer(record, attempt)
        if content is not None:
            asked, system = write_input(content.prompt)
            own |= {semconv.INPUT_MESSAGES: asked, semconv.SYSTEM_INSTRUCTIONS: system, semconv.ERROR_MESSAGE: record.error}
            own[semconv.OUTPUT_MESSAGES] = write_output(content.output, content.tools, record.finish)
        start_ns = record.started_ns + attempt.start_ns
        fault = attempt.outcome.partition("_")[0]
        return self._make_span(
            f"{record.operation} {model}" if model else record.operation, SpanKind.CLIENT, context, parent, start_ns, start_ns + attempt.duration_ns,
            self._identify(record) | own, _FAILED if failed and fault not in ("caller", "policy") else _UNSET, [], [],
        )  # fmt: skip

    def _make_span(
        self, name: str, kind: SpanKind, context: SpanContext, parent: SpanContext | None, start_ns: int, end_ns: int,
        attributes: dict[str, Any], status: Status, events: list[Event], links: list[Link],
    ) -> ReadableSpan:  # fmt: skip
        return ReadableSpan(
            name, context, parent, self.resource, semconv.speak(attributes, self._vocabulary), events, links, kind, None, status,
            start_ns, max(start_ns, end_ns), self.scope,
        )  # fmt: skip

    def _identify(self, record: Record) -> dict[str, Any]:
        return {
            semconv.CALL: record.attempt_of or record.id, semconv.AGENT: record.agent, semconv.CONVERSATION: record.session,
            semconv.PARENT_AGENT: record.parent_agent, semconv.TASK: record.task, semconv.TEAM: record.team,
            semconv.UPSTREAM: record.upstream or None, **{semconv.TAG + name: value for name, value in record.tags.items()},
        }  # fmt: skip

    def _describe_model(self, record: Record) -> dict[str, Any]:
        return {
            semconv.OPERATION: record.operation, semconv.PROVIDER: semconv.name_provider(self._urls.get(record.upstream, ""), record.dialect),
            semconv.REQUEST_MODEL: record.model_asked, semconv.REQUEST_MAX_TOKENS: record.max_output_tokens,
            semconv.REQUEST_STREAM: record.stream or None,
        }  # fmt: skip

    def _link(self, record: Record, context: SpanContext) -> list[Link]:
        """To the newest call of the parent agent, and to the agent's call before it in its session, where these are in other traces."""
        if record.session is None:
            return []
        wanted = [("previous_call", self._newest.get((record.session, record.agent)))]
        if record.parent_agent is not None:
            wanted.insert(0, ("parent_agent", self._newest.get((record.session, record.parent_agent))))
        self._newest[record.session, record.agent] = context
        self._newest.move_to_end((record.session, record.agent))
        if len(self._newest) > _MOST_KIN:
            self._newest.popitem(last=False)
        return [Link(kin, {semconv.LINK: word}) for word, kin in wanted if kin is not None and kin.trace_id != context.trace_id]


def list_attempts(record: Record) -> list[Attempted]:
    """The attempts of a record; of a call with one the fields of the record tell it."""
    if record.trail is not None:
        return record.trail
    is_refused = record.transport == "websocket" and record.first_byte_ns is None and record.outcome != "ok"
    if not record.attempts or is_refused:
        return []
    start_ns = min(record.waited_ns + (record.added_ns or 0), record.duration_ns)
    model = record.model or record.model_asked
    return [Attempted(1, record.upstream, model, record.upstream_key, start_ns, record.duration_ns - start_ns, record.outcome, record.status)]


def make_context(trace: str, span: str, *, is_remote: bool = False) -> SpanContext:
    """The context of a span by its ids in hexadecimal digits."""
    return SpanContext(int(trace, 16), int(span, 16), is_remote, _SAMPLED)


def _describe_answer(record: Record, attempt: Attempted) -> dict[str, Any]:
    """What came back, what it consumed and what it cost. `gen_ai.usage.input_tokens` holds all input, cached or not, as the record does."""
    first_ns = record.first_token_ns
    return {
        semconv.RESPONSE_MODEL: record.model, semconv.RESPONSE_ID: record.response_id, semconv.FINISH_REASONS: record.finish and [record.finish],
        semconv.SYSTEM_FINGERPRINT: record.system_fingerprint,
        semconv.TIME_TO_FIRST_CHUNK: max(0, first_ns - attempt.start_ns) / _S if record.stream and first_ns is not None else None,
        semconv.INPUT_TOKENS: record.input_tokens, semconv.OUTPUT_TOKENS: record.output_tokens,
        semconv.CACHE_READ_TOKENS: record.cache_read_tokens, semconv.CACHE_WRITE_TOKENS: record.cache_write_tokens,
        semconv.REASONING_TOKENS: record.reasoning_tokens or None,
        semconv.INPUT_AUDIO_TOKENS: record.input_audio_tokens or None, semconv.OUTPUT_AUDIO_TOKENS: record.output_audio_tokens or None,
        semconv.INPUT_IMAGE_TOKENS: record.input_image_tokens or None, semconv.OUTPUT_IMAGE_TOKENS: record.output_image_tokens or None,
        semconv.COST: _usd(record.cost_nano_usd), semconv.COST_SOURCE: record.cost_source, semconv.PRICE_VERSION: record.price_version,
        semconv.USAGE_SOURCE: record.usage_source, semconv.PROVIDER_ERROR: record.error_type,
        semconv.REMAINING_REQUESTS: record.remaining_requests, semconv.REMAINING_TOKENS: record.remaining_tokens,
    }  # fmt: skip


def _make_events(record: Record, attempts: list[Attempted], end_ns: int) -> list[Event]:
    """The attempts that others followed on, and the refusal where there was one."""
    events = [
        Event(
            semconv.RETRIED, {semconv.ERROR_TYPE: one.outcome, semconv.UPSTREAM: one.upstream, semconv.ATTEMPT: one.number},
            record.started_ns + one.start_ns + one.duration_ns,
        )
        for one in attempts[:-1]
    ]  # fmt: skip
    if record.act == "refused" or (not attempts and record.outcome != "ok"):
        facts = {semconv.ERROR_TYPE: record.outcome, semconv.BUDGET: record.budget}
        events.append(Event(semconv.REFUSED, {name: value for name, value in facts.items() if value is not None}, end_ns))
    return events


def _usd(nano_usd: int | None) -> float | None:
    return None if nano_usd is None else nano_usd / _S
