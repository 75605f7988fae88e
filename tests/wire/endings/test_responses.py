"""Endings of Responses: open text is closed, an open tool call is not, and the terminal event repeats all that came."""

from __future__ import annotations

import json
from itertools import count

import pytest

from tests.wire.endings.conftest import cut_behind, data_of, open_watched

RESPONSE = {"id": "r1", "object": "response", "status": "in_progress", "model": "gpt-5", "output": [], "usage": None, "incomplete_details": None}


class Stream:
    """Makes events with their sequence numbers."""

    def __init__(self) -> None:
        self._numbers = count()
        self.pieces: list[bytes] = []
        self.add("response.created", response=RESPONSE)

    def add(self, kind: str, **fields: object) -> Stream:
        event = {"type": kind, **fields, "sequence_number": next(self._numbers)}
        self.pieces.append(f"event: {kind}\ndata: {json.dumps(event)}\n\n".encode())
        return self

    def open(self, index: int, **item: object) -> Stream:
        return self.add("response.output_item.added", output_index=index, item={"id": f"i{index}", "status": "in_progress", **item})


def message(stream: Stream, index: int = 0) -> Stream:
    where = {"item_id": f"i{index}", "output_index": index, "content_index": 0}
    stream.open(index, type="message", role="assistant", content=[])
    stream.add("response.content_part.added", **where, part={"type": "output_text", "text": "", "annotations": []})
    for delta in ("Rivers", " run"):
        stream.add("response.output_text.delta", **where, delta=delta, logprobs=[])
    return stream


PART = {"type": "output_text", "annotations": [], "logprobs": [], "text": "Rivers run"}
ITEM = {"id": "i0", "status": "incomplete", "type": "message", "role": "assistant", "content": [PART]}
END = {**RESPONSE, "status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}


def test_text_is_closed_and_repeated(cut) -> None:
    last, reading = cut("openai.responses", message(Stream()).pieces)
    where = {"item_id": "i0", "output_index": 0, "content_index": 0}
    assert data_of(last) == [
        {"type": "response.output_text.done", **where, "text": "Rivers run", "logprobs": [], "sequence_number": 5},
        {"type": "response.content_part.done", **where, "part": PART, "sequence_number": 6},
        {"type": "response.output_item.done", "output_index": 0, "item": ITEM, "sequence_number": 7},
        {"type": "response.incomplete", "response": {**END, "output": [ITEM]}, "sequence_number": 8},
    ]
    assert reading.text == "Rivers run"


def test_what_is_closed_already_is_not_closed_again(cut) -> None:
    stream = message(Stream())
    where = {"item_id": "i0", "output_index": 0, "content_index": 0}
    stream.add("response.output_text.done", **where, text="Rivers run")
    assert [one["type"] for one in data_of(cut("openai.responses", stream.pieces)[0])][0] == "response.content_part.done"
    stream.add("response.content_part.done", **where, part=PART)
    last, _ = cut("openai.responses", stream.pieces)
    assert [one["type"] for one in data_of(last)] == ["response.output_item.done", "response.incomplete"]
    assert data_of(last)[0]["item"] == ITEM
    stream.add("response.output_item.done", output_index=0, item={**ITEM, "status": "completed"})
    (end,) = data_of(cut("openai.responses", stream.pieces)[0])
    assert end["response"]["output"] == [{**ITEM, "status": "completed"}]


@pytest.mark.parametrize(("kind", "field", "delta"), [
    ("function_call", "arguments", "response.function_call_arguments.delta"),
    ("custom_tool_call", "input", "response.custom_tool_call_input.delta"),
])  # fmt: skip
def test_a_tool_call_stays_broken(cut, kind: str, field: str, delta: str) -> None:
    stream = Stream().open(0, type=kind, name="buy", call_id="c", **{field: ""})
    for piece in ('{"what"', ': "a h'):
        stream.add(delta, item_id="i0", output_index=0, delta=piece)
    last, reading = cut("openai.responses", stream.pieces)
    (end,) = data_of(last)
    assert end["response"]["output"] == [{"id": "i0", "status": "incomplete", "type": kind, "name": "buy", "call_id": "c", field: '{"what": "a h'}]
    assert reading.tools == [("buy", '{"what": "a h')]


def test_a_summary_of_reasoning_is_closed(cut) -> None:
    stream = Stream().open(0, type="reasoning", summary=[])
    where = {"item_id": "i0", "output_index": 0}
    for index, text in enumerate(("First", "Then")):
        stream.add("response.reasoning_summary_text.delta", **where, summary_index=index, delta=text)
        if not index:
            stream.add("response.reasoning_summary_part.done", **where, summary_index=0, part={"type": "summary_text", "text": text})
    last, _ = cut("openai.responses", stream.pieces)
    kinds = [one["type"] for one in data_of(last)]
    assert kinds == [
        "response.reasoning_summary_text.done",
        "response.reasoning_summary_part.done",
        "response.output_item.done",
        "response.incomplete",
    ]
    summary = [{"type": "summary_text", "text": "First"}, {"type": "summary_text", "text": "Then"}]
    assert data_of(last)[-1]["response"]["output"] == [{"id": "i0", "status": "incomplete", "type": "reasoning", "summary": summary}]


def test_over_is_what_has_a_terminal_event() -> None:
    stream = message(Stream())
    reader = open_watched("openai.responses", "text/event-stream")
    reader.feed(b"".join(stream.pieces))
    assert not reader.is_over
    reader.feed(stream.add("response.completed", response={**RESPONSE, "status": "completed"}).pieces[-1])
    assert reader.is_over


def test_too_much_to_repeat_cannot_be_ended_well() -> None:
    stream = message(Stream())
    for _ in range(9):
        stream.add("response.output_text.delta", output_index=0, content_index=0, delta="x" * 1_000_000)
    assert cut_behind(stream.pieces, "openai.responses", "text/event-stream") is None
