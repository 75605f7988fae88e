"""What is reserved for a call before it has run: the estimate by experience, and the bound by proof.

The bound follows from byte-level tokenizers: a token is at least one byte, so a prompt has no more tokens than its request has bytes, and
what providers add (roles, tool prompts) is covered by the JSON around the text and a constant. Output ends at the request's maximum.
"""

from __future__ import annotations

from collections import OrderedDict

from proxy.call import Call
from proxy.dataplane.estimate import ByteRatios
from proxy.pricing.ceiling import Ceiling
from proxy.rules import Reserving
from proxy.toll.terms import Weight

ATTO_PER_NANO = 10**9
ENDLESS = frozenset({"chat", "text_completion", "generate_content", "invoke_agent"})  # operations that answer with text
_MESSAGE_TOKENS = 16  # of roles and separators, a guess for the whole of a short prompt
_MEDIA_BYTES_A_TOKEN = 200  # base64 of pictures: some 300 KB are about 1,500 tokens
_ADDED_TOKENS = 1024  # what a provider puts before a prompt: Anthropic's hidden tool prompt takes 570 to 680
_MOST_STREAMS = 4096
_RECENT = 64
_ENOUGH = 20
_MARGIN = 1.25


class OutputQuantiles:
    """Nearly the longest of the recent outputs, per agent and model."""

    def __init__(self) -> None:
        self._recent: OrderedDict[tuple[str, str], tuple[list[int], int]] = OrderedDict()  # the newest outputs in a ring, and how many there were

    def learn(self, agent: str, model: str, output_tokens: int) -> None:
        """Take in an output that ended by itself."""
        key = (agent, model)
        ring, seen = self._recent.get(key, ([], 0))
        if len(ring) < _RECENT:
            ring.append(output_tokens)
        else:
            ring[seen % _RECENT] = output_tokens
        self._recent[key] = (ring, seen + 1)
        if len(self._recent) > _MOST_STREAMS:
            self._recent.popitem(last=False)

    def expect(self, agent: str, model: str) -> int | None:
        """A length that few outputs pass; None while too few have been seen."""
        ring, seen = self._recent.get((agent, model), ([], 0))
        return None if seen < _ENOUGH else round(max(ring) * _MARGIN) + 1


def expect_output(call: Call, quantiles: OutputQuantiles, reserving: Reserving) -> int:
    """Output tokens of one choice."""
    if call.kind.operation not in ENDLESS:
        return 0
    asked = call.ask.max_output_tokens
    if asked is not None:
        return asked
    assert call.identity is not None
    learned = quantiles.expect(call.identity.agent, call.kind.model or call.ask.model or "")
    return reserving.output_tokens if learned is None else min(learned, reserving.output_tokens)


def estimate(call: Call, ratios: ByteRatios, quantiles: OutputQuantiles, ceiling: Ceiling | None, reserving: Reserving) -> Weight:
    """What a call will weigh at most, by experience."""
    ask = call.ask
    model = call.kind.model or ask.model or ""
    text = ratios.estimate(model, ask.prompt_bytes - ask.media_bytes, 0).input_tokens
    input_tokens = int(text * reserving.input_margin) + ask.media_bytes // _MEDIA_BYTES_A_TOKEN + _MESSAGE_TOKENS
    return _weigh(input_tokens, expect_output(call, quantiles, reserving) * ask.choices, ceiling)


def bound(call: Call, ceiling: Ceiling | None) -> Weight:
    """What a call can weigh at most. Its request must have a maximum of output."""
    ask = call.ask
    output_tokens = (ask.max_output_tokens or 0) if call.kind.operation in ENDLESS else 0
    return _weigh(ask.prompt_bytes + _ADDED_TOKENS, output_tokens * ask.choices, ceiling)


def _weigh(input_tokens: int, output_tokens: int, ceiling: Ceiling | None) -> Weight:
    if ceiling is None:
        return Weight(None, input_tokens + output_tokens)
    atto_usd = ceiling.input * input_tokens + ceiling.output * output_tokens + ceiling.request
    return Weight(-(-atto_usd // ATTO_PER_NANO), input_tokens + output_tokens)
