"""Chat Completions and legacy Completions, beyond what is recorded."""

from __future__ import annotations

from collections.abc import Callable

from proxy.call import Reading, Usage

SSE = "text/event-stream"
PATH = "/v1/chat/completions"
Read = Callable[..., Reading]
Make = Callable[..., bytes]


def chunk(delta: dict | None = None, **fields: object) -> dict:
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": fields.pop("finish", None)}]
    return {"id": "c1", "model": "gpt-4o-2024-08-06", "choices": choices, **fields}


def test_a_stream_with_usage_at_its_end(read: Read, sse: Make) -> None:
    body = sse(
        chunk({"role": "assistant", "content": ""}, usage=None),
        chunk({"content": "Hé"}, usage=None, system_fingerprint="fp_1"),
        chunk({"content": "llo"}, usage=None, service_tier="default"),
        chunk({}, finish="stop", system_fingerprint="fp_2"),
        chunk(usage={"prompt_tokens": 5, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 1}}),
        "[DONE]",
    )
    reading = read(PATH, body, request={"stream": True}, content_type=SSE)
    assert reading == Reading(
        model="gpt-4o-2024-08-06", response_id="c1", usage=Usage(5, 2, 1), finish="stop", service_tier="default", complete=True,
        system_fingerprint="fp_1", text="Héllo", output_bytes=6,
    )  # fmt: skip


def test_a_stream_without_usage_or_end(read: Read, sse: Make) -> None:
    reading = read(PATH, sse(chunk({"content": "a"}), chunk({"reasoning_content": "think"}), chunk({"reasoning": "more"})), content_type=SSE)
    assert (reading.usage, reading.complete, reading.text, reading.output_bytes) == (None, False, "a", 10)


def test_tool_calls_come_in_pieces(read: Read, sse: Make) -> None:
    def piece(index: int | None, **fields: object) -> dict:
        return chunk({"tool_calls": [{"index": index, **fields}]})

    body = sse(
        piece(0, id="a", function={"name": "f", "arguments": ""}),
        piece(0, function={"arguments": '{"x":'}),
        piece(1, id="b", function={"name": "g", "arguments": "{}"}),
        piece(0, function={"arguments": "1}"}),
        piece(0, id="c", function={"name": "f", "arguments": '{"x":2}'}),  # a follower that reuses its index
        chunk({"function_call": {"name": "old", "arguments": "{"}}),
        chunk({"function_call": {"arguments": "}"}}),
        chunk({"tool_calls": [{"index": 5, "id": "d", "custom": {"name": "sql", "input": "SELECT 1"}}]}),
    )
    assert read(PATH, body, content_type=SSE).tools == [("f", '{"x":1}'), ("g", "{}"), ("f", '{"x":2}'), ("old", "{}"), ("sql", "SELECT 1")]


def test_errors_inside_a_stream(read: Read, sse: Make) -> None:
    reading = read(PATH, sse(chunk({"content": "a"}), chunk({}, finish="error", error={"code": 502, "message": "gone"})), content_type=SSE)
    assert (reading.error, reading.error_type, reading.finish, reading.text) == ("gone", "502", "error", "a")
    reading = read(PATH, sse(("error", {"message": "bad tool", "type": "invalid_request_error"})), content_type=SSE)
    assert (reading.error, reading.error_type) == ("bad tool", "invalid_request_error")
    reading = read(PATH, sse(("error", {"error": {"message": "over", "code": "x"}})), content_type=SSE)
    assert (reading.error, reading.error_type) == ("over", "x")


def test_usage_under_x_groq_and_on_every_chunk(read: Read, sse: Make) -> None:
    body = sse(chunk({"content": "a"}), chunk({}, x_groq={"usage": {"prompt_tokens": 3, "completion_tokens": 1}}), "[DONE]")
    assert read(PATH, body, content_type=SSE).usage == Usage(3, 1)
    body = sse(*(chunk({"content": "a"}, usage={"prompt_tokens": 3, "completion_tokens": made}) for made in (1, 2)))
    assert read(PATH, body, content_type=SSE).usage == Usage(3, 2)


def test_comments_and_events_that_are_no_json_do_no_harm(read: Read, sse: Make) -> None:
    body = b": OPENROUTER PROCESSING\n\n" + sse(chunk({"content": "a"}), "{broken", chunk({"content": "b"}), '{"choices":5}')
    reading = read(PATH, body, content_type=SSE)
    assert (reading.text, reading.unread) == ("ab", 1)


def test_content_parts_refusals_and_audio(read: Read) -> None:
    message = {
        "content": [{"type": "thinking", "thinking": [{"text": "hm"}]}, {"type": "text", "text": "a"}],
        "refusal": "no",
        "audio": {"transcript": "c", "data": "AA"},
    }
    body = b'{"id":"1","model":"m","choices":[{"message":%s,"finish_reason":"stop"}]}' % str(message).replace("'", '"').encode()
    reading = read(PATH, body)
    assert (reading.text, reading.output_bytes) == ("anoc", 6)


def test_two_choices(read: Read) -> None:
    call = '{"tool_calls":[{"id":"1","function":{"name":"f","arguments":"{}"}}]}'
    body = f'{{"choices":[{{"index":0,"message":{call}}},{{"index":1,"message":{call},"finish_reason":"tool_calls"}}]}}'.encode()
    reading = read(PATH, body)
    assert (reading.tools, reading.finish) == ([("f", "{}"), ("f", "{}")], "tool_calls")


def test_legacy_completions(read: Read, sse: Make) -> None:
    whole = b'{"id":"cmpl-1","choices":[{"text":"Hi","finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":2}}'
    reading = read("/v1/completions", whole)
    assert (reading.text, reading.usage, reading.finish, reading.complete) == ("Hi", Usage(1, 2), "stop", True)
    body = sse({"choices": [{"text": "H", "index": 0}]}, {"choices": [{"text": "i", "index": 0, "finish_reason": "length"}]}, "[DONE]")
    reading = read("/v1/completions", body, request={"stream": True}, content_type=SSE)
    assert (reading.text, reading.finish, reading.complete) == ("Hi", "length", True)
