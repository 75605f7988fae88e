"""OpenAI's embeddings, images, audio, files and batches, and every dialect's token counting: little text, or none.

What they have in common is `model`, `usage` and `text` at the top; the bulk (vectors, pictures) is skipped. Counting tokens
consumes none, so its answer is no usage. A batch's own usage is read when it is fetched.
"""

from __future__ import annotations

import msgspec

from proxy.wire.loose import FAULTS, Loose
from proxy.wire.tally import Tally
from proxy.wire.tokens import Counts, read_counts


class _Body(msgspec.Struct):
    type: str | None = None
    id: str | None = None
    model: str | None = None
    status: str | None = None
    text: str | None = None
    delta: str | None = None
    usage: Counts | None = None
    duration: int | float | None = None
    error: msgspec.Raw = msgspec.Raw()


_BODY = Loose(_Body)


class MediaForm:
    """Reads `openai.embeddings`, `openai.images`, `openai.audio`, `openai.files` and `openai.batches`."""

    formats = ("openai.embeddings", "openai.images", "openai.audio", "openai.files", "openai.batches")
    __slots__ = ("_tally",)

    def __init__(self, tally: Tally) -> None:
        self._tally = tally

    def read_whole(self, body: bytes) -> None:
        if not body.lstrip().startswith((b"{", b"[")):  # a transcription as plain text or subtitles
            self._tally.add_text(body.decode("utf-8", "replace"))
        else:
            self._take(_BODY.decode(body))
        self._tally.reading.complete = True

    def read_events(self, events: list[tuple[bytes, bytes]]) -> None:
        tally = self._tally
        for name, data in events:
            if data.strip() == b"[DONE]":
                continue
            try:
                event = _BODY.decode(data)
            except FAULTS:
                tally.reading.unread += 1
                continue
            kind = event.type or name.decode("latin-1")
            tally.first_token = True
            if kind == "error":
                tally.add_error(event.error if bytes(event.error) else data)
                continue
            if kind.endswith(".done") and tally.has_text:
                event.text = None
            tally.add_text(event.delta)
            self._take(event)
            if kind.endswith((".completed", ".done")):
                tally.reading.complete = True

    def finish(self) -> None:
        pass

    def _take(self, body: _Body) -> None:
        reading = self._tally.reading
        reading.model = body.model or reading.model
        reading.response_id = body.id or reading.response_id
        reading.finish = body.status or reading.finish
        self._tally.add_text(body.text)
        if body.usage is not None:
            reading.usage = read_counts(body.usage) or reading.usage
        elif body.duration is not None:
            reading.usage = read_counts(Counts(seconds=body.duration))
        self._tally.add_error(body.error)


class CountForm:
    """Reads the answers to token counting: that they came whole, no more."""

    formats = ("openai.count", "anthropic.count", "anthropic.batches", "gemini.count", "bedrock.count")
    __slots__ = ("_tally",)

    def __init__(self, tally: Tally) -> None:
        self._tally = tally

    def read_whole(self, body: bytes) -> None:
        answer = _BODY.decode(body)
        self._tally.reading.response_id = answer.id
        self._tally.reading.complete = True

    def read_events(self, events: list[tuple[bytes, bytes]]) -> None:
        pass

    def finish(self) -> None:
        pass
