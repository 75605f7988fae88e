"""Anthropic Messages, beyond what is recorded."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from proxy.call import Reading, Usage

SSE = "text/event-stream"
PATH = "/v1/messages"
Read = Callable[..., Reading]
Make = Callable[..., bytes]


def named(kind: str, **fields: object) -> tuple[str, dict]:
    return kind, {"type": kind, **fields}


START = named(
    "message_start",
    message={"id": "msg", "model": "claude-x", "content": [], "usage": {
        "input_tokens": 10, "output_tokens": 1, "cache_read_input_tokens": 100, "cache_creation_input_tokens": 30,
        "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20}, "service_tier": "standard"}},
)  # fmt: skip


def test_a_stream_merges_its_counts(read: Read, sse: Make) -> None:
    body = sse(
        START,
        named("ping"),
        named("content_block_start", index=0, content_block={"type": "thinking", "thinking": ""}),
        named("content_block_delta", index=0, delta={"type": "thinking_delta", "thinking": "hmm"}),
        named("content_block_delta", index=0, delta={"type": "signature_delta", "signature": "abc"}),
        named("content_block_start", index=1, content_block={"type": "text", "text": ""}),
        named("content_block_delta", index=1, delta={"type": "text_delta", "text": "Hi"}),
        named("content_block_start", index=2, content_block={"type": "tool_use", "id": "t", "name": "f", "input": {}}),
        named("content_block_delta", index=2, delta={"type": "input_json_delta", "partial_json": '{"a":'}),
        named("content_block_delta", index=2, delta={"type": "input_json_delta", "partial_json": "1}"}),
        named("content_block_start", index=3, content_block={"type": "tool_use", "id": "u", "name": "g", "input": {}}),
        named("message_delta", delta={"stop_reason": "tool_use"}, usage={"input_tokens": 15, "output_tokens": 40, "cache_read_input_tokens": None,
              "output_tokens_details": {"thinking_tokens": 25}, "server_tool_use": {"web_search_requests": 2}}),
        named("message_stop"),
    )  # fmt: skip
    assert read(PATH, body, content_type=SSE) == Reading(
        model="claude-x", response_id="msg", finish="tool_use", service_tier="standard", complete=True, text="Hi",
        tools=[("f", '{"a":1}'), ("g", "{}")], output_bytes=3 + 2 + 1 + 7 + 1,
        usage=Usage(145, 40, 100, 30, 20, 25, web_searches=2),
    )  # fmt: skip


def test_a_cut_stream_has_the_counts_of_its_start(read: Read, sse: Make) -> None:
    body = sse(START, named("content_block_delta", index=0, delta={"type": "text_delta", "text": "Hi"}))
    reading = read(PATH, body, content_type=SSE)
    assert (reading.usage, reading.complete, reading.text) == (Usage(140, 1, 100, 30, 20), False, "Hi")


def test_an_error_inside_a_stream(read: Read, sse: Make) -> None:
    body = sse(START, named("error", error={"type": "overloaded_error", "message": "Overloaded"}))
    reading = read(PATH, body, content_type=SSE)
    assert (reading.error, reading.error_type, reading.complete) == ("Overloaded", "overloaded_error", False)


def test_writes_without_their_sum(read: Read) -> None:
    body = (
        b'{"content":[],"usage":{"input_tokens":1,"output_tokens":2,"cache_creation":{"ephemeral_5m_input_tokens":3,"ephemeral_1h_input_tokens":4}}}'
    )
    assert read(PATH, body).usage == Usage(8, 2, 0, 7, 4)


def test_a_body_with_an_error_member(read: Read) -> None:
    reading = read(PATH, b'{"type":"error","error":{"type":"api_error","message":"no"}}')
    assert (reading.error, reading.error_type) == ("no", "api_error")


def test_wrong_types(read: Read, sse: Make) -> None:
    body = sse(
        named("message_start", message=5), named("content_block_delta", delta={"text": 7}), ("content_block_delta", {"delta": {"text": "a"}}), "[]"
    )
    assert read(PATH, body, content_type=SSE).text == "a"


def test_vertex_names_the_model_in_the_path(read: Read) -> None:
    path = "/v1/projects/p/locations/l/publishers/anthropic/models/claude-x:rawPredict"
    assert read(path, b'{"content":[{"type":"text","text":"Hi"}],"usage":{"input_tokens":1,"output_tokens":2}}').text == "Hi"


@pytest.mark.parametrize(("speed", "tier"), [("fast", "fast"), ("standard", "standard"), (None, "standard")])
@pytest.mark.parametrize("stream", [True, False])
def test_the_fast_mode_has_a_price_of_its_own(read: Read, sse: Make, speed: str | None, tier: str, stream: bool) -> None:
    usage = {"input_tokens": 10, "output_tokens": 1, "service_tier": "standard", "speed": speed}
    message = {"id": "m", "type": "message", "model": "claude-x", "content": [], "usage": usage}
    later = named("message_delta", delta={}, usage={"output_tokens": 4, "service_tier": "standard"})
    body = sse(named("message_start", message=message), later) if stream else json.dumps(message).encode()
    assert read(PATH, body, content_type=SSE if stream else "application/json").service_tier == tier
