"""The till: turns the reservation of a call that has ended into what its budgets are charged."""

from __future__ import annotations

import math
import time

import msgspec

from proxy.call import Call, RateLimits, Usage
from proxy.dataplane.weigher import Weigher
from proxy.pricing.book import Priced
from proxy.toll.central import Central
from proxy.toll.gate import Gate
from proxy.toll.ledger import Ledger
from proxy.toll.terms import Weight

_SILENT = RateLimits()


_OUTPUT_MARGIN = 1.25
_ON_THE_WAY_TOKENS = 64  # made by the provider, and not received when the connection ended


class Till:
    """Settles the ledger and the gate, once a call."""

    def __init__(self, ledger: Ledger | Central, gate: Gate, weigher: Weigher) -> None:
        self._ledger = ledger
        self._gate = gate
        self._weigher = weigher

    def pay(self, call: Call, usage: Usage | None, source: str, priced: Priced) -> tuple[dict[str, int], Priced]:
        """(cell → charged, the price to record). Where a cost is not known, the call costs what was reserved."""
        now_ns = time.time_ns()
        if usage is not None and source == "reported":
            self._weigher.learn(call, usage)
        self._leave_gate(call, usage, now_ns)
        if not call.toll.reserved:
            return {}, priced
        if call.toll.is_strict and source == "raised":
            usage = None
        weight, priced = _weigh(call, usage, priced)
        return self._ledger.settle(call.id, weight), priced

    def _leave_gate(self, call: Call, usage: Usage | None, now_ns: int) -> None:
        """Correct what the call took of the rate limits, and learn what the answer's head told of the provider's own."""
        answer = call.answer
        if not self._gate.is_idle:
            if answer.sent_ns is None:
                self._gate.withdraw(call.id, now_ns)
            elif usage is None and answer.status is not None and answer.status >= 400:
                self._gate.leave(call.id, 0, 0, now_ns)
            else:
                self._gate.leave(call.id, usage.input_tokens if usage else None, usage.output_tokens if usage else None, now_ns)
        if answer.sent_ns is not None and (answer.status == 429 or answer.limits != _SILENT):
            model, came_ns = call.kind.model or call.ask.model, answer.first_byte_ns or now_ns
            self._gate.learn(call.upstream, name_credential(call), model, answer.limits, answer.status, answer.sent_ns, came_ns)


def raise_usage(call: Call, usage: Usage) -> Usage:
    """An estimate on the safe side, for a budget that must hold: the input as it was reserved, the output with a margin, within what was reserved."""
    seen, covered = usage.output_tokens, call.toll.reserved_output_tokens
    output_tokens = math.ceil(seen * _OUTPUT_MARGIN) + (0 if call.reading.complete else _ON_THE_WAY_TOKENS)
    if covered is not None:
        output_tokens = max(seen, min(output_tokens, covered))
    return msgspec.structs.replace(usage, input_tokens=max(usage.input_tokens, call.toll.reserved_input_tokens), output_tokens=output_tokens)


def _weigh(call: Call, usage: Usage | None, priced: Priced) -> tuple[Weight | None, Priced]:
    """What the ledger is to charge (None: all that was reserved), and the price that goes with it."""
    if call.answer.sent_ns is None:  # provably nothing was sent
        return Weight(0, 0, 0), priced
    if priced.source == "unbilled":
        return Weight(0, 0, 1), priced
    reserved = call.toll.reserved_nano_usd
    as_reserved = Priced(reserved, "reserved", "") if reserved is not None else priced
    if usage is None:
        return None, as_reserved
    tokens = usage.input_tokens + usage.output_tokens
    if priced.cost_nano_usd is None:
        return Weight(reserved or 0, tokens, 1), as_reserved
    return Weight(priced.cost_nano_usd, tokens, 1), priced


def name_credential(call: Call) -> str:
    """What tells the provider keys of calls apart, which the providers' limits are kept by; empty for a single one of ours."""
    return call.upstream_key or (call.identity.key_hash if call.identity else None) or ""
