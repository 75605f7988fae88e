"""The ending of OpenAI's Responses: open text is closed, and `response.incomplete` repeats all that came, for `max_output_tokens`.

The terminal event holds the whole response, so its first form, the finished items and the text of open ones are kept. An open
tool call gets no `done` event, on which clients act; in the terminal event it stands with the status `incomplete`.
"""

from __future__ import annotations

from typing import Any

import msgspec

from proxy.call import Ask
from proxy.wire.loose import FAULTS, Loose
from proxy.wire.sse import Event

_MOST_KEPT_BYTES = 8 * 1024 * 1024


class _Text(msgspec.Struct, frozen=True):
    """How one kind of text is closed."""

    text_end: str  # the event that closes the text, and its field there
    field: str
    part_end: str  # the event that closes the part, and the part's type and field
    part_type: str
    part_field: str


_CONTENT, _SUMMARY = "response.content_part.done", "response.reasoning_summary_part.done"
_TEXTS = {
    "response.output_text.delta": _Text("response.output_text.done", "text", _CONTENT, "output_text", "text"),
    "response.refusal.delta": _Text("response.refusal.done", "refusal", _CONTENT, "refusal", "refusal"),
    "response.reasoning_text.delta": _Text("response.reasoning_text.done", "text", _CONTENT, "reasoning_text", "text"),
    "response.reasoning_summary_text.delta": _Text("response.reasoning_summary_text.done", "text", _SUMMARY, "summary_text", "text"),
}
_TEXT_ENDS = frozenset(text.text_end for text in _TEXTS.values())
_ARGUMENTS = {
    "response.function_call_arguments.delta": "arguments",
    "response.mcp_call_arguments.delta": "arguments",
    "response.custom_tool_call_input.delta": "input",
    "response.code_interpreter_call_code.delta": "code",
}
_PREPARING = frozenset({"response.created", "response.in_progress", "response.queued"})


class _Event(msgspec.Struct, gc=False):
    type: str | None = None
    sequence_number: int | None = None
    output_index: int | None = None
    content_index: int | None = None
    summary_index: int | None = None
    delta: str | None = None
    item: msgspec.Raw | None = None
    part: msgspec.Raw | None = None
    response: msgspec.Raw | None = None


_EVENT = Loose(_Event)
_DOCUMENT = msgspec.json.Decoder(dict[str, Any])


class _Part(msgspec.Struct):
    """A part of an open item."""

    text: _Text
    pieces: list[str] = []
    is_said: bool = False  # its text has been closed
    done: bytes = b""  # its last form, where it has been closed too


class _Item(msgspec.Struct):
    """An item of the output."""

    form: bytes  # the last one seen
    is_open: bool
    parts: dict[tuple[str, int], _Part] = {}  # (what closes it, index)
    arguments: dict[str, list[str]] = {}  # field → pieces


class ResponsesEnding:
    """Follows `openai.responses`."""

    formats = ("openai.responses",)
    __slots__ = ("is_over", "_response", "_sequence", "_items", "_kept_bytes")

    def __init__(self, ask: Ask) -> None:
        self.is_over = False
        self._response = b""
        self._sequence: int | None = None
        self._items: dict[int, _Item] = {}
        self._kept_bytes = 0

    def take(self, events: list[Event]) -> None:
        for name, data in events:
            try:
                event = _EVENT.decode(data)
            except FAULTS:
                continue
            if event.sequence_number is not None:
                self._sequence = event.sequence_number
            self._take(event.type or name.decode("latin-1"), event)

    def _take(self, kind: str, event: _Event) -> None:
        index = event.output_index or 0
        if event.item is not None:
            self._items[index] = _Item(bytes(event.item), is_open=kind != "response.output_item.done")
            self._kept_bytes += len(self._items[index].form)
        elif event.response is not None:
            if kind in _PREPARING:
                self._response = bytes(event.response)
            else:
                self.is_over = True
        elif (item := self._items.get(index)) is None or not item.is_open:
            return
        elif event.delta is not None:
            self._kept_bytes += len(event.delta)
            if kind in _ARGUMENTS:
                item.arguments.setdefault(_ARGUMENTS[kind], []).append(event.delta)
            elif kind in _TEXTS:
                self._find_part(item, _TEXTS[kind], event).pieces.append(event.delta)
        elif kind in (_CONTENT, _SUMMARY) or kind in _TEXT_ENDS:
            part = item.parts.get((_SUMMARY if "summary" in kind else _CONTENT, event.summary_index or event.content_index or 0))
            if part is not None:
                part.is_said = True
                part.done = bytes(event.part) if event.part is not None else b""

    def _find_part(self, item: _Item, text: _Text, event: _Event) -> _Part:
        place = (text.part_end, event.summary_index or event.content_index or 0)
        part = item.parts.get(place)
        if part is None:
            part = item.parts[place] = _Part(text)
        return part

    def close(self, output_tokens: int) -> list[Event] | None:
        if self._kept_bytes > _MOST_KEPT_BYTES:
            return None
        events: list[dict[str, Any]] = []
        output: list[dict[str, Any]] = []
        try:
            response = _DOCUMENT.decode(self._response)
            for index, item in sorted(self._items.items()):
                output.append(_DOCUMENT.decode(item.form))
                if item.is_open:
                    events += _close_item(index, item, output[-1])
        except FAULTS:
            return None
        details = {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}, "output": output}
        events.append({"type": "response.incomplete", "response": {**response, **details}})
        if self._sequence is not None:
            for number, event in enumerate(events, self._sequence + 1):
                event["sequence_number"] = number
        return [(event["type"].encode(), msgspec.json.encode(event)) for event in events]


def _close_item(index: int, item: _Item, form: dict[str, Any]) -> list[dict[str, Any]]:
    """The events that close an open item; its form becomes the last one. Raises `loose.FAULTS`."""
    form["status"] = "incomplete"
    form.update((field, "".join(pieces)) for field, pieces in item.arguments.items())
    events: list[dict[str, Any]] = []
    for (part_end, part_index), part in sorted(item.parts.items(), key=lambda entry: entry[0]):
        field, index_name = ("summary", "summary_index") if part_end == _SUMMARY else ("content", "content_index")
        content = form[field] = form[field] if isinstance(form.get(field), list) else []
        if part.done:
            content.append(_DOCUMENT.decode(part.done))
            continue
        text, is_output = "".join(part.pieces), part.text.part_type == "output_text"
        content.append({"type": part.text.part_type, part.text.part_field: text, **({"annotations": [], "logprobs": []} if is_output else {})})
        where = {"item_id": form.get("id"), "output_index": index, index_name: part_index}
        if not part.is_said:
            events.append({"type": part.text.text_end, **where, part.text.field: text, **({"logprobs": []} if is_output else {})})
        events.append({"type": part_end, **where, "part": content[-1]})
    if form.get("type") in ("message", "reasoning"):
        events.append({"type": "response.output_item.done", "output_index": index, "item": form})
    return events
