"""A sheet is what one model costs at one moment; it turns a usage into integer nano-USD.

A rate is an integer in atto-USD (1e-18 USD) per token, search or request, and per hour of audio. Atto because some
published prices are no whole number of pico-USD a token (0.0833333333333333 USD per million tokens): with atto-USD a
million tokens are still exact to the nano-USD. Nothing here is a float; the sum is rounded once, half up.

How a usage is cut into parts follows genai-prices (`genai_prices/decompose.py`): a token is charged at its most specific
rate that the sheet has, so cached audio is neither charged as audio nor as cache nor as input again, and a part without
its own rate stays in the whole. A rate with tiers applies the tier of the call's *whole* input to all tokens.

A usage whose parts exceed its whole (a provider that counts cached tokens beside its input) is no error here: each
part is charged as reported, the rest of the whole is zero, and the tier is that of the larger figure. So a fault in a usage
never makes it cheaper than its parts, and never negative.
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

import msgspec

from proxy.call import Usage

ATTO_PER_NANO = 10**9
ATTO_PER_USD = 10**18
_MICROSECONDS_PER_HOUR = 3_600_000_000
_MOST_AUDIO_S = 10**9  # thirty years: more is a fault of the usage, and infinity is no number to charge


class Rate(msgspec.Struct, frozen=True, array_like=True, omit_defaults=True):
    """Atto-USD a piece: `base`, or the rate of the last tier (over this many input tokens, rate) that the call exceeds."""

    base: int
    tiers: tuple[tuple[int, int], ...] = ()

    def select(self, input_tokens: int) -> int:
        """The rate for a call with so many input tokens; a tier starts *above* its threshold."""
        for over, rate in reversed(self.tiers):
            if input_tokens > over:
                return rate
        return self.base


class Sheet(msgspec.Struct, frozen=True, omit_defaults=True):
    """The rates of one model; None: the sheet has no rate for that part, so it stays in the whole it belongs to."""

    input: Rate | None = None
    output: Rate | None = None
    cache_read: Rate | None = None
    cache_write: Rate | None = None
    cache_write_1h: Rate | None = None
    input_audio: Rate | None = None
    cache_read_audio: Rate | None = None
    input_image: Rate | None = None
    output_audio: Rate | None = None
    output_image: Rate | None = None
    reasoning: Rate | None = None
    web_search: Rate | None = None
    request: Rate | None = None
    audio_hour: Rate | None = None
    least_audio_us: int = 0  # audio shorter than this many microseconds is charged as this long

    def overlay(self, other: Sheet) -> Sheet:
        """This sheet with every rate that `other` has in place of its own."""
        return msgspec.structs.replace(self, **{name: rate for name in RATES if (rate := getattr(other, name)) is not None})

    def charge(self, usage: Usage) -> int | None:
        """What `usage` costs in nano-USD; None where something was used and no rate covers any of it."""
        whole_input, parts = self._cut_input(usage)
        parts += self._cut_output(usage)
        covered, atto_usd = False, 0
        for rate, count in parts:
            if rate is not None and count > 0:
                covered = True
                atto_usd += (rate.select(whole_input) if rate.tiers else rate.base) * count
        if self.audio_hour is not None and usage.audio_seconds > 0:
            covered = True
            atto_usd += self.audio_hour.select(whole_input) * self._billed_audio_us(usage.audio_seconds) // _MICROSECONDS_PER_HOUR
        if self.request is not None:
            covered = True
            atto_usd += self.request.select(whole_input)
        if not covered and (used(usage) or not any(getattr(self, name) for name in RATES)):
            return None
        return (atto_usd + ATTO_PER_NANO // 2) // ATTO_PER_NANO

    def _cut_input(self, usage: Usage) -> tuple[int, tuple[tuple[Rate | None, int], ...]]:
        """(all input tokens, its disjoint parts with their rates). The parts add up to the whole, which is never less than they are."""
        read_audio = usage.cache_read_audio_tokens if self.cache_read_audio is not None else 0
        audio = max(0, usage.input_audio_tokens - read_audio) if self.input_audio is not None else 0
        image = usage.input_image_tokens if self.input_image is not None else 0
        read = max(0, usage.cache_read_tokens - read_audio) if self.cache_read is not None else 0
        write_1h = usage.cache_write_1h_tokens if self.cache_write_1h is not None else 0
        write = max(0, usage.cache_write_tokens - write_1h) if self.cache_write is not None else 0
        special = read_audio + audio + image + read + write_1h + write
        whole = max(usage.input_tokens, special)
        return whole, (
            (self.input, whole - special),
            (self.cache_read, read),
            (self.cache_write, write),
            (self.cache_write_1h, write_1h),
            (self.input_audio, audio),
            (self.cache_read_audio, read_audio),
            (self.input_image, image),
        )

    def _cut_output(self, usage: Usage) -> tuple[tuple[Rate | None, int], ...]:
        """The disjoint parts of the output, and the server-side searches."""
        audio = usage.output_audio_tokens if self.output_audio is not None else 0
        image = usage.output_image_tokens if self.output_image is not None else 0
        reasoning = usage.reasoning_tokens if self.reasoning is not None else 0
        rest = max(0, usage.output_tokens - audio - image - reasoning)
        return (
            (self.output, rest),
            (self.output_audio, audio),
            (self.output_image, image),
            (self.reasoning, reasoning),
            (self.web_search, usage.web_searches),
        )

    def _billed_audio_us(self, seconds: float) -> int:
        """Seconds of audio as whole microseconds, at least the shortest that is charged."""
        exact = (Decimal(repr(min(seconds, _MOST_AUDIO_S))) * 10**6).quantize(Decimal(1), ROUND_HALF_UP)
        return max(int(exact), self.least_audio_us)


RATES = tuple(name for name in Sheet.__struct_fields__ if name != "least_audio_us")


def used(usage: Usage) -> bool:
    """Whether a usage names anything at all that could be billed."""
    return (
        usage.input_tokens > 0
        or usage.output_tokens > 0
        or usage.cache_read_tokens > 0
        or usage.cache_write_tokens > 0
        or usage.web_searches > 0
        or usage.audio_seconds > 0
    )


def convert_usd(usd: Decimal, pieces: int = 1) -> int:
    """A price of `usd` US dollars for `pieces` pieces as atto-USD a piece, rounded half up."""
    return int((usd * ATTO_PER_USD / pieces).quantize(Decimal(1), ROUND_HALF_UP))
