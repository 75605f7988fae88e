"""The ending of OpenAI's Chat Completions and Completions: a last chunk for each choice, with `length`, and `[DONE]`."""

from __future__ import annotations

import msgspec

from proxy.call import Ask
from proxy.wire.loose import FAULTS, Loose
from proxy.wire.sse import Event

_FRAME = ("id", "provider", "object", "created", "model", "service_tier", "system_fingerprint")  # what stands on every chunk
_MOST_CHOICES = 128


class _Choice(msgspec.Struct, gc=False):
    index: int | None = None
    finish_reason: str | None = None


class _Chunk(msgspec.Struct, gc=False):
    choices: list[_Choice] | None = None
    usage: msgspec.Raw | None = None


_CHUNK = Loose(_Chunk)


class ChatEnding:
    """Follows `openai.chat` and `openai.completions`."""

    formats = ("openai.chat", "openai.completions")
    __slots__ = ("is_over", "_choices", "_finished", "_chunk")

    def __init__(self, ask: Ask) -> None:
        self.is_over = False
        self._choices = set(range(min(ask.choices, _MOST_CHOICES)))  # all asked for, and those that came
        self._finished: set[int] = set()
        self._chunk = b""  # the last one that carried a choice

    def take(self, events: list[Event]) -> None:
        for _, data in events:
            if data.strip() == b"[DONE]":
                self.is_over = True
                continue
            try:
                chunk = _CHUNK.decode(data)
            except FAULTS:
                continue
            if not chunk.choices:
                self.is_over |= chunk.usage is not None and bytes(chunk.usage) != b"null"  # the last chunk, also where none says a word
                continue
            self._chunk = data
            for choice in chunk.choices:
                index = choice.index or 0
                if len(self._choices) < _MOST_CHOICES:
                    self._choices.add(index)
                if choice.finish_reason:
                    self._finished.add(index)
        self.is_over = self.is_over or self._finished >= self._choices

    def close(self, output_tokens: int) -> list[Event] | None:
        try:
            last = msgspec.json.decode(self._chunk, type=dict[str, msgspec.Raw])
            is_text = "text" in msgspec.json.decode(last["choices"], type=list[dict[str, msgspec.Raw]])[0]
        except FAULTS:
            return None
        frame = {name: last[name] for name in _FRAME if name in last}
        piece = {"text": ""} if is_text else {"delta": {}}
        choices = [{"index": index, **piece, "logprobs": None, "finish_reason": "length"} for index in sorted(self._choices - self._finished)]
        return [*((b"", msgspec.json.encode({**frame, "choices": [choice]})) for choice in choices), (b"", b"[DONE]")]
