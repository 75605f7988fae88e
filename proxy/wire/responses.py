"""OpenAI Responses: one JSON object, or named SSE events; the terminal event holds the whole response with its usage.

Text and tool calls are gathered from the deltas, so that a cut stream still gives what came; the terminal event only fills
in what no delta showed. There is no `[DONE]`, but some gateways send one. A background response answers `queued`
without usage. The finish word is the `status`, or why the response is `incomplete`.
Format: https://platform.openai.com/docs/api-reference/responses-streaming
"""

from __future__ import annotations

import msgspec

from proxy.wire.loose import FAULTS, Loose
from proxy.wire.tally import Tally
from proxy.wire.tokens import Counts, read_counts

TERMINAL = frozenset({"response.completed", "response.incomplete", "response.failed", "response.cancelled", "response.done"})
_TEXT_DELTAS = frozenset({
    "response.output_text.delta", "response.refusal.delta", "response.text.delta",
    "response.output_audio_transcript.delta", "response.audio_transcript.delta",
})  # fmt: skip
_TOOL_DELTAS = frozenset({"response.function_call_arguments.delta", "response.custom_tool_call_input.delta", "response.mcp_call_arguments.delta"})
_CALLS = frozenset({"function_call", "custom_tool_call"})


class _Part(msgspec.Struct, gc=False):
    type: str | None = None
    text: str | None = None
    refusal: str | None = None
    transcript: str | None = None


class _Item(msgspec.Struct, gc=False):
    id: str | None = None
    type: str | None = None
    name: str | None = None
    arguments: str | None = None
    input: str | None = None
    content: list[_Part] | None = None


class _Incomplete(msgspec.Struct, gc=False):
    reason: str | None = None


class Response(msgspec.Struct, gc=False):
    """A response object, whole or as a terminal event holds it."""

    id: str | None = None
    model: str | None = None
    status: str | None = None
    incomplete_details: _Incomplete | None = None
    output: list[_Item] | None = None
    usage: Counts | None = None
    error: msgspec.Raw | None = None
    status_details: msgspec.Raw | None = None
    service_tier: str | None = None


class Event(msgspec.Struct, gc=False):
    """An event of a stream or a message of a socket."""

    type: str | None = None
    response: Response | None = None
    delta: str | None = None
    output_index: int | None = None
    item_id: str | None = None
    item: _Item | None = None
    code: str | None = None
    message: str | None = None
    error: msgspec.Raw | None = None


_RESPONSE = Loose(Response)
EVENT = Loose(Event)


class ResponsesForm:
    """Reads `openai.responses`, also the events of its WebSocket and of Realtime, which name a response's parts alike."""

    formats = ("openai.responses",)
    __slots__ = ("_tally", "_counts", "_searches")

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._counts: Counts | None = None
        self._searches = 0

    def read_whole(self, body: bytes) -> None:
        self._take_response(_RESPONSE.decode(body))
        self._tally.reading.complete = True

    def read_events(self, events: list[tuple[bytes, bytes]]) -> None:
        for name, data in events:
            if data.strip() == b"[DONE]":
                continue
            try:
                event = EVENT.decode(data)
            except FAULTS:
                self._tally.reading.unread += 1
                continue
            if event.type is None:
                event.type = name.decode("latin-1")
            self.take_event(event, data)

    def take_event(self, event: Event, data: bytes) -> None:
        """Take in one decoded event; `data` are its bytes."""
        tally, kind = self._tally, event.type or ""
        if event.delta is not None and kind.endswith(".delta"):
            if kind in _TEXT_DELTAS:
                tally.add_text(event.delta)
            elif kind in _TOOL_DELTAS:
                tally.add_arguments(event.output_index, event.delta)
            elif kind.endswith("audio.delta"):
                tally.first_token = True
            else:
                tally.add_hidden(event.delta)
        elif kind == "response.output_item.added" and event.item is not None and event.item.type in _CALLS:
            tally.add_tool(event.output_index, event.item.name)
        elif kind == "response.output_item.done" and event.item is not None:
            self._take_item(event.output_index, event.item, skip_text=tally.has_text)
        elif kind == "error":
            tally.add_error(event.error if event.error is not None else data)
        elif event.response is not None:
            self._take_response(event.response)
            if kind in TERMINAL:
                tally.reading.complete = True
        elif event.error is not None:
            tally.add_error(event.error)

    def finish(self) -> None:
        reading = self._tally.reading
        if self._counts is not None:
            reading.usage = read_counts(self._counts)
        if reading.usage is not None and not reading.usage.web_searches and self._searches:
            reading.usage = msgspec.structs.replace(reading.usage, web_searches=self._searches)

    def _take_response(self, response: Response) -> None:
        reading = self._tally.reading
        reading.model = response.model or reading.model
        reading.response_id = response.id or reading.response_id
        why = response.incomplete_details.reason if response.status == "incomplete" and response.incomplete_details else None
        reading.finish = why or response.status or reading.finish
        reading.service_tier = response.service_tier or reading.service_tier
        if response.usage is not None:
            self._counts = response.usage
        if response.output:
            had_text = self._tally.has_text
            searches = 0
            for index, item in enumerate(response.output):
                self._take_item(index, item, skip_text=had_text)
                searches += item.type == "web_search_call"
            self._searches = searches
        if response.error is not None:
            self._tally.add_error(response.error)
        if response.status_details is not None and response.status == "failed":
            self._tally.add_error(response.status_details)

    def _take_item(self, index: object, item: _Item, *, skip_text: bool) -> None:
        tally = self._tally
        if item.type in _CALLS:
            if not tally.has_tool(index):
                tally.add_tool(index, item.name)
            tally.set_arguments(index, item.arguments or item.input)
        elif item.type == "message" and item.content and not skip_text:
            for part in item.content:
                tally.add_text(part.text or part.refusal or part.transcript)
