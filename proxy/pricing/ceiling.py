"""The ceiling: the dearest rates that may apply to a call before it has run, as integers in atto-USD.

A bill is a sum of tokens times rates, each token at one rate of the sheet. So no bill of so many tokens is above so many times the dearest
rate; and as a ceiling is summed exactly and rounded up, it is not above by rounding either.
"""

from __future__ import annotations

import msgspec

from proxy.pricing.book import Book
from proxy.pricing.match import MINUTE_NS, NAME_CHARACTERS
from proxy.pricing.sheet import Rate, Sheet

_MOST_KEPT = 4096
_STEP_TOKENS = 32768  # inputs are rounded up to this for the tiers of long inputs, so that few ceilings are kept
_TEXT = ("input", "cache_read", "cache_write", "cache_write_1h")
_MEDIA = (*_TEXT, "input_audio", "cache_read_audio", "input_image")
_OUTPUT = ("output", "reasoning", "output_audio", "output_image")


class Ceiling(msgspec.Struct, frozen=True, gc=False):
    """Atto-USD (1e-18 USD) per token of text, of pictures and sound, and of output; per call, per search, and per hour of sound."""

    input: int
    media: int
    output: int
    request: int
    search: int
    audio_hour: int


class Ceilings:
    """Finds ceilings, and keeps those that were found."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self._found: dict[tuple, Ceiling | None] = {}

    def find(
        self, *, upstream: str, provider: str | None, model: str | None, service_tier: str | None, dearest: bool, input_tokens: int, at_ns: int
    ) -> Ceiling | None:
        """The ceiling of a model at an upstream, by its prices at a moment since the epoch; None where they are unknown.

        Every rate that text may be charged at counts (caches written, reasoning), and every tier of long inputs up to `input_tokens`.
        `dearest`: over all service tiers, and not that of `service_tier` alone.
        """
        steps, minute = -(-input_tokens // _STEP_TOKENS), at_ns // MINUTE_NS
        key = (upstream, provider, model, None if dearest else service_tier, dearest, steps, minute)
        if key in self._found:
            return self._found[key]
        sheets = self._book.sheets(upstream, provider, model, service_tier, all_tiers=dearest, minute=minute)
        ceiling = _cover(sheets, steps * _STEP_TOKENS)
        if any(word and len(word) > NAME_CHARACTERS for word in (model, service_tier)):
            return ceiling  # no real name, and a caller must not fill our memory with such
        if len(self._found) >= _MOST_KEPT:
            del self._found[next(iter(self._found))]
        self._found[key] = ceiling
        return ceiling


def _cover(sheets: list[Sheet], input_tokens: int) -> Ceiling | None:
    """The dearest of the sheets' rates; None where they have none."""

    def dearest(*names: str) -> int | None:
        rates = [rate for sheet in sheets for name in names if (rate := getattr(sheet, name)) is not None]
        return max((_select_dearest(rate, input_tokens) for rate in rates), default=None)

    found = [dearest(*names) for names in (_TEXT, _MEDIA, _OUTPUT, ("request",), ("web_search",), ("audio_hour",))]
    return None if all(each is None for each in found) else Ceiling(*(each or 0 for each in found))


def _select_dearest(rate: Rate, input_tokens: int) -> int:
    return max([rate.base, *(price for over, price in rate.tiers if input_tokens > over)])
