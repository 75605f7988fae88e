"""The Responses API, beyond what is recorded."""

from __future__ import annotations

from collections.abc import Callable

from proxy.call import Ask, Reading, Usage
from proxy.wire import open_reader, recognise

SSE = "text/event-stream"
PATH = "/v1/responses"
Read = Callable[..., Reading]
Make = Callable[..., bytes]
MESSAGE = {"type": "message", "content": [{"type": "output_text", "text": "Hi"}]}
CALL = {"type": "function_call", "name": "f", "arguments": '{"a":1}', "call_id": "c"}


def named(kind: str, **fields: object) -> tuple[str, dict]:
    return kind, {"type": kind, **fields}


def test_a_stream(read: Read, sse: Make) -> None:
    usage = {"input_tokens": 9, "output_tokens": 4, "output_tokens_details": {"reasoning_tokens": 2}}
    body = sse(
        named("response.created", response={"id": "r", "model": "gpt-5", "status": "in_progress"}),
        named("response.reasoning_summary_text.delta", output_index=0, delta="hm"),
        named("response.output_item.added", output_index=1, item={"type": "message", "content": []}),
        named("response.output_text.delta", output_index=1, delta="H"),
        named("response.output_text.delta", output_index=1, delta="i"),
        named("response.output_item.done", output_index=1, item=MESSAGE),
        named("response.output_item.added", output_index=2, item={"type": "function_call", "name": "f", "arguments": ""}),
        named("response.function_call_arguments.delta", output_index=2, delta='{"a":'),
        named("response.function_call_arguments.delta", output_index=2, delta="1}"),
        named("response.output_item.done", output_index=2, item=CALL),
        named("response.completed", response={"id": "r", "model": "gpt-5", "status": "completed", "service_tier": "flex", "usage": usage,
              "output": [{"type": "reasoning"}, MESSAGE, CALL]}),
    )  # fmt: skip
    assert read(PATH, body, content_type=SSE) == Reading(
        model="gpt-5", response_id="r", usage=Usage(9, 4, reasoning_tokens=2), finish="completed", service_tier="flex", complete=True,
        text="Hi", tools=[("f", '{"a":1}')], output_bytes=2 + 2 + 1 + 7,
    )  # fmt: skip


def test_only_the_end_was_seen(read: Read, sse: Make) -> None:
    """As when a background response's stream is taken up again."""
    body = sse(named("response.completed", response={"id": "r", "status": "completed", "output": [MESSAGE, CALL]}))
    reading = read("/v1/responses/r?stream=true", body, content_type=SSE, method="GET")
    assert (reading.text, reading.tools, reading.complete) == ("Hi", [("f", '{"a":1}')], True)


def test_failures(read: Read, sse: Make) -> None:
    failed = {"id": "r", "status": "failed", "error": {"code": "server_error", "message": "broke"}}
    reading = read(PATH, sse(named("response.failed", response=failed)), content_type=SSE)
    assert (reading.error, reading.error_type, reading.finish, reading.complete) == ("broke", "server_error", "failed", True)
    reading = read(PATH, sse(named("error", code="rate_limit", message="slow", param=None, sequence_number=1)), content_type=SSE)
    assert (reading.error, reading.error_type) == ("slow", "rate_limit")
    reading = read(PATH, sse(named("error", error={"type": "x", "message": "slow"})), content_type=SSE)
    assert (reading.error, reading.error_type) == ("slow", "x")


def test_an_incomplete_response_says_why(read: Read, sse: Make) -> None:
    response = {
        "id": "r",
        "status": "incomplete",
        "incomplete_details": {"reason": "max_output_tokens"},
        "usage": {"input_tokens": 1, "output_tokens": 2},
    }
    reading = read(PATH, sse(named("response.incomplete", response=response)), content_type=SSE)
    assert (reading.finish, reading.usage, reading.complete) == ("max_output_tokens", Usage(1, 2), True)


def test_background(read: Read) -> None:
    reading = read(PATH, b'{"id":"r","model":"m","status":"queued","usage":null,"error":null,"output":[]}')
    assert (reading.usage, reading.finish, reading.error, reading.response_id) == (None, "queued", None, "r")


def test_searches_are_counted(read: Read) -> None:
    search = '{"type":"web_search_call","status":"completed"}'
    body = f'{{"id":"r","status":"completed","output":[{search},{search}],"usage":{{"input_tokens":1,"output_tokens":2}}}}'.encode()
    assert read(PATH, body).usage == Usage(1, 2, web_searches=2)


def test_custom_tools_and_refusals(read: Read, sse: Make) -> None:
    body = sse(
        named("response.output_item.added", output_index=0, item={"type": "custom_tool_call", "name": "sql"}),
        named("response.custom_tool_call_input.delta", output_index=0, delta="SELECT 1"),
        named("response.refusal.delta", delta="no"),
        "[DONE]",
    )
    reading = read(PATH, body, content_type=SSE)
    assert (reading.tools, reading.text, reading.unread) == ([("sql", "SELECT 1")], "no", 0)


def test_usage_is_found_in_an_event_too_large_to_read(read: Read, sse: Make) -> None:
    picture = {"type": "image_generation_call", "result": "A" * 1_100_000}
    response = {"id": "r", "model": "gpt-5", "status": "completed", "output": [picture], "usage": {"input_tokens": 3, "output_tokens": 5}}
    body = sse(named("response.created", response={"id": "r", "model": "gpt-5"}), named("response.completed", response=response))
    reading = read_once(body)
    assert (reading.usage, reading.model, reading.unread) == (Usage(3, 5), "gpt-5", 1)


def read_once(body: bytes) -> Reading:
    reader = open_reader(recognise("POST", PATH, "", "openai"), Ask(), 200, SSE, {})
    for at in range(0, len(body), 8192):
        reader.feed(body[at : at + 8192])
    return reader.end()
