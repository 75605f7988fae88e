"""Cohere's v2 dialect, beyond what is recorded."""

from __future__ import annotations

from collections.abc import Callable

from proxy.call import Reading, Usage

Read = Callable[..., Reading]
Make = Callable[..., bytes]


def named(kind: str, **fields: object) -> tuple[str, dict]:
    return kind, {"type": kind, **fields}


def test_a_stream(read: Read, sse: Make) -> None:
    usage = {"billed_units": {"input_tokens": 3, "output_tokens": 4}, "tokens": {"input_tokens": 80, "output_tokens": 12}, "cached_tokens": 16}
    body = sse(
        named("message-start", id="m", delta={"message": {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": []}}),
        named("tool-plan-delta", delta={"message": {"tool_plan": "I will"}}),
        named("tool-call-start", index=0, delta={"message": {"tool_calls": {"id": "t", "function": {"name": "f", "arguments": ""}}}}),
        named("tool-call-delta", index=0, delta={"message": {"tool_calls": {"function": {"arguments": '{"a":1}'}}}}),
        named("tool-call-end", index=0),
        named("content-start", index=0, delta={"message": {"content": {"type": "text", "text": ""}}}),
        named("content-delta", index=0, delta={"message": {"content": {"text": "Hi"}}}),
        named("content-delta", index=1, delta={"message": {"content": {"thinking": "hm"}}}),
        named("content-end", index=0),
        named("message-end", delta={"finish_reason": "COMPLETE", "usage": usage}),
    )
    assert read("/v2/chat", body, request={"stream": True}, content_type="text/event-stream") == Reading(
        response_id="m",
        usage=Usage(80, 12, 16),
        finish="COMPLETE",
        complete=True,
        text="Hi",
        tools=[("f", '{"a":1}')],
        output_bytes=6 + 1 + 7 + 2 + 2,
    )


def test_an_error_inside_a_stream(read: Read, sse: Make) -> None:
    body = sse(named("message-end", delta={"finish_reason": "ERROR", "error": "broke"}))
    reading = read("/v2/chat", body, content_type="text/event-stream")
    assert (reading.error, reading.finish) == ("broke", "ERROR")


def test_embeddings_and_rerank_are_billed_by_units(read: Read) -> None:
    body = b'{"id":"e","embeddings":{"float":[[0.1]]},"meta":{"billed_units":{"input_tokens":2,"image_tokens":30}}}'
    assert read("/v2/embed", body).usage == Usage(32, input_image_tokens=30)
    assert read("/v2/rerank", b'{"results":[],"meta":{"billed_units":{"search_units":1}}}').usage is None


def test_content_as_plain_text(read: Read) -> None:
    assert read("/v2/chat", b'{"message":{"content":"Hi"}}').text == "Hi"
