"""The ceiling: the dearest rates that may apply to a call before it has run, as integers in atto-USD."""

from __future__ import annotations

from collections import OrderedDict

import msgspec

from proxy.pricing.book import Book
from proxy.pricing.match import MINUTE_NS
from proxy.pricing.sheet import Rate, Sheet

_MOST_KEPT = 4096
_STEP_TOKENS = 32768  # inputs are rounded up to this for the tiers, so that few ceilings are kept


class Ceiling(msgspec.Struct, frozen=True, gc=False):
    """Atto-USD (1e-18 USD) per input token, per output token, and per call."""

    input: int
    output: int
    request: int


class Ceilings:
    """Finds ceilings, and keeps those that were found."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self._found: OrderedDict[tuple, Ceiling | None] = OrderedDict()

    def find(
        self, *, upstream: str, provider: str | None, model: str | None, service_tier: str | None, dearest: bool, input_tokens: int, at_ns: int
    ) -> Ceiling | None:
        """The ceiling of a model at an upstream; None where its price is unknown.

        Every rate that text may be charged at counts (caches written, reasoning), and every tier of long inputs up to `input_tokens`.
        `dearest`: over all service tiers, and not that of `service_tier` alone.
        """
        steps = -(-input_tokens // _STEP_TOKENS)
        key = (upstream, provider, model, None if dearest else service_tier, dearest, steps, at_ns // (60 * MINUTE_NS))
        if key in self._found:
            return self._found[key]
        sheets = self._book.sheets(upstream, provider, model, service_tier, all_tiers=dearest, minute=at_ns // MINUTE_NS)
        ceiling = _cover(sheets, steps * _STEP_TOKENS) if sheets else None
        self._found[key] = ceiling
        if len(self._found) > _MOST_KEPT:
            self._found.popitem(last=False)
        return ceiling


def _cover(sheets: list[Sheet], input_tokens: int) -> Ceiling | None:
    inputs = [rate for sheet in sheets for rate in (sheet.input, sheet.cache_read, sheet.cache_write, sheet.cache_write_1h) if rate is not None]
    outputs = [rate for sheet in sheets for rate in (sheet.output, sheet.reasoning) if rate is not None]
    requests = [sheet.request for sheet in sheets if sheet.request is not None]
    if not inputs and not outputs and not requests:
        return None
    return Ceiling(*(max((_dearest(rate, input_tokens) for rate in rates), default=0) for rates in (inputs, outputs, requests)))


def _dearest(rate: Rate, input_tokens: int) -> int:
    return max([rate.base, *(price for over, price in rate.tiers if input_tokens > over)])
