"""The ending of Gemini's generateContent: a last piece for each candidate, with `MAX_TOKENS` and the provider's last counts.

Early models said `STOP` on every piece; a finish word that is followed by more output is therefore none.
"""

from __future__ import annotations

import msgspec

from proxy.call import Ask
from proxy.wire.loose import FAULTS, Loose
from proxy.wire.sse import Event

_FRAME = ("usageMetadata", "modelVersion", "createTime", "responseId")  # what stands on every piece
_MOST_CANDIDATES = 128


class _Candidate(msgspec.Struct, rename="camel", gc=False):
    index: int | None = None
    finish_reason: str | None = None


class _Feedback(msgspec.Struct, rename="camel", gc=False):
    block_reason: str | None = None


class _Chunk(msgspec.Struct, rename="camel", gc=False):
    candidates: list[_Candidate] | None = None
    prompt_feedback: _Feedback | None = None


_CHUNK = Loose(_Chunk)


class GenerateEnding:
    """Follows `gemini.generate`."""

    formats = ("gemini.generate",)
    __slots__ = ("is_over", "_asked", "_open", "_finished", "_chatty", "_chunk")

    def __init__(self, ask: Ask) -> None:
        self.is_over = False
        self._asked = ask.choices
        self._open: set[int] = set()
        self._finished: set[int] = set()
        self._chatty = False  # finish words stand everywhere
        self._chunk = b""

    def take(self, events: list[Event]) -> None:
        for _, data in events:
            try:
                chunk = _CHUNK.decode(data)
            except FAULTS:
                continue
            if not chunk.candidates:
                self.is_over = self.is_over or (chunk.prompt_feedback is not None and chunk.prompt_feedback.block_reason is not None)
                continue
            self._chunk = data
            for candidate in chunk.candidates[:_MOST_CANDIDATES]:
                index = candidate.index or 0
                self._chatty = self._chatty or index in self._finished
                self._finished.discard(index)
                self._open.discard(index)
                (self._finished if candidate.finish_reason and not self._chatty else self._open).add(index)
            self.is_over = not self._open and len(self._finished) >= self._asked

    def close(self, output_tokens: int) -> list[Event] | None:
        try:
            last = msgspec.json.decode(self._chunk, type=dict[str, msgspec.Raw])
        except FAULTS:
            return None
        frame = {name: last[name] for name in _FRAME if name in last}
        content = {"parts": [{"text": ""}], "role": "model"}
        candidates = [{"content": content, "finishReason": "MAX_TOKENS", "index": index} for index in sorted(self._open)]
        return [(b"", msgspec.json.encode({"candidates": candidates, **frame}))]
