"""Anthropic Messages (also on Vertex and Bedrock): one JSON object, or named SSE events.

`message_start` brings the first counts, `message_delta` the cumulative last ones; fields merge, the last value that is not
null wins. `input_tokens` leaves out what the cache gave or took, so both are added.
Format: https://docs.anthropic.com/en/api/messages-streaming
"""

from __future__ import annotations

import msgspec

from proxy.call import Usage
from proxy.wire.loose import FAULTS, Loose, count
from proxy.wire.tally import Tally


class _CacheCreation(msgspec.Struct, gc=False):
    ephemeral_5m_input_tokens: int | None = None
    ephemeral_1h_input_tokens: int | None = None


class _OutputDetails(msgspec.Struct, gc=False):
    thinking_tokens: int | None = None


class _ServerTools(msgspec.Struct, gc=False):
    web_search_requests: int | None = None


class _Counts(msgspec.Struct, gc=False):
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation: _CacheCreation | None = None
    output_tokens_details: _OutputDetails | None = None
    server_tool_use: _ServerTools | None = None
    service_tier: str | None = None
    speed: str | None = None  # `fast` has a price of its own


class _Block(msgspec.Struct, gc=False):
    type: str | None = None
    name: str | None = None
    text: str | None = None
    thinking: str | None = None
    input: msgspec.Raw = msgspec.Raw()


class _Message(msgspec.Struct, gc=False):
    id: str | None = None
    model: str | None = None
    content: list[_Block] | None = None
    stop_reason: str | None = None
    usage: _Counts | None = None
    error: msgspec.Raw | None = None


class _Delta(msgspec.Struct, gc=False):
    text: str | None = None
    partial_json: str | None = None
    thinking: str | None = None
    stop_reason: str | None = None


class _Event(msgspec.Struct, gc=False):
    type: str | None = None
    message: _Message | None = None
    index: int | None = None
    content_block: _Block | None = None
    delta: _Delta | None = None
    usage: _Counts | None = None
    error: msgspec.Raw | None = None


_MESSAGE = Loose(_Message)
_EVENT = Loose(_Event)
_COUNT_FIELDS = _Counts.__struct_fields__


class MessagesForm:
    """Reads `anthropic.messages`."""

    formats = ("anthropic.messages",)
    __slots__ = ("_tally", "_counts")

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._counts: _Counts | None = None

    def read_whole(self, body: bytes) -> None:
        self._take_message(_MESSAGE.decode(body))
        self._tally.reading.complete = True

    def read_events(self, events: list[tuple[bytes, bytes]]) -> None:
        for name, data in events:
            try:
                event = _EVENT.decode(data)
            except FAULTS:
                self._tally.reading.unread += 1
                continue
            self._take_event(event.type or name.decode("latin-1"), event, data)

    def _take_event(self, kind: str, event: _Event, data: bytes) -> None:
        tally = self._tally
        if kind == "content_block_delta":
            delta = event.delta
            if delta is None:
                return
            tally.add_text(delta.text)
            tally.add_hidden(delta.thinking)
            if delta.partial_json:
                tally.add_arguments(event.index, delta.partial_json)
        elif kind == "content_block_start":
            if event.content_block is not None:
                self._take_block(event.index, event.content_block, started=True)
        elif kind == "message_start":
            if event.message is not None:
                self._take_message(event.message)
        elif kind == "message_delta":
            if event.delta is not None and event.delta.stop_reason:
                tally.reading.finish = event.delta.stop_reason
            self._merge(event.usage)
        elif kind == "message_stop":
            tally.reading.complete = True
        elif kind == "error":
            tally.add_error(event.error if event.error is not None else data)

    def finish(self) -> None:
        counts = self._counts
        if counts is None:
            return
        created, details, tools = counts.cache_creation, counts.output_tokens_details, counts.server_tool_use
        read, written = count(counts.cache_read_input_tokens), count(counts.cache_creation_input_tokens)
        if created is not None and counts.cache_creation_input_tokens is None:
            written = count(created.ephemeral_5m_input_tokens) + count(created.ephemeral_1h_input_tokens)
        self._tally.reading.usage = Usage(
            input_tokens=count(counts.input_tokens) + read + written,
            output_tokens=count(counts.output_tokens),
            cache_read_tokens=read,
            cache_write_tokens=written,
            cache_write_1h_tokens=count(created.ephemeral_1h_input_tokens) if created else 0,
            reasoning_tokens=count(details.thinking_tokens) if details else 0,
            web_searches=count(tools.web_search_requests) if tools else 0,
        )

    def _take_message(self, message: _Message) -> None:
        reading = self._tally.reading
        reading.model = message.model or reading.model
        reading.response_id = message.id or reading.response_id
        reading.finish = message.stop_reason or reading.finish
        self._merge(message.usage)
        for index, block in enumerate(message.content or ()):
            self._take_block(index, block, started=False)
        if message.error is not None:
            self._tally.add_error(message.error)

    def _take_block(self, index: object, block: _Block, *, started: bool) -> None:
        tally = self._tally
        if block.type == "tool_use":
            given = bytes(block.input)
            tally.add_tool(index, block.name, None if started and given in (b"", b"{}") else given.decode("utf-8", "replace"))
        elif block.type == "text":
            tally.add_text(block.text)
        else:
            tally.add_hidden(block.thinking)

    def _merge(self, counts: _Counts | None) -> None:
        if counts is None:
            return
        known = self._counts or counts
        speed = counts.speed or known.speed
        if tier := speed if speed not in (None, "standard") else counts.service_tier:
            self._tally.reading.service_tier = tier
        if self._counts is None:
            self._counts = counts
            return
        for field in _COUNT_FIELDS:
            value = getattr(counts, field)
            if value is not None:
                setattr(self._counts, field, value)
