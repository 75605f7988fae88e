"""What is reserved for a call before it has run: what it will take by experience, and what it can take by proof.

By experience: the prompt by the bytes a token that were learned of its model, with a margin; the output by the maximum that the caller
set, else by nearly the longest that its agent got from that model lately. What no size tells (pictures, files, what the provider
keeps or looks up) is guessed, once for each.

By proof: byte-level tokenizers make no token of less than one byte, so a prompt has no more tokens than its request has bytes, and what
providers add (roles, tool prompts) is covered by the JSON around the text and a constant; output ends at the maximum. It holds for
what `proxy.wire.UNBOUNDED` does not name.
"""

from __future__ import annotations

from collections import OrderedDict

import msgspec

from proxy.call import Call, Kind
from proxy.dataplane.estimate import ByteRatios
from proxy.pricing.ceiling import Ceiling
from proxy.rules import Reserving
from proxy.toll.terms import Weight
from proxy.wire import makes_output

ATTO_PER_NANO = 10**9
_TEXT = frozenset({"chat", "text_completion", "generate_content", "invoke_agent"})  # operations that answer with text, up to a maximum
_OTHER_OUTPUT = {"image_generation": 6400, "speech": 4096, "transcription": 8192, "realtime": 4096}  # tokens, until better is learned
_MESSAGE_TOKENS = 16  # of roles and separators
_PICTURE_TOKENS = 1600  # a picture of a megapixel: 765 to 1,600
_MEDIA_BYTES_A_TOKEN = 200  # of large pictures, scans and sound, in base64
_SOUND_BYTES_A_SECOND = 8000  # 64 kbit
_GUESSED_TOKENS = {"image_url": _PICTURE_TOKENS, "file": 8192, "stored_context": 8192, "server_tools": 16384, "web_search": 16384}
_SEARCHING = ("server_tools", "web_search")
_ADDED_TOKENS = 1024  # what a provider puts before a prompt: Anthropic's hidden tool prompt takes up to 700
_MOST_OUTPUT = 10**10  # more comes out of no call, and a sum of it stays an exact number everywhere
_MOST_STREAMS = 4096
_RECENT = 64
_ENOUGH = 20
_MARGIN = 1.25
_FREE = frozenset({"count_tokens", "files", "models"})  # operations that no provider bills


def may_cost(call: Call) -> bool:
    """Whether a call may cost anything: not what only asks for something that an earlier call has made."""
    if call.transport == "websocket":
        return True
    return call.method == "POST" and call.kind.operation not in _FREE and (call.kind.json_body or call.kind.format != "openai.responses")


def name_unbounded(call: Call) -> tuple[str, ...]:
    """Why no upper bound of a call's cost can be told; empty where one can. A picture's tokens follow its size, and not its bytes."""
    return (*call.ask.unbounded, "media") if call.ask.media_bytes else call.ask.unbounded


class Parts(msgspec.Struct, frozen=True, gc=False):
    """What a call takes: tokens of text, of pictures and sound, and of output (of all choices); searches, and seconds of sound."""

    text_tokens: int
    media_tokens: int
    output_tokens: int
    searches: int = 0
    audio_s: int = 0

    @property
    def input_tokens(self) -> int:
        return self.text_tokens + self.media_tokens


class _Recent(msgspec.Struct):
    """The newest outputs in a ring, how many there were, and what is expected by them."""

    ring: list[int]
    seen: int = 0
    expected: int | None = None


class OutputQuantiles:
    """Nearly the longest of the recent outputs, per agent and model."""

    def __init__(self) -> None:
        self._recent: OrderedDict[tuple[str, str], _Recent] = OrderedDict()

    def learn(self, agent: str, model: str, output_tokens: int) -> None:
        """Take in an output that ended by itself."""
        key = (agent, model)
        recent = self._recent.setdefault(key, _Recent([]))
        self._recent.move_to_end(key)
        if recent.seen < _RECENT:
            recent.ring.append(output_tokens)
        else:
            recent.ring[recent.seen % _RECENT] = output_tokens
        recent.seen += 1
        if recent.seen >= _ENOUGH:
            recent.expected = int(max(recent.ring) * _MARGIN) + 1
        if len(self._recent) > _MOST_STREAMS:
            self._recent.popitem(last=False)

    def expect(self, agent: str, model: str) -> int | None:
        """A length that few outputs pass; None while too few have been seen."""
        recent = self._recent.get((agent, model))
        return None if recent is None else recent.expected


def writes_text(kind: Kind) -> bool:
    """Whether calls of this kind answer with text, which goes on to a maximum of output tokens or to no end."""
    return kind.operation in _TEXT and makes_output(kind)


def read_maximum(call: Call) -> int | None:
    """The output tokens at which a choice ends at last; None where no maximum is set. Of zero, some providers think it is none."""
    return call.ask.max_output_tokens or None


def expect(call: Call, ratios: ByteRatios, quantiles: OutputQuantiles, reserving: Reserving) -> Parts:
    """What a call will take, by experience."""
    ask = call.ask
    media_bytes = ask.media_bytes if call.kind.json_body else ask.prompt_bytes  # a form is a file with a few words
    text = ratios.estimate(call.kind.model or ask.model or "", ask.prompt_bytes - media_bytes, 0).input_tokens
    guessed = searches = 0
    if ask.unbounded:
        guessed = sum(_GUESSED_TOKENS.get(name, 0) for name in ask.unbounded)
        searches = sum(name in ask.unbounded for name in _SEARCHING)
    return Parts(
        int(text * reserving.input_margin) + guessed + _MESSAGE_TOKENS,
        max(ask.media_pieces * _PICTURE_TOKENS, media_bytes // _MEDIA_BYTES_A_TOKEN) if media_bytes else 0,
        min(_expect_output(call, quantiles, reserving) * ask.choices, _MOST_OUTPUT),
        searches,
        media_bytes // _SOUND_BYTES_A_SECOND,
    )


def _expect_output(call: Call, quantiles: OutputQuantiles, reserving: Reserving) -> int:
    """The output tokens of one choice."""
    is_text = writes_text(call.kind)
    if not is_text and call.kind.operation not in _OTHER_OUTPUT:
        return 0
    if (asked := read_maximum(call)) is not None:
        return asked
    most = reserving.output_tokens if is_text else _OTHER_OUTPUT[call.kind.operation]
    who = call.identity
    learned = quantiles.expect(who.agent, call.kind.model or call.ask.model or "") if who is not None else None
    return most if learned is None else min(learned, most)


def bound(call: Call) -> Parts:
    """What a call can take at most. Its request must have a maximum of output."""
    output_tokens = (read_maximum(call) or 0) if writes_text(call.kind) else 0
    return Parts(call.ask.prompt_bytes + _ADDED_TOKENS, 0, min(output_tokens * call.ask.choices, _MOST_OUTPUT))


def weigh(parts: Parts, ceiling: Ceiling | None) -> Weight:
    """Tokens, and nano-USD rounded up; no price where there is no ceiling."""
    tokens = parts.input_tokens + parts.output_tokens
    return Weight(None if ceiling is None else -(-price(parts, ceiling) // ATTO_PER_NANO), tokens)


def price(parts: Parts, ceiling: Ceiling) -> int:
    """Atto-USD at a ceiling's rates."""
    atto_usd = ceiling.input * parts.text_tokens + ceiling.output * parts.output_tokens + ceiling.request
    if parts.media_tokens:
        atto_usd += ceiling.media * parts.media_tokens + ceiling.audio_hour * parts.audio_s // 3600
    return atto_usd + ceiling.search * parts.searches if parts.searches else atto_usd
