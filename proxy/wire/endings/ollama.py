"""The ending of Ollama's chat and generate: a last line that is `done`, because of `length`."""

from __future__ import annotations

import msgspec

from proxy.call import Ask
from proxy.wire.loose import FAULTS, Loose
from proxy.wire.sse import Event

_FRAME = ("model", "created_at")


class _Line(msgspec.Struct, gc=False):
    done: bool | None = None


_LINE = Loose(_Line)


class OllamaEnding:
    """Follows `ollama.chat` and `ollama.generate`."""

    formats = ("ollama.chat", "ollama.generate")
    __slots__ = ("is_over", "_line")

    def __init__(self, ask: Ask) -> None:
        self.is_over = False
        self._line = b""

    def take(self, events: list[Event]) -> None:
        for _, data in events:
            try:
                self.is_over |= _LINE.decode(data).done is True
            except FAULTS:
                continue
            self._line = data

    def close(self, output_tokens: int) -> list[Event] | None:
        try:
            last = msgspec.json.decode(self._line, type=dict[str, msgspec.Raw])
        except FAULTS:
            return None
        piece = {"response": ""} if "response" in last else {"message": {"role": "assistant", "content": ""}}
        return [(b"", msgspec.json.encode({**{name: last[name] for name in _FRAME if name in last}, **piece, "done": True, "done_reason": "length"}))]
