"""Ollama's own dialect."""

from __future__ import annotations

from collections.abc import Callable

from proxy.call import Reading, Usage

NDJSON = "application/x-ndjson"
Read = Callable[..., Reading]
CHAT = (
    b'{"model":"llama3.2","created_at":"2026-01-01T00:00:00Z","message":{"role":"assistant","content":"","thinking":"hm"},"done":false}\n'
    b'{"model":"llama3.2","message":{"role":"assistant","content":"Hi"},"done":false}\n'
    b'{"model":"llama3.2","message":{"content":"","tool_calls":[{"function":{"name":"f","arguments":{"a":1}}},{"function":{"name":"g"}}]},"done":false}\n'
    b'{"model":"llama3.2","message":{"content":""},"done_reason":"stop","done":true,"total_duration":9,"prompt_eval_count":26,"eval_count":29}\n'
)


def test_a_chat_stream(read: Read) -> None:
    assert read("/api/chat", CHAT, request={"model": "llama3.2"}, content_type=NDJSON) == Reading(
        model="llama3.2",
        usage=Usage(26, 29),
        finish="stop",
        complete=True,
        text="Hi",
        tools=[("f", '{"a":1}'), ("g", "{}")],
        output_bytes=2 + 2 + 1 + 7 + 1,
    )


def test_a_stream_with_another_name_or_none(read: Read) -> None:
    assert read("/api/chat", CHAT, content_type="").usage == Usage(26, 29)


def test_generate(read: Read) -> None:
    body = b'{"model":"m","response":"H","done":false}\n{"response":"i","done":true,"done_reason":"length","prompt_eval_count":1,"eval_count":2}'
    reading = read("/api/generate", body, content_type=NDJSON)
    assert (reading.text, reading.usage, reading.finish, reading.complete) == ("Hi", Usage(1, 2), "length", True)


def test_whole_answers(read: Read) -> None:
    body = b'{"model":"m","message":{"content":"Hi"},"done":true,"done_reason":"stop","prompt_eval_count":1,"eval_count":2}'
    reading = read("/api/chat", body, request={"stream": False}, content_type="application/json; charset=utf-8")
    assert (reading.text, reading.usage, reading.complete) == ("Hi", Usage(1, 2), True)
    assert read("/api/embed", b'{"model":"e","embeddings":[[0.1]],"prompt_eval_count":8}').usage == Usage(8)


def test_a_cut_stream_and_an_error_line(read: Read) -> None:
    reading = read("/api/chat", CHAT[:300] + b'\n{"error":"out of memory"}\n', content_type=NDJSON)
    assert (reading.error, reading.complete, reading.usage) == ("out of memory", False, None)
