"""Endings of Cohere's chat: the open text is closed, an open tool call is not, and `MAX_TOKENS`."""

from __future__ import annotations

import json

from tests.wire.endings.conftest import data_of, open_watched


def event(kind: str, **fields: object) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()


START = event("message-start", id="m", delta={"message": {"role": "assistant"}})
END = {"type": "message-end", "delta": {"finish_reason": "MAX_TOKENS"}}


def test_text(cut) -> None:
    opening = event("content-start", index=0, delta={"message": {"content": {"type": "text", "text": ""}}})
    last, reading = cut("cohere.chat", [START, opening, event("content-delta", index=0, delta={"message": {"content": {"text": "Hi"}}})])
    assert data_of(last) == [{"type": "content-end", "index": 0}, END]
    assert reading.text == "Hi"
    last, _ = cut("cohere.chat", [START, opening, event("content-end", index=0)])
    assert data_of(last) == [END]


def test_a_tool_call_stays_broken(cut) -> None:
    call = {"message": {"tool_calls": {"id": "t", "type": "function", "function": {"name": "buy", "arguments": ""}}}}
    more = {"message": {"tool_calls": {"function": {"arguments": '{"what": "a h'}}}}
    last, reading = cut("cohere.chat", [START, event("tool-call-start", index=0, delta=call), event("tool-call-delta", index=0, delta=more)])
    assert data_of(last) == [END]
    assert reading.tools == [("buy", '{"what": "a h')]


def test_over() -> None:
    reader = open_watched("cohere.chat", "text/event-stream")
    reader.feed(START)
    assert not reader.is_over
    reader.feed(event("message-end", delta={"finish_reason": "COMPLETE"}))
    assert reader.is_over
