"""The weigher: what a call may weigh before it has run, from its request, from what was learned, and from the prices."""

from __future__ import annotations

import msgspec

from proxy.call import Call, Usage
from proxy.dataplane.estimate import ByteRatios
from proxy.dataplane.reservation import ATTO_PER_NANO, ENDLESS, OutputQuantiles, bound, estimate, expect_output
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
        """What the call will weigh at most, by experience; no price where its model has none."""
        return estimate(call, self._ratios, self.quantiles, self._ceiling(call), self.reserving)

    def bound(self, call: Call, unbounded_nano_usd: int | None) -> Weight:
        """What the call can weigh at most, provably; `unbounded_nano_usd` for one that no bound can be told of."""
        weight = bound(call, self._ceiling(call, dearest=True))
        if unbounded_nano_usd is not None and (call.ask.unbounded or self.needs_maximum(call)):
            return msgspec.structs.replace(weight, nano_usd=max(weight.nano_usd or 0, unbounded_nano_usd))
        return weight

    def needs_maximum(self, call: Call) -> bool:
        """Whether the output may run on without end, for want of a maximum in the request."""
        return call.kind.operation in ENDLESS and call.ask.max_output_tokens is None

    def output_tokens(self, call: Call) -> int:
        """The output tokens that the estimate holds, over all choices."""
        return expect_output(call, self.quantiles, self.reserving) * call.ask.choices

    def affordable(self, call: Call, room: Room, weight: Weight, *, strict: bool) -> int | None:
        """The most output tokens a choice that `room` still pays, where `weight` is what the call asks; None: no telling."""
        asked = call.ask.max_output_tokens if strict else expect_output(call, self.quantiles, self.reserving)
        if asked is None or call.kind.operation not in ENDLESS:
            return None
        choices, most = call.ask.choices, asked
        if room.tokens is not None:
            most = min(most, (room.tokens - (weight.tokens - asked * choices)) // choices)
        if room.nano_usd is not None:
            ceiling = self._ceiling(call, dearest=strict)
            if ceiling is None or weight.nano_usd is None:
                return None
            if ceiling.output:
                rest = room.nano_usd * ATTO_PER_NANO - (weight.nano_usd * ATTO_PER_NANO - ceiling.output * asked * choices)
                most = min(most, (rest - ATTO_PER_NANO) // (ceiling.output * choices))  # less what rounding up may add
        return max(0, most)

    def price_output(self, call: Call, tokens: int) -> int | None:
        """What so many more output tokens cost at most, in nano-USD."""
        ceiling = self._ceiling(call)
        return None if ceiling is None else -(-ceiling.output * tokens // ATTO_PER_NANO)

    def count_output(self, call: Call, output_bytes: int) -> int:
        """The tokens of so many bytes of a call's output, by what was learned of its model."""
        model = call.kind.model or call.ask.model or ""
        return self._ratios.estimate(model, 0, output_bytes).output_tokens

    def learn(self, call: Call, usage: Usage) -> None:
        """Take the output of a call that has ended in order into what is expected of its agent and model."""
        if call.outcome is None and call.reading.complete and call.toll.capped_tokens is None and call.identity is not None:
            model = call.kind.model or call.ask.model or ""
            self.quantiles.learn(call.identity.agent, model, usage.output_tokens // call.ask.choices)

    def _ceiling(self, call: Call, *, dearest: bool = False) -> Ceiling | None:
        return self._ceilings.find(
            upstream=call.upstream, provider=self.provider(call), model=call.kind.model or call.ask.model,
            service_tier=call.ask.service_tier, dearest=dearest, input_tokens=call.ask.prompt_bytes, at_ns=call.started_ns,
        )  # fmt: skip
