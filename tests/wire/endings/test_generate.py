"""Endings of Gemini's generateContent: `MAX_TOKENS` for each open candidate, with the counts that the provider gave last."""

from __future__ import annotations

import json

from tests.wire.endings.conftest import cut_behind, data_of, open_watched

COUNTS = {"promptTokenCount": 9, "candidatesTokenCount": 4, "totalTokenCount": 13}


def piece(index: int = 0, text: str = "Hi", **candidate: object) -> dict:
    candidates = [{"content": {"parts": [{"text": text}], "role": "model"}, "index": index, **candidate}]
    return {"candidates": candidates, "usageMetadata": COUNTS, "modelVersion": "gemini-2.5-pro", "responseId": "r1"}


def sse(document: dict) -> bytes:
    return b"data: " + json.dumps(document).encode() + b"\r\n\r\n"


LAST = {
    "candidates": [{"content": {"parts": [{"text": ""}], "role": "model"}, "finishReason": "MAX_TOKENS", "index": 0}],
    "usageMetadata": COUNTS, "modelVersion": "gemini-2.5-pro", "responseId": "r1",
}  # fmt: skip


def test_a_last_piece(cut) -> None:
    last, reading = cut("gemini.generate", [sse(piece()), sse(piece())])
    assert data_of(last) == [LAST]
    assert reading.usage.output_tokens == 4


def test_a_last_element_closes_the_array() -> None:
    passed, last = cut_behind([b"[" + json.dumps(piece()).encode() + b"\n,\r\n" + b'{"candidates": [{"con'], "gemini.generate", "application/json")
    assert json.loads(passed + last) == [piece(), LAST]


def test_candidates_are_closed_one_by_one(cut) -> None:
    last, _ = cut("gemini.generate", [sse(piece(0)), sse(piece(1)), sse(piece(1, finishReason="STOP"))], choices=2)
    assert [one["index"] for one in data_of(last)[0]["candidates"]] == [0]


def test_a_word_on_every_piece_is_no_finish_word() -> None:
    reader = open_watched("gemini.generate", "text/event-stream")
    reader.feed(sse(piece(finishReason="STOP")))
    assert reader.is_over
    reader.feed(sse(piece(finishReason="STOP")))
    assert not reader.is_over
    assert data_of(reader.close(b"", 7)) == [LAST]


def test_a_blocked_prompt_is_over() -> None:
    blocked = open_watched("gemini.generate", "text/event-stream")
    blocked.feed(sse({"promptFeedback": {"blockReason": "SAFETY"}}))
    assert blocked.is_over
