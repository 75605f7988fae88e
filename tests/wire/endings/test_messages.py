"""Endings of Anthropic's Messages: the open block is closed, then `max_tokens`, then the stop."""

from __future__ import annotations

import json

from tests.wire.endings.conftest import data_of, open_watched


def event(kind: str, **fields: object) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()


START = event("message_start", message={"id": "m1", "model": "claude", "content": [], "usage": {"input_tokens": 9, "output_tokens": 1}})


def open_block(index: int, **block: object) -> bytes:
    return event("content_block_start", index=index, content_block=block)


def test_text(cut) -> None:
    pieces = [START, open_block(0, type="text", text=""), event("content_block_delta", index=0, delta={"type": "text_delta", "text": "Hello"})]
    last, reading = cut("anthropic.messages", pieces)
    assert data_of(last) == [
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "max_tokens", "stop_sequence": None}, "usage": {"output_tokens": 7}},
        {"type": "message_stop"},
    ]
    assert last.startswith(b"event: content_block_stop\n")
    assert reading.usage.output_tokens == 7 and reading.usage.input_tokens == 9


def test_a_tool_call_stays_broken(cut) -> None:
    pieces = [START, open_block(0, type="text", text=""), event("content_block_stop", index=0)]
    pieces += [open_block(1, type="tool_use", id="t", name="buy", input={})]
    pieces += [event("content_block_delta", index=1, delta={"type": "input_json_delta", "partial_json": '{"what": "a h'})]
    last, reading = cut("anthropic.messages", pieces)
    assert reading.tools == [("buy", '{"what": "a h')]
    assert data_of(last)[0] == {"type": "content_block_stop", "index": 1}


def test_between_blocks_nothing_is_left_to_close(cut) -> None:
    last, _ = cut("anthropic.messages", [START, open_block(0, type="text", text="Hi"), event("content_block_stop", index=0)])
    assert [one["type"] for one in data_of(last)] == ["message_delta", "message_stop"]


def test_over_is_what_has_a_stop_reason() -> None:
    reader = open_watched("anthropic.messages", "text/event-stream")
    reader.feed(START + event("message_delta", delta={}, usage={"output_tokens": 3}))
    assert not reader.is_over
    reader.feed(event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 30}))
    assert reader.is_over
    assert reader.usage.output_tokens == 30
