"""Endings of Chat Completions and Completions: each choice says `length`, as OpenAI says it."""

from __future__ import annotations

import json

from tests.wire.endings.conftest import cut_behind, data_of, open_watched

FRAME = {"id": "c1", "object": "chat.completion.chunk", "created": 7, "model": "gpt-4o", "service_tier": "default", "system_fingerprint": "fp"}


def chunk(*choices: dict, **more: object) -> bytes:
    return b"data: " + json.dumps({**FRAME, "choices": list(choices), "usage": None, "obfuscation": "x", **more}).encode() + b"\n\n"


def text(index: int = 0, finish: str | None = None) -> dict:
    return {"index": index, "delta": {"content": "Hi"}, "finish_reason": finish}


def test_the_last_chunk_is_like_the_others(cut) -> None:
    last, reading = cut("openai.chat", [chunk(text()), chunk(text())])
    assert data_of(last) == [{**FRAME, "choices": [{"index": 0, "delta": {}, "logprobs": None, "finish_reason": "length"}]}]
    assert last.endswith(b"\n\ndata: [DONE]\n\n")
    assert reading.text == "HiHi"


def test_every_choice_that_is_open_is_closed(cut) -> None:
    last, _ = cut("openai.chat", [chunk(text(0)), chunk(text(1)), chunk(text(0, "stop"))], choices=3)
    assert [one["choices"][0]["index"] for one in data_of(last)] == [1, 2]


def test_completions_have_text(cut) -> None:
    pieces = [chunk({"index": 0, "text": "Hi", "finish_reason": None}, object="text_completion")]
    last, _ = cut("openai.completions", pieces)
    (sent,) = data_of(last)
    assert sent["choices"] == [{"index": 0, "text": "", "logprobs": None, "finish_reason": "length"}]
    assert sent["object"] == "text_completion"


def test_a_tool_call_stays_broken(cut) -> None:
    def call(**function: str) -> dict:
        return {"index": 0, "delta": {"tool_calls": [{"index": 0, "id": "t", "function": function}]}, "finish_reason": None}

    last, reading = cut("openai.chat", [chunk(call(name="buy", arguments="")), chunk(call(arguments='{"what": "a h'))])
    assert reading.tools == [("buy", '{"what": "a h')]
    assert "tool_calls" not in last.decode()


def test_over_is_what_its_provider_ended() -> None:
    for ended in (chunk(text(0, "stop")), chunk(usage={"prompt_tokens": 1, "completion_tokens": 2}), b"data: [DONE]\n\n"):
        reader = open_watched("openai.chat", "text/event-stream")
        reader.feed(chunk(text()))
        assert not reader.is_over
        reader.feed(ended)
        assert reader.is_over
    reader = open_watched("openai.chat", "text/event-stream", choices=2)
    reader.feed(chunk(text(0, "stop")))
    assert not reader.is_over


def test_an_error_in_the_stream_is_an_end_too() -> None:
    assert cut_behind([chunk(text()), b'data: {"error": {"message": "overloaded"}}\n\n'], "openai.chat", "text/event-stream") is None


def test_running_counts_are_no_end() -> None:
    reader = open_watched("openai.chat", "text/event-stream")
    reader.feed(chunk(text(), usage={"prompt_tokens": 9, "completion_tokens": 4}))
    assert not reader.is_over
    assert reader.usage.output_tokens == 4
    assert reader.output_bytes == 2
