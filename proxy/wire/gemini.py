"""Gemini generateContent (also on Vertex) and embedContent: one JSON object, SSE without names, or pieces of one JSON array.

`usageMetadata` stands on every chunk, cumulative; the last may differ widely, so the last wins. `promptTokenCount` holds the
cached part, `candidatesTokenCount` leaves the thoughts out. A blocked prompt has no candidates but
`promptFeedback.blockReason`.
Format: https://ai.google.dev/api/generate-content
"""

from __future__ import annotations

import msgspec

from proxy.call import Usage
from proxy.wire.loose import FAULTS, Loose, count, is_set
from proxy.wire.tally import Tally


class _ModalityCount(msgspec.Struct, rename="camel", gc=False):
    modality: str | None = None
    token_count: int | None = None


class Metadata(msgspec.Struct, rename="camel"):
    """The `usageMetadata` object."""

    prompt_token_count: int | None = None
    cached_content_token_count: int | None = None
    candidates_token_count: int | None = None
    response_token_count: int | None = None  # the Live API's word for candidates
    thoughts_token_count: int | None = None
    tool_use_prompt_token_count: int | None = None
    prompt_tokens_details: list[_ModalityCount] | None = None
    cache_tokens_details: list[_ModalityCount] | None = None
    candidates_tokens_details: list[_ModalityCount] | None = None
    response_tokens_details: list[_ModalityCount] | None = None
    service_tier: str | None = None


class _FunctionCall(msgspec.Struct):
    name: str | None = None
    args: msgspec.Raw = msgspec.Raw()


class _InlineData(msgspec.Struct, rename="camel", gc=False):
    mime_type: str | None = None


class _Part(msgspec.Struct, rename="camel"):
    text: str | None = None
    thought: bool | None = None
    function_call: _FunctionCall | None = None
    inline_data: _InlineData | None = None


class _Content(msgspec.Struct):
    parts: list[_Part] | None = None


class _Grounding(msgspec.Struct, rename="camel"):
    web_search_queries: list[str] | None = None


class _Candidate(msgspec.Struct, rename="camel"):
    content: _Content | None = None
    finish_reason: str | None = None
    grounding_metadata: _Grounding | None = None


class _Feedback(msgspec.Struct, rename="camel", gc=False):
    block_reason: str | None = None


class _Chunk(msgspec.Struct, rename="camel"):
    candidates: list[_Candidate] | None = None
    usage_metadata: Metadata | None = None
    model_version: str | None = None
    response_id: str | None = None
    prompt_feedback: _Feedback | None = None
    error: msgspec.Raw = msgspec.Raw()


_CHUNK = Loose(_Chunk)


class GenerateForm:
    """Reads `gemini.generate`."""

    formats = ("gemini.generate",)
    __slots__ = ("_tally", "_metadata", "_calls", "_searches")

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._metadata: Metadata | None = None
        self._calls = 0
        self._searches = 0

    def read_whole(self, body: bytes) -> None:
        self._take(_CHUNK.decode(body))
        self._tally.reading.complete = True

    def read_events(self, events: list[tuple[bytes, bytes]]) -> None:
        for name, data in events:
            try:
                chunk = _CHUNK.decode(data)
            except FAULTS:
                self._tally.reading.unread += 1
                continue
            self._take(chunk)
            if name == b"error" and not is_set(chunk.error):
                self._tally.add_error(data)

    def finish(self) -> None:
        if self._metadata is not None:
            self._tally.reading.usage = read_metadata(self._metadata, self._searches)

    def _take(self, chunk: _Chunk) -> None:
        tally, reading = self._tally, self._tally.reading
        reading.model = chunk.model_version or reading.model
        reading.response_id = chunk.response_id or reading.response_id
        for candidate in chunk.candidates or ():
            if candidate.content is not None:
                for part in candidate.content.parts or ():
                    self._take_part(part)
            if candidate.finish_reason:
                reading.finish = candidate.finish_reason
                reading.complete = True
            if candidate.grounding_metadata is not None and candidate.grounding_metadata.web_search_queries:
                self._searches = max(self._searches, len(candidate.grounding_metadata.web_search_queries))
        if chunk.prompt_feedback is not None and chunk.prompt_feedback.block_reason:
            reading.finish = reading.finish or chunk.prompt_feedback.block_reason
            reading.complete = True
        if chunk.usage_metadata is not None:
            self._metadata = chunk.usage_metadata
            reading.service_tier = chunk.usage_metadata.service_tier or reading.service_tier
        tally.add_error(chunk.error)

    def _take_part(self, part: _Part) -> None:
        tally = self._tally
        if part.text:
            (tally.add_hidden if part.thought else tally.add_text)(part.text)
        if part.function_call is not None:
            arguments = bytes(part.function_call.args)
            tally.add_tool(self._calls, part.function_call.name, arguments.decode("utf-8", "replace") if is_set(part.function_call.args) else None)
            self._calls += 1
        if part.inline_data is not None:
            tally.first_token = True


class _Statistics(msgspec.Struct):
    token_count: int | float | None = None


class _Embedding(msgspec.Struct):
    statistics: _Statistics | None = None


class _Prediction(msgspec.Struct):
    embeddings: _Embedding | None = None


class _Embedded(msgspec.Struct, rename="camel"):
    usage_metadata: Metadata | None = None
    predictions: list[_Prediction] | None = None


_EMBEDDED = Loose(_Embedded)


class EmbedForm:
    """Reads `gemini.embed`: `usageMetadata`, or on Vertex's `predict` the statistics of each embedding."""

    formats = ("gemini.embed",)
    __slots__ = ("_tally",)

    def __init__(self, tally: Tally) -> None:
        self._tally = tally

    def read_whole(self, body: bytes) -> None:
        embedded = _EMBEDDED.decode(body)
        if embedded.usage_metadata is not None:
            self._tally.reading.usage = read_metadata(embedded.usage_metadata, 0)
        elif embedded.predictions:
            found = [one.embeddings.statistics.token_count for one in embedded.predictions if one.embeddings and one.embeddings.statistics]
            if found:
                self._tally.reading.usage = Usage(input_tokens=sum(count(number) for number in found))
        self._tally.reading.complete = True

    def read_events(self, events: list[tuple[bytes, bytes]]) -> None:
        for _, data in events:
            try:
                self.read_whole(data)
            except FAULTS:
                self._tally.reading.unread += 1

    def finish(self) -> None:
        pass


def read_metadata(metadata: Metadata, searches: int) -> Usage:
    """The usage of a `usageMetadata` object."""
    made = metadata.candidates_token_count if metadata.candidates_token_count is not None else metadata.response_token_count
    thoughts = count(metadata.thoughts_token_count)
    made_details = metadata.candidates_tokens_details or metadata.response_tokens_details
    return Usage(
        input_tokens=count(metadata.prompt_token_count) + count(metadata.tool_use_prompt_token_count),
        output_tokens=count(made) + thoughts,
        cache_read_tokens=count(metadata.cached_content_token_count),
        reasoning_tokens=thoughts,
        input_audio_tokens=_count_modality(metadata.prompt_tokens_details, "AUDIO"),
        output_audio_tokens=_count_modality(made_details, "AUDIO"),
        input_image_tokens=_count_modality(metadata.prompt_tokens_details, "IMAGE"),
        output_image_tokens=_count_modality(made_details, "IMAGE"),
        cache_read_audio_tokens=_count_modality(metadata.cache_tokens_details, "AUDIO"),
        web_searches=searches,
    )


def _count_modality(details: list[_ModalityCount] | None, modality: str) -> int:
    return sum(count(one.token_count) for one in details or () if one.modality == modality)
