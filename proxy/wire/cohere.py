"""Cohere v2 chat, embed and rerank: one JSON object, or SSE events that name their type in the data.

`usage.tokens` are the tokens that the model saw, `usage.billed_units` leaves some of them out; the former are read, and the
latter where there are no others (embed, rerank). The answer names no model.
Format: https://docs.cohere.com/v2/docs/streaming
"""

from __future__ import annotations

import msgspec

from proxy.call import Usage
from proxy.wire.loose import FAULTS, Loose, count
from proxy.wire.tally import Tally


class _Tokens(msgspec.Struct, gc=False):
    input_tokens: int | float | None = None
    output_tokens: int | float | None = None
    image_tokens: int | float | None = None


class _Counts(msgspec.Struct):
    tokens: _Tokens | None = None
    billed_units: _Tokens | None = None
    cached_tokens: int | float | None = None


class _Function(msgspec.Struct, gc=False):
    name: str | None = None
    arguments: str | None = None


class _Call(msgspec.Struct):
    function: _Function | None = None


class _Part(msgspec.Struct, gc=False):
    type: str | None = None
    text: str | None = None
    thinking: str | None = None


class _Message(msgspec.Struct):
    content: list[_Part] | _Part | str | None = None
    tool_plan: str | None = None
    tool_calls: list[_Call] | _Call | None = None


class _Delta(msgspec.Struct):
    message: _Message | None = None
    finish_reason: str | None = None
    usage: _Counts | None = None
    error: msgspec.Raw = msgspec.Raw()


class _Body(msgspec.Struct):
    """An answer, or an event of a stream."""

    type: str | None = None
    id: str | None = None
    index: int | None = None
    message: _Message | None = None
    finish_reason: str | None = None
    usage: _Counts | None = None
    meta: _Counts | None = None
    delta: _Delta | None = None


_BODY = Loose(_Body)


class CohereForm:
    """Reads `cohere.chat` and `cohere.embed`."""

    formats = ("cohere.chat", "cohere.embed")
    __slots__ = ("_tally",)

    def __init__(self, tally: Tally) -> None:
        self._tally = tally

    def read_whole(self, body: bytes) -> None:
        answer = _BODY.decode(body)
        self._take(answer)
        self._tally.reading.complete = True

    def read_events(self, events: list[tuple[bytes, bytes]]) -> None:
        for name, data in events:
            if data.strip() == b"[DONE]":
                continue
            try:
                event = _BODY.decode(data)
            except FAULTS:
                self._tally.reading.unread += 1
                continue
            self._take(event)
            kind = event.type or name.decode("latin-1")
            if kind == "message-end":
                self._tally.reading.complete = True
            elif kind == "error":
                self._tally.add_error(data)

    def finish(self) -> None:
        pass

    def _take(self, body: _Body) -> None:
        reading = self._tally.reading
        reading.response_id = body.id or reading.response_id
        reading.finish = body.finish_reason or reading.finish
        self._take_counts(body.usage or body.meta)
        self._take_message(body.index, body.message)
        if body.delta is not None:
            reading.finish = body.delta.finish_reason or reading.finish
            self._take_counts(body.delta.usage)
            self._take_message(body.index, body.delta.message)
            self._tally.add_error(body.delta.error)

    def _take_message(self, index: int | None, message: _Message | None) -> None:
        if message is None:
            return
        tally = self._tally
        tally.add_hidden(message.tool_plan)
        content = message.content
        for part in content if isinstance(content, list) else [content]:
            if isinstance(part, str):
                tally.add_text(part)
            elif part is not None:
                tally.add_text(part.text)
                tally.add_hidden(part.thinking)
        calls = message.tool_calls
        if isinstance(calls, list):
            for position, call in enumerate(calls):
                if call.function is not None:
                    tally.add_tool(position, call.function.name, call.function.arguments)
        elif calls is not None and calls.function is not None:  # a stream's: one at a time, by index
            tally.add_tool(index, calls.function.name, calls.function.arguments)

    def _take_counts(self, counts: _Counts | None) -> None:
        tokens = counts and (counts.tokens or counts.billed_units)
        if counts is None or tokens is None or (tokens.input_tokens is None and tokens.output_tokens is None and tokens.image_tokens is None):
            return
        images = count(tokens.image_tokens)
        self._tally.reading.usage = Usage(
            input_tokens=count(tokens.input_tokens) + images,
            output_tokens=count(tokens.output_tokens),
            cache_read_tokens=count(counts.cached_tokens),
            input_image_tokens=images,
        )
