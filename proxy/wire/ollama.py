"""Ollama's own chat, generate and embed: one JSON object a line; the last line has `done: true` and the counts.

Streaming is its default. Without it the one object has the same fields.
Format: https://github.com/ollama/ollama/blob/main/docs/api.md
"""

from __future__ import annotations

import msgspec

from proxy.call import Usage
from proxy.wire.loose import FAULTS, Loose, count, is_set
from proxy.wire.tally import Tally


class _Function(msgspec.Struct):
    name: str | None = None
    arguments: msgspec.Raw = msgspec.Raw()


class _Call(msgspec.Struct):
    function: _Function | None = None


class _Message(msgspec.Struct):
    content: str | None = None
    thinking: str | None = None
    tool_calls: list[_Call] | None = None


class _Line(msgspec.Struct):
    model: str | None = None
    message: _Message | None = None
    response: str | None = None
    thinking: str | None = None
    done: bool | None = None
    done_reason: str | None = None
    prompt_eval_count: int | None = None
    eval_count: int | None = None
    error: msgspec.Raw = msgspec.Raw()


_LINE = Loose(_Line)


class OllamaForm:
    """Reads `ollama.chat`, `ollama.generate` and `ollama.embed`."""

    formats = ("ollama.chat", "ollama.generate", "ollama.embed")
    __slots__ = ("_tally", "_calls")

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._calls = 0

    def read_whole(self, body: bytes) -> None:
        self._take(_LINE.decode(body))
        self._tally.reading.complete = True

    def read_events(self, events: list[tuple[bytes, bytes]]) -> None:
        for _, data in events:
            try:
                line = _LINE.decode(data)
            except FAULTS:
                self._tally.reading.unread += 1
                continue
            self._take(line)

    def finish(self) -> None:
        pass

    def _take(self, line: _Line) -> None:
        tally, reading = self._tally, self._tally.reading
        reading.model = reading.model or line.model
        tally.add_text(line.response)
        tally.add_hidden(line.thinking)
        if line.message is not None:
            tally.add_text(line.message.content)
            tally.add_hidden(line.message.thinking)
            for call in line.message.tool_calls or ():
                if call.function is not None:
                    arguments = call.function.arguments
                    tally.add_tool(self._calls, call.function.name, bytes(arguments).decode("utf-8", "replace") if is_set(arguments) else None)
                    self._calls += 1
        reading.finish = line.done_reason or reading.finish
        reading.complete = reading.complete or bool(line.done)
        if line.prompt_eval_count is not None or line.eval_count is not None:
            reading.usage = Usage(input_tokens=count(line.prompt_eval_count), output_tokens=count(line.eval_count))
        tally.add_error(line.error)
