"""The weigher: what a call may weigh before it has run, from its request, from what was learned, and from the prices."""

from __future__ import annotations

import msgspec

from proxy.call import Call, Usage
from proxy.dataplane.estimate import ByteRatios
from proxy.dataplane.reservation import ATTO_PER_NANO, OutputQuantiles, Parts, bound, expect, price, read_maximum, weigh, writes_text
from proxy.pricing.book import Book
from proxy.pricing.ceiling import Ceiling, Ceilings
from proxy.pricing.providers import Providers
from proxy.rules import Reserving
from proxy.toll.terms import Room, Weight


class Weigher:
    """Estimates and upper bounds of calls; learns from those that have ended."""

    def __init__(self, book: Book, providers: Providers, reserving: Reserving, ratios: ByteRatios) -> None:
        self.reserving = reserving
        self.quantiles = OutputQuantiles()
        self._ceilings = Ceilings(book)
        self._providers = providers
        self._ratios = ratios

    def configure(self, book: Book, providers: Providers, reserving: Reserving) -> None:
        """Take changed prices and rules; what was learned stays."""
        self._ceilings = Ceilings(book)
        self._providers = providers
        self.reserving = reserving

    def provider(self, call: Call) -> str | None:
        """The provider that a call's upstream is charged at."""
        return self._providers.find(call.upstream, call.dialect)

    def estimate(self, call: Call) -> Weight:
        """What the call will weigh, by experience and at the dearest rates of its tier; no price where its model has none."""
        parts = self._expect(call)
        return weigh(parts, self._ceiling(call, parts))

    def bound(self, call: Call, unbounded_nano_usd: int | None) -> Weight:
        """What the call can weigh at most, provably; `unbounded_nano_usd` at least for one that no bound can be told of."""
        parts = bound(call)
        weight = weigh(parts, self._ceiling(call, parts, dearest=True))
        if unbounded_nano_usd is not None and (call.ask.unbounded or call.ask.media_bytes or self.needs_maximum(call)):
            return msgspec.structs.replace(weight, nano_usd=max(weight.nano_usd or 0, unbounded_nano_usd))
        return weight

    def needs_maximum(self, call: Call) -> bool:
        """Whether the output may run on without end, for want of a maximum in the request."""
        return writes_text(call.kind) and read_maximum(call) is None

    def read_maximum(self, call: Call) -> int | None:
        """The most output tokens that one choice may have: as asked, or as is reserved where nothing was; None where output has no maximum."""
        return (read_maximum(call) or self.reserving.output_tokens) if writes_text(call.kind) else None

    def output_tokens(self, call: Call) -> int:
        """The output tokens that the estimate holds, over all choices."""
        return self._expect(call).output_tokens

    def affordable(self, call: Call, room: Room, weight: Weight, *, strict: bool) -> int | None:
        """The most output tokens a choice that `room` still pays, where `weight` is what the call asks; None: no telling."""
        parts = bound(call) if strict else self._expect(call)
        if not parts.output_tokens or not writes_text(call.kind):
            return None
        choices = call.ask.choices
        most = parts.output_tokens // choices
        if room.tokens is not None:
            most = min(most, (room.tokens - parts.input_tokens) // choices)
        if room.nano_usd is not None:
            ceiling = self._ceiling(call, parts, dearest=strict)
            if ceiling is None or weight.nano_usd is None or weight.nano_usd > (weigh(parts, ceiling).nano_usd or 0):
                return None  # what a call without a bound reserves does not shrink with its output
            if ceiling.output:
                fixed = price(msgspec.structs.replace(parts, output_tokens=0), ceiling)
                most = min(most, (room.nano_usd * ATTO_PER_NANO - fixed) // (ceiling.output * choices))
        return max(0, most)

    def price_output(self, call: Call, tokens: int) -> int | None:
        """What so many more output tokens cost at most, in nano-USD."""
        ceiling = self._ceiling(call, self._expect(call))
        return None if ceiling is None else -(-ceiling.output * tokens // ATTO_PER_NANO)

    def count_output(self, call: Call, output_bytes: int) -> int:
        """The tokens of so many bytes of a call's output, by what was learned of its model."""
        model = call.kind.model or call.ask.model or ""
        return self._ratios.estimate(model, 0, output_bytes).output_tokens

    def learn(self, call: Call, usage: Usage) -> None:
        """Take the output of a call that ended by itself into what is expected of its agent and model."""
        if call.outcome is None and call.reading.complete and read_maximum(call) is None and call.identity is not None:
            model = call.kind.model or call.ask.model or ""
            self.quantiles.learn(call.identity.agent, model, -(-usage.output_tokens // call.ask.choices))

    def _expect(self, call: Call) -> Parts:
        return expect(call, self._ratios, self.quantiles, self.reserving)

    def _ceiling(self, call: Call, parts: Parts, *, dearest: bool = False) -> Ceiling | None:
        return self._ceilings.find(
            upstream=call.upstream, provider=self.provider(call), model=call.kind.model or call.ask.model,
            service_tier=call.ask.service_tier, dearest=dearest, input_tokens=parts.input_tokens, at_ns=call.started_ns,
        )  # fmt: skip
