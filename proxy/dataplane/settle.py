"""Settling: from what was asked and what came back to one record, one journal line and, where needed, one sample.

`Settler.settle` is a plain function, so nothing can cancel it; it runs exactly once a call however the call ended.
None of its steps can fail the call: one that does is counted in `defects`, logged, and costs its own figures only.
"""

from __future__ import annotations

import logging
import time
from collections import OrderedDict

import msgspec

from proxy.call import Call, Reading, Usage
from proxy.dataplane.estimate import ByteRatios
from proxy.dataplane.journal import JournalWriter
from proxy.dataplane.samples import SampleSender
from proxy.dataplane.till import Till, raise_usage
from proxy.dataplane.trail import close_trail
from proxy.dataplane.words import drop_words, hide, redact_words
from proxy.pricing.book import Book, Priced
from proxy.pricing.providers import Providers
from proxy.record import Record, Sample
from proxy.redact import Redactor

log = logging.getLogger("weighbridge.settle")
_MAX_RESPONSES = 10_000
_MAX_ERROR = 300
_ESTIMATED = frozenset({"chat", "text_completion", "generate_content", "embeddings"})
_BROKEN_OFF = frozenset({
    "caller_gone", "upstream_cut", "upstream_timeout", "upstream_stalled", "weighbridge_stopping", "policy_budget_cut", "policy_killed",
})  # fmt: skip
_UNFINISHED = frozenset({"queued", "in_progress", "validating", "finalizing", "cancelling"})  # of responses and of batches
_UNBILLED = Priced(0, "unbilled", "")
_UNKNOWN = Priced(None, "none", "")


class Settler:
    """Owns what settling needs: the price book, the till, the journal, the sample socket and what was learned."""

    def __init__(
        self, book: Book, providers: Providers, ratios: ByteRatios, till: Till, journal: JournalWriter, samples: SampleSender, redact: Redactor,
        keeps_content: bool = False,
    ) -> None:  # fmt: skip
        self.redact = redact
        self.settled = 0
        self.closed = 0  # of those that were opened
        self.estimates = 0
        self.unread = 0
        self.defects = 0
        self._providers = providers
        self._book = book
        self._keeps_content = keeps_content
        self._till = till
        self._journal = journal
        self._samples = samples
        self._ratios = ratios
        self._responses: OrderedDict[str, bool] = OrderedDict()  # response id → already charged

    def configure(self, book: Book, providers: Providers, keeps_content: bool) -> None:
        """Take changed prices, and another will to keep content."""
        self._keeps_content = keeps_content
        self._book = book
        self._providers = providers

    def keep(self, call: Call, prompt: bytes) -> None:
        """Keep the prompt of a call for its sample; of a long one that is to be inspected also what it asks of its answer."""
        if call.body is None:
            call.body = self._samples.keep(prompt)
        if call.is_inspected and call.outline is None:
            call.outline, call.left_out = self._samples.sketch(prompt)

    def settle(self, call: Call) -> None:
        """Write the record of a finished call; a second time does nothing."""
        if call.settled:
            return
        call.settled = True
        self.settled += 1
        self.closed += call.is_open
        usage, source, priced = None, "none", _UNKNOWN
        try:
            usage, source = self._weigh(call)
            if source == "estimated" and call.toll.is_hard:
                usage, source = raise_usage(call, usage), "raised"
            priced = self._price(call, usage, source)
        except Exception:  # settle's step: a defect here must cost figures, never the record
            self.defects += 1
            log.exception("weighing a call failed; its record has no figures")
        charged: dict[str, int] = {}
        try:
            charged, priced = self._till.pay(call, usage, source, priced)
        except Exception:  # settle's step: a defect here leaves the reservation as it is, which is the safe side
            self.defects += 1
            log.exception("settling the reservation of a call failed; it stays reserved")
        try:
            redact_words(call, self.redact)
        except Exception:  # settle's step: a defect here must cost the words, for a secret may stand in them
            self.defects += 1
            log.exception("looking for secrets in the words of a call failed; they are not kept")
            drop_words(call)
        self.unread += call.reading.unread
        self._journal.settled(make_record(call, usage, source, priced, charged))
        try:
            self._offer_sample(call, usage, source)
        except Exception:  # settle's step: a defect here must cost the sample only
            self.defects += 1
            log.exception("making a sample failed")
        self._samples.let_go(call.body, call.outline)
        call.body = call.outline = None

    def _weigh(self, call: Call) -> tuple[Usage | None, str]:
        """(usage, where it is from)."""
        status, reading = call.answer.status, call.reading
        if call.answer.sent_ns is None or (status is not None and not 200 <= status < 300):
            return None, "none"
        model = reading.model or call.kind.model or call.ask.model or ""
        if call.kind.operation == "batches" and call.method == "POST":  # made or cancelled: its usage comes with a later GET
            self._remember(reading.response_id, self._responses.get(reading.response_id or "", False))
            return None, "none"
        if _is_retrieval(call):
            return (reading.usage, "reported") if self._is_first_charge(reading) else (None, "none")
        if reading.usage is not None and _is_broken_off(call):
            return self._complete(call, model, reading.usage)
        if reading.usage is not None:
            self._ratios.learn(model, call.ask.prompt_bytes, reading.output_bytes, reading.usage)
            self._remember(reading.response_id, True)
            return reading.usage, "reported"
        if reading.finish in _UNFINISHED and call.outcome is None:  # a background response: its usage comes later
            self._remember(reading.response_id, False)
            return None, "none"
        if call.kind.operation in _ESTIMATED and (call.kind.json_body or call.transport == "websocket"):
            self.estimates += 1
            self._remember(reading.response_id, True)
            return self._ratios.estimate(model, call.ask.prompt_bytes, reading.output_bytes), "estimated"
        return None, "none"

    def _complete(self, call: Call, model: str, usage: Usage) -> tuple[Usage, str]:
        """What a provider reported before its answer was broken off; its output is never less than what was seen of it.

        Anthropic and Gemini report the input first and the whole output only at the end.
        """
        self._remember(call.reading.response_id, True)
        seen = self._ratios.estimate(model, 0, call.reading.output_bytes).output_tokens
        if seen <= usage.output_tokens:
            return usage, "reported"
        self.estimates += 1
        return msgspec.structs.replace(usage, output_tokens=seen), "estimated"

    def _is_first_charge(self, reading: Reading) -> bool:
        """Whether a retrieved response or batch carries the final usage of what we saw begin and have not charged yet."""
        if reading.finish in _UNFINISHED or reading.usage is None or reading.response_id is None:
            return False
        if self._responses.get(reading.response_id) is not False:
            return False
        self._responses[reading.response_id] = True
        return True

    def _remember(self, response_id: str | None, charged: bool) -> None:
        if response_id:
            self._responses[response_id] = charged
            if len(self._responses) > _MAX_RESPONSES:
                self._responses.popitem(last=False)

    def _price(self, call: Call, usage: Usage | None, source: str) -> Priced:
        answer, reading = call.answer, call.reading
        if answer.sent_ns is None or (answer.status is not None and answer.status >= 400):
            return _UNBILLED
        if usage is None:
            known = _is_retrieval(call) and self._responses.get(reading.response_id or "", True)
            return _UNBILLED if known or call.kind.operation in ("count_tokens", "files", "batches") else _UNKNOWN
        return self._book.price(
            upstream=call.upstream,
            provider=self._providers.find(call.upstream, call.dialect),
            models=(reading.model, call.kind.model, call.ask.model),
            usage=usage,
            service_tier=reading.service_tier or call.ask.service_tier,
            batch=call.kind.operation == "batches",
            at_ns=call.started_ns,
        )

    def _offer_sample(self, call: Call, usage: Usage | None, source: str) -> None:
        reading, keys = call.reading, call.presented
        if source == "none" or call.identity is None or not (reading.text or reading.tools or call.body):
            return
        is_inspected = call.is_inspected and call.outcome is None and name_outcome(call) == "ok" and not reading.is_oversized
        if not (self._keeps_content or is_inspected or call.is_lesson or source == "estimated"):  # nobody would read it
            return
        body, outline = (_hide(one, keys) for one in (call.body, call.outline))
        self._samples.send(
            Sample(
                id=call.id,
                agent=call.identity.agent,
                task=call.identity.task,
                model=reading.model or call.kind.model or call.ask.model,
                format=call.kind.format,
                usage_source="partial" if reading.usage is not None and _is_broken_off(call) else source,
                input_tokens=usage.input_tokens if usage else None,
                output_tokens=usage.output_tokens if usage else None,
                finish=reading.finish,
                text=hide(reading.text, keys),
                tools=[(name, hide(arguments, keys)) for name, arguments in reading.tools],
                request=body,
                request_bytes=call.ask.prompt_bytes,
                outline=outline,
                left_out=call.left_out,
                output_bytes=reading.output_bytes,
                is_lesson=call.is_lesson,
                is_inspected=is_inspected,
                team=call.identity.team,
                trace_id=call.identity.trace_id,
                upstream=call.upstream,
                model_asked=call.toll.asked_model or call.kind.model or call.ask.model,
                system_fingerprint=reading.system_fingerprint,
                reasoning_tokens=usage.reasoning_tokens if usage else None,
                duration_ns=_span(call.answer.last_byte_ns, call),
                first_token_ns=_span(call.answer.first_token_ns, call),
            )
        )


def _hide(body: bytes | None, keys: tuple[str, ...]) -> bytes | None:
    """A body without the credentials that were presented."""
    for key in filter(None, keys):
        secret = key.encode("utf-8", "surrogateescape")
        body = body.replace(secret, b"[redacted]") if body and secret in body else body
    return body


def _is_broken_off(call: Call) -> bool:
    """Whether an answer ended before its own end, so that what it reported may be only its beginning."""
    return not call.reading.complete and (call.outcome in _BROKEN_OFF or call.reading.error is not None)


def _is_retrieval(call: Call) -> bool:
    """Whether the request asks for something that an earlier call has made (or for nothing that costs)."""
    if call.transport != "http" or call.kind.json_body:
        return False
    return call.method in ("GET", "HEAD", "DELETE", "OPTIONS") or call.kind.format == "openai.responses"


def make_record(call: Call, usage: Usage | None, source: str, priced: Priced, charged: dict[str, int]) -> Record:
    """The flat record of a call; `charged` is what its budgets were charged."""
    toll = call.toll
    answer, reading, ask, kind, who = call.answer, call.reading, call.ask, call.kind, call.identity
    limits = answer.limits
    assert who is not None, "a call is identified before it is settled"
    end_ns = answer.last_byte_ns or time.time_ns()
    outcome = call.outcome or name_outcome(call)
    output_token_ns = None
    if ask.stream and usage and answer.first_token_ns and answer.last_byte_ns and usage.output_tokens > 1:
        output_token_ns = (answer.last_byte_ns - answer.first_token_ns) // (usage.output_tokens - 1)
    return Record(
        id=call.id, started_ns=call.started_ns, duration_ns=end_ns - call.started_ns,
        agent=who.agent, rung=who.rung, task=who.task, session=who.session, parent_agent=who.parent_agent, team=who.team,
        trace_id=who.trace_id, span_id=who.span_id, key_hash=who.key_hash, key=who.key, tags=who.tags, user_agent=call.user_agent,
        upstream=call.upstream, dialect=call.dialect, format=kind.format, operation=kind.operation, transport=call.transport,
        method=call.method, path=call.path, model_asked=toll.asked_model or kind.model or ask.model, model=reading.model, stream=ask.stream,
        service_tier=reading.service_tier or ask.service_tier, max_output_tokens=ask.max_output_tokens, retry=call.retry,
        tier=call.tier,
        attempts=call.attempts if call.transport == "http" else 1, tried=call.tried, upstream_key=call.upstream_key, attempt_of=call.attempt_of,
        trail=None if call.attempts <= 1 and call.attempt_ns and not call.trail else close_trail(call, outcome, end_ns),
        outcome=outcome, status=call.refused_status or answer.status, finish=reading.finish,
        error=hide(reading.error, call.presented)[:_MAX_ERROR] if reading.error else None, error_type=reading.error_type,
        response_id=reading.response_id, request_id=answer.request_id, system_fingerprint=reading.system_fingerprint,
        input_tokens=usage.input_tokens if usage else None, output_tokens=usage.output_tokens if usage else None,
        cache_read_tokens=usage.cache_read_tokens if usage else None, cache_write_tokens=usage.cache_write_tokens if usage else None,
        cache_write_1h_tokens=usage.cache_write_1h_tokens if usage else None, reasoning_tokens=usage.reasoning_tokens if usage else None,
        input_audio_tokens=usage.input_audio_tokens if usage else None, output_audio_tokens=usage.output_audio_tokens if usage else None,
        input_image_tokens=usage.input_image_tokens if usage else None, output_image_tokens=usage.output_image_tokens if usage else None,
        web_searches=usage.web_searches if usage else None, usage_source=source,
        cost_nano_usd=priced.cost_nano_usd, cost_source=priced.source, price_version=priced.version or None,
        reserved_nano_usd=toll.reserved_nano_usd, charged=charged, budget=toll.budget, act=toll.act, capped_tokens=toll.capped_tokens,
        waited_ns=toll.waited_ns, gate=call.hold.gate if call.hold else None, held_ns=call.held_ns,
        first_byte_ns=_span(answer.first_byte_ns, call), first_token_ns=_span(answer.first_token_ns, call), output_token_ns=output_token_ns,
        added_ns=answer.added_ns, request_bytes=call.request_bytes, response_bytes=answer.response_bytes, chunks=answer.chunks,
        output_bytes=reading.output_bytes, tools=len(reading.tools), unread=reading.unread,
        limit_requests=limits.limit_requests, remaining_requests=limits.remaining_requests, reset_requests_s=limits.reset_requests_s,
        limit_tokens=limits.limit_tokens, remaining_tokens=limits.remaining_tokens, reset_tokens_s=limits.reset_tokens_s,
        retry_after_s=limits.retry_after_s,
    )  # fmt: skip


def name_outcome(call: Call) -> str:
    """How an answered call ended."""
    status = call.answer.status
    if status is not None and status >= 400:
        return "upstream_error"
    return "upstream_stream_error" if call.reading.error else "ok"


def _span(point_ns: int | None, call: Call) -> int | None:
    return None if point_ns is None else point_ns - call.started_ns
