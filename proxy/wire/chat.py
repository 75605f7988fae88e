"""OpenAI Chat Completions and legacy Completions, as OpenAI and its many followers speak them.

A stream is unnamed SSE events and ends with `[DONE]`. Tool calls come in pieces joined by `index`; the first piece has id
and name, and a follower that reuses an index starts each call with a new id. Usage is in the last chunk, on every chunk
(then the last counts), or only under `x_groq`. An error inside a stream is a chunk with `error`.
Format: https://platform.openai.com/docs/api-reference/chat/streaming
"""

from __future__ import annotations

import msgspec

from proxy.wire.loose import FAULTS, Loose
from proxy.wire.tally import Tally
from proxy.wire.tokens import Counts, read_counts


class _Function(msgspec.Struct, gc=False):
    name: str | None = None
    arguments: str | None = None
    input: str | None = None  # of a custom tool


class _Call(msgspec.Struct, gc=False):
    index: int | None = None
    id: str | None = None
    function: _Function | None = None
    custom: _Function | None = None


class _Thought(msgspec.Struct, gc=False):
    text: str | None = None


class _Part(msgspec.Struct, gc=False):
    text: str | None = None
    type: str | None = None
    thinking: list[_Thought] | None = None  # Mistral's


class _Audio(msgspec.Struct, gc=False):
    transcript: str | None = None
    data: str | None = None


class _Message(msgspec.Struct, gc=False):
    content: str | list[_Part] | None = None
    refusal: str | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None
    tool_calls: list[_Call] | None = None
    function_call: _Function | None = None
    audio: _Audio | None = None


class _Choice(msgspec.Struct, gc=False):
    index: int | None = None
    delta: _Message | None = None
    message: _Message | None = None
    text: str | None = None  # legacy Completions
    finish_reason: str | None = None


class _Groq(msgspec.Struct, gc=False):
    usage: Counts | None = None
    error: msgspec.Raw = msgspec.Raw()


class _Chunk(msgspec.Struct, gc=False):
    id: str | None = None
    model: str | None = None
    choices: list[_Choice] | None = None
    usage: Counts | None = None
    x_groq: _Groq | None = None
    error: msgspec.Raw | None = None
    service_tier: str | None = None
    system_fingerprint: str | None = None


_CHUNK = Loose(_Chunk)
_CHUNKS = msgspec.json.Decoder(list[_Chunk])


class ChatForm:
    """Reads `openai.chat` and `openai.completions`."""

    formats = ("openai.chat", "openai.completions")
    __slots__ = ("_tally", "_counts", "_calls")

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._counts: Counts | None = None
        self._calls: dict[tuple[int, int], tuple[str | None, int]] = {}  # (choice, index) → id and turn of its present call

    def read_whole(self, body: bytes) -> None:
        self._take(_CHUNK.decode(body))
        self._tally.reading.complete = True

    def read_events(self, events: list[tuple[bytes, bytes]]) -> None:
        """Read a batch at once where all of it is plain: one decoder run is a half of the cost of many."""
        if len(events) > 1:
            try:
                chunks = _CHUNKS.decode(b"[" + b",".join([data for _, data in events]) + b"]")
            except FAULTS:
                chunks = []
            if len(chunks) == len(events):
                for chunk in chunks:
                    self._take(chunk)
                return
        for name, data in events:
            self._read_event(name, data)

    def _read_event(self, name: bytes, data: bytes) -> None:
        tally = self._tally
        if data.strip() == b"[DONE]":
            tally.reading.complete = True
            return
        try:
            chunk = _CHUNK.decode(data)
        except FAULTS:
            tally.reading.unread += 1
            return
        if name == b"error" and chunk.error is None:
            tally.add_error(data)
        self._take(chunk)

    def finish(self) -> None:
        if self._counts is not None:
            self._tally.reading.usage = read_counts(self._counts)

    def _take(self, chunk: _Chunk) -> None:
        reading = self._tally.reading
        if reading.model is None:
            reading.model = chunk.model or None
        if reading.response_id is None:
            reading.response_id = chunk.id or None
        if chunk.choices:
            for choice in chunk.choices:
                if choice.finish_reason is not None:  # some followers always send one, empty until the end or for ever
                    reading.finish = choice.finish_reason or reading.finish or ""
                message = choice.delta or choice.message
                if message is not None:
                    self._take_message(choice, message)
                elif choice.text:
                    self._tally.add_text(choice.text)
        if chunk.usage is not None:
            self._counts = chunk.usage
        if chunk.service_tier:
            reading.service_tier = chunk.service_tier
        if reading.system_fingerprint is None:
            reading.system_fingerprint = chunk.system_fingerprint or None
        if chunk.x_groq is not None:
            if chunk.x_groq.usage is not None and self._counts is None:
                self._counts = chunk.x_groq.usage
            self._tally.add_error(chunk.x_groq.error)
        if chunk.error is not None:
            self._tally.add_error(chunk.error)

    def _take_message(self, choice: _Choice, message: _Message) -> None:
        tally, content = self._tally, message.content
        if content.__class__ is str:
            tally.add_text(content)
        elif content is not None:
            for part in content:
                (tally.add_text if part.type in ("text", None) else tally.add_hidden)(part.text)
                for thought in part.thinking or ():
                    tally.add_hidden(thought.text)
        if message.reasoning is not None or message.reasoning_content is not None:
            tally.add_hidden(message.reasoning or message.reasoning_content)
        if message.refusal is not None:
            tally.add_text(message.refusal)
        if message.tool_calls is not None:
            for position, call in enumerate(message.tool_calls):
                self._take_call(choice.index or 0, position, call, choice.message is not None)
        called = message.function_call  # the form before tools; some followers send it empty
        if called is not None and (called.name or called.arguments):
            tally.add_tool((choice.index or 0, "function"), called.name, called.arguments)
        if message.audio is not None:
            tally.first_token = tally.first_token or bool(message.audio.data)
            tally.add_text(message.audio.transcript)

    def _take_call(self, choice: int, position: int, call: _Call, whole: bool) -> None:
        function = call.function or call.custom
        if function is None:
            return
        index = position if whole or call.index is None else call.index
        present = self._calls.get((choice, index))
        if present is None:
            present = (call.id, 0)
        elif call.id and present[0] and call.id != present[0] and function.name:
            present = (call.id, present[1] + 1)
        if len(self._calls) < 1024 or (choice, index) in self._calls:
            self._calls[(choice, index)] = present
        self._tally.add_tool((choice, index, present[1]), function.name, function.arguments or function.input)
