"""Gemini's Interactions."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from proxy.call import Reading, Usage

PATH = "/v1beta/interactions"
Read = Callable[..., Reading]
Make = Callable[..., bytes]
USAGE = {
    "total_input_tokens": 10, "total_output_tokens": 5, "total_thought_tokens": 3, "total_cached_tokens": 2, "total_tool_use_tokens": 1,
    "input_tokens_by_modality": [{"modality": "text", "tokens": 6}, {"modality": "audio", "tokens": 4}],
}  # fmt: skip
COUNTED = Usage(11, 8, 2, reasoning_tokens=3, input_audio_tokens=4)


def event(kind: str, **fields: object) -> tuple[str, dict]:
    return kind, {"event_type": kind, **fields}


def test_a_stream(read: Read, sse: Make) -> None:
    body = sse(
        event("interaction.created", interaction={"id": "v1_1", "model": "gemini-x", "status": "in_progress"}),
        event("step.start", index=0, step={"type": "thought"}),
        event("step.delta", index=0, delta={"type": "thought_summary", "content": {"type": "text", "text": "hm"}}),
        event("step.start", index=1, step={"type": "model_output"}),
        event("step.delta", index=1, delta={"type": "text", "text": "Hi"}),
        event("step.start", index=2, step={"type": "function_call", "name": "f"}),
        event("step.delta", index=2, delta={"type": "arguments_delta", "arguments": '{"a":'}),
        event("step.delta", index=2, delta={"type": "arguments_delta", "arguments": "1}"}),
        event("interaction.completed", interaction={"id": "v1_1", "model": "gemini-x", "status": "completed", "usage": USAGE}),
        ("done", "[DONE]"),
    )
    assert read(PATH, body, content_type="text/event-stream") == Reading(
        model="gemini-x", response_id="v1_1", usage=COUNTED, finish="completed", complete=True, text="Hi", tools=[("f", '{"a":1}')],
        output_bytes=2 + 2 + 1 + 7,
    )  # fmt: skip


def test_a_whole_answer(read: Read) -> None:
    steps = [
        {"type": "user_input", "content": [{"type": "text", "text": "question"}]},
        {"type": "thought", "content": [{"type": "text", "text": "hm"}]},
        {"type": "model_output", "content": [{"type": "text", "text": "Hi"}]},
        {"type": "function_call", "name": "f", "arguments": {"a": 1}},
    ]
    body = msgspec.json.encode({"id": "v1_1", "model": "gemini-x", "status": "completed", "steps": steps, "usage": USAGE})
    reading = read(PATH, body)
    assert (reading.text, reading.tools, reading.usage, reading.output_bytes) == ("Hi", [("f", '{"a":1}')], COUNTED, 2 + 2 + 1 + 7)


def test_an_error_inside_a_stream(read: Read, sse: Make) -> None:
    reading = read(PATH, sse(event("error", error={"code": "overloaded", "message": "no"})), content_type="text/event-stream")
    assert (reading.error, reading.error_type) == ("no", "overloaded")
