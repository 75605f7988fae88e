"""Gemini Interactions: one JSON object, or SSE events told apart by `event_type`; the last holds the usage.

Counts are `usage.total_{input,output,thought,cached,tool_use}_tokens` with a split by modality; output leaves out the
thoughts as in Gemini's other dialect.
Format: https://ai.google.dev/api/interactions-api
"""

from __future__ import annotations

import msgspec

from proxy.call import Usage
from proxy.wire.loose import FAULTS, Loose, count, is_set
from proxy.wire.tally import Tally


class _Modality(msgspec.Struct, gc=False):
    modality: str | None = None
    tokens: int | None = None


class _Counts(msgspec.Struct):
    total_input_tokens: int | None = None
    total_output_tokens: int | None = None
    total_thought_tokens: int | None = None
    total_cached_tokens: int | None = None
    total_tool_use_tokens: int | None = None
    input_tokens_by_modality: list[_Modality] | None = None
    output_tokens_by_modality: list[_Modality] | None = None


class _Part(msgspec.Struct):
    type: str | None = None
    text: str | None = None
    name: str | None = None
    arguments: msgspec.Raw = msgspec.Raw()
    content: list[_Part] | _Part | None = None


class _Interaction(msgspec.Struct):
    id: str | None = None
    model: str | None = None
    status: str | None = None
    usage: _Counts | None = None
    steps: list[_Part] | None = None
    outputs: list[_Part] | None = None
    error: msgspec.Raw = msgspec.Raw()


class _Event(msgspec.Struct):
    event_type: str | None = None
    index: int | None = None
    interaction: _Interaction | None = None
    delta: _Part | None = None
    step: _Part | None = None
    error: msgspec.Raw = msgspec.Raw()


_INTERACTION = Loose(_Interaction)
_EVENT = Loose(_Event)


class InteractionsForm:
    """Reads `gemini.interactions`."""

    formats = ("gemini.interactions",)
    __slots__ = ("_tally",)

    def __init__(self, tally: Tally) -> None:
        self._tally = tally

    def read_whole(self, body: bytes) -> None:
        self._take(_INTERACTION.decode(body))
        self._tally.reading.complete = True

    def read_events(self, events: list[tuple[bytes, bytes]]) -> None:
        for name, data in events:
            if data.strip() == b"[DONE]":
                self._tally.reading.complete = True
                continue
            try:
                event = _EVENT.decode(data)
            except FAULTS:
                self._tally.reading.unread += 1
                continue
            kind = event.event_type or name.decode("latin-1")
            if event.interaction is not None:
                self._take(event.interaction)
                self._tally.reading.complete |= kind == "interaction.completed"
            for part in (event.step, event.delta):
                if part is not None:
                    self._take_part(event.index, part)
            if kind == "error" or is_set(event.error):
                self._tally.add_error(event.error if is_set(event.error) else data)

    def finish(self) -> None:
        pass

    def _take(self, interaction: _Interaction) -> None:
        tally, reading = self._tally, self._tally.reading
        reading.model = interaction.model or reading.model
        reading.response_id = interaction.id or reading.response_id
        reading.finish = interaction.status or reading.finish
        if interaction.usage is not None:
            reading.usage = _read_counts(interaction.usage)
        if not tally.first_token:  # a stream's deltas have shown it already
            for index, part in enumerate((interaction.steps or []) + (interaction.outputs or [])):
                self._take_part(index, part)
        tally.add_error(interaction.error)

    def _take_part(self, index: object, part: _Part) -> None:
        tally, kind = self._tally, part.type or ""
        if kind == "user_input":
            return
        if kind == "function_call":
            tally.add_tool(index, part.name)
        if is_set(part.arguments) and tally.has_tool(index):
            tally.add_arguments(index, _read_piece(bytes(part.arguments)))
        (tally.add_hidden if kind.startswith("thought") else tally.add_text)(part.text)
        for inner in part.content if isinstance(part.content, list) else [part.content]:
            if inner is not None and inner.text:
                (tally.add_hidden if kind.startswith("thought") else tally.add_text)(inner.text)


def _read_piece(raw: bytes) -> str:
    """Arguments as JSON text: an object as it stands, a string (a piece in a stream) as what it holds."""
    try:
        return msgspec.json.decode(raw, type=str)
    except FAULTS:
        return raw.decode("utf-8", "replace")


def _read_counts(counts: _Counts) -> Usage:
    thoughts = count(counts.total_thought_tokens)
    return Usage(
        input_tokens=count(counts.total_input_tokens) + count(counts.total_tool_use_tokens),
        output_tokens=count(counts.total_output_tokens) + thoughts,
        cache_read_tokens=count(counts.total_cached_tokens),
        reasoning_tokens=thoughts,
        input_audio_tokens=_count_modality(counts.input_tokens_by_modality, "audio"),
        output_audio_tokens=_count_modality(counts.output_tokens_by_modality, "audio"),
        input_image_tokens=_count_modality(counts.input_tokens_by_modality, "image"),
        output_image_tokens=_count_modality(counts.output_tokens_by_modality, "image"),
    )


def _count_modality(parts: list[_Modality] | None, modality: str) -> int:
    return sum(count(part.tokens) for part in parts or () if (part.modality or "").lower() == modality)
