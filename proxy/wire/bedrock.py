"""Amazon Bedrock's Converse and ConverseStream: one JSON object, or messages of a binary event stream.

The answer does not name the model. `inputTokens` leaves out what the cache gave or took. An exception inside a stream is a
message of its own.
Format: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html
"""

from __future__ import annotations

import msgspec

from proxy.call import Usage
from proxy.wire.loose import FAULTS, Loose, count
from proxy.wire.tally import Tally


class _CacheDetail(msgspec.Struct, rename="camel", gc=False):
    ttl: str | None = None
    input_tokens: int | None = None


class _Counts(msgspec.Struct, rename="camel"):
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_write_input_tokens: int | None = None
    cache_read_input_token_count: int | None = None  # Nova's own body
    cache_write_input_token_count: int | None = None
    cache_details: list[_CacheDetail] | None = None


class _ToolUse(msgspec.Struct):
    name: str | None = None
    input: msgspec.Raw = msgspec.Raw()


class _ReasoningText(msgspec.Struct, gc=False):
    text: str | None = None


class _Reasoning(msgspec.Struct, rename="camel"):
    reasoning_text: _ReasoningText | None = None
    text: str | None = None


class _Block(msgspec.Struct, rename="camel"):
    text: str | None = None
    tool_use: _ToolUse | None = None
    reasoning_content: _Reasoning | None = None


class _Message(msgspec.Struct):
    content: list[_Block] | None = None


class _Output(msgspec.Struct):
    message: _Message | None = None


class _Tier(msgspec.Struct, gc=False):
    type: str | None = None


class _Body(msgspec.Struct, rename="camel"):
    """A Converse answer, or any event of a ConverseStream."""

    output: _Output | None = None
    stop_reason: str | None = None
    usage: _Counts | None = None
    service_tier: _Tier | None = None
    content_block_index: int | None = None
    start: _Block | None = None
    delta: _Block | None = None


_BODY = Loose(_Body)


class ConverseForm:
    """Reads `bedrock.converse`."""

    formats = ("bedrock.converse",)
    __slots__ = ("_tally",)

    def __init__(self, tally: Tally) -> None:
        self._tally = tally

    def read_whole(self, body: bytes) -> None:
        self._take(_BODY.decode(body))
        self._tally.reading.complete = True

    def read_events(self, events: list[tuple[bytes, bytes]]) -> None:
        for name, data in events:
            if name.startswith(b"exception:"):
                take_exception(self._tally, name, data)
                continue
            try:
                self._take(_BODY.decode(data))
            except FAULTS:
                self._tally.reading.unread += 1
                continue
            if name == b"metadata":  # the last event
                self._tally.reading.complete = True

    def finish(self) -> None:
        pass

    def _take(self, body: _Body) -> None:
        tally, reading = self._tally, self._tally.reading
        reading.finish = body.stop_reason or reading.finish
        if body.service_tier is not None:
            reading.service_tier = body.service_tier.type or reading.service_tier
        if body.usage is not None:
            reading.usage = _read_counts(body.usage)
        if body.output is not None and body.output.message is not None:
            for index, block in enumerate(body.output.message.content or ()):
                self._take_block(index, block)
        if body.start is not None and body.start.tool_use is not None:
            tally.add_tool(body.content_block_index, body.start.tool_use.name)
        if body.delta is not None:
            self._take_delta(body.content_block_index, body.delta)

    def _take_block(self, index: object, block: _Block) -> None:
        tally = self._tally
        tally.add_text(block.text)
        if block.tool_use is not None:
            tally.add_tool(index, block.tool_use.name, bytes(block.tool_use.input).decode("utf-8", "replace"))
        if block.reasoning_content is not None and block.reasoning_content.reasoning_text is not None:
            tally.add_hidden(block.reasoning_content.reasoning_text.text)

    def _take_delta(self, index: object, delta: _Block) -> None:
        tally = self._tally
        tally.add_text(delta.text)
        if delta.reasoning_content is not None:
            tally.add_hidden(delta.reasoning_content.text)
        if delta.tool_use is not None:
            try:  # a piece of the arguments, as a JSON string
                tally.add_arguments(index, msgspec.json.decode(bytes(delta.tool_use.input), type=str))
            except FAULTS:
                tally.reading.unread += 1


def take_exception(tally: Tally, name: bytes, data: bytes) -> None:
    """Note an exception message of an event stream."""
    tally.add_error(data)
    kind = name.partition(b":")[2].decode("latin-1")
    tally.reading.error = tally.reading.error or kind or "exception"
    tally.reading.error_type = kind or tally.reading.error_type


def _read_counts(counts: _Counts) -> Usage:
    read = count(counts.cache_read_input_tokens, counts.cache_read_input_token_count)
    written = count(counts.cache_write_input_tokens, counts.cache_write_input_token_count)
    long = sum(count(one.input_tokens) for one in counts.cache_details or () if one.ttl == "1h")
    return Usage(
        input_tokens=count(counts.input_tokens) + read + written,
        output_tokens=count(counts.output_tokens),
        cache_read_tokens=read,
        cache_write_tokens=written,
        cache_write_1h_tokens=min(long, written),
    )
