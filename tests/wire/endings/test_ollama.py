"""Endings of Ollama's streams: a last line that is done."""

from __future__ import annotations

import json

import pytest

from tests.wire.endings.conftest import open_watched

LINES = "application/x-ndjson"


@pytest.mark.parametrize(
    ("format", "piece", "empty"),
    [
        ("ollama.chat", {"message": {"role": "assistant", "content": "Hi"}}, {"message": {"role": "assistant", "content": ""}}),
        ("ollama.generate", {"response": "Hi"}, {"response": ""}),
    ],
)
def test_a_last_line(cut, format: str, piece: dict, empty: dict) -> None:
    frame = {"model": "llama3.2", "created_at": "2026-11-21T06:00:00Z"}
    line = json.dumps({**frame, **piece, "done": False}).encode() + b"\n"
    last, reading = cut(format, [line, line + b'{"mod'], LINES)
    assert json.loads(last) == {**frame, **empty, "done": True, "done_reason": "length"}
    assert last.endswith(b"}\n")
    assert reading.text == "HiHi"


def test_over() -> None:
    reader = open_watched("ollama.chat", LINES)
    reader.feed(b'{"model":"m","message":{"content":"Hi"},"done":false}\n')
    assert not reader.is_over
    reader.feed(b'{"model":"m","done":true,"done_reason":"stop"}\n')
    assert reader.is_over
