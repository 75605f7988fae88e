"""Gemini's dialect, beyond what is recorded: the JSON array, modalities, blocked prompts, embeddings."""

from __future__ import annotations

import json
from collections.abc import Callable

from proxy.call import Reading, Usage

PATH = "/v1beta/models/gemini-x:generateContent"
STREAM = "/v1beta/models/gemini-x:streamGenerateContent"
Read = Callable[..., Reading]


def chunk(*parts: dict, finish: str | None = None, **fields: object) -> dict:
    return {"candidates": [{"content": {"parts": list(parts)}, "finishReason": finish}], "modelVersion": "gemini-x-001", "responseId": "r", **fields}


CHUNKS = [
    chunk({"text": "think", "thought": True}, usageMetadata={"promptTokenCount": 10, "candidatesTokenCount": 1}),
    chunk({"text": "H"}, {"functionCall": {"name": "f", "args": {"a": "]}"}}}, {"functionCall": {"name": "g"}}),
    chunk(
        {"text": "i"},
        finish="STOP",
        usageMetadata={
            "promptTokenCount": 10,
            "toolUsePromptTokenCount": 5,
            "cachedContentTokenCount": 4,
            "candidatesTokenCount": 7,
            "thoughtsTokenCount": 3,
        },
    ),
]
READ = Reading(
    model="gemini-x-001", response_id="r", usage=Usage(15, 10, 4, reasoning_tokens=3), finish="STOP", complete=True, text="Hi",
    tools=[("f", '{"a":"]}"}'), ("g", "{}")], output_bytes=5 + 1 + 1 + 10 + 1 + 1,
)  # fmt: skip


def compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def test_the_json_array_of_a_stream(read: Read) -> None:
    assert read(STREAM, ("[" + ",\r\n".join(compact(one) for one in CHUNKS) + "\n]").encode()) == READ


def test_server_sent_events(read: Read) -> None:
    body = "".join(f"data: {compact(one)}\r\n\r\n" for one in CHUNKS).encode()
    assert read(STREAM + "?alt=sse", body, content_type="text/event-stream") == READ


def test_errors_inside_streams(read: Read) -> None:
    error = {"error": {"code": 503, "message": "overloaded", "status": "UNAVAILABLE"}}
    for body in (compact([CHUNKS[0], error]), compact(error)):
        reading = read(STREAM, body.encode())
        assert (reading.error, reading.error_type, reading.complete) == ("overloaded", "UNAVAILABLE", False)
    reading = read(STREAM, f"data: {compact(error)}\r\n\r\n".encode(), content_type="text/event-stream")
    assert (reading.error, reading.error_type) == ("overloaded", "UNAVAILABLE")


def test_a_blocked_prompt(read: Read) -> None:
    reading = read(PATH, b'{"promptFeedback":{"blockReason":"SAFETY"},"usageMetadata":{"promptTokenCount":5}}')
    assert (reading.finish, reading.usage, reading.complete) == ("SAFETY", Usage(5, 0), True)


def test_modalities_pictures_and_searches(read: Read) -> None:
    metadata = {
        "promptTokenCount": 50, "candidatesTokenCount": 20, "serviceTier": "flex",
        "promptTokensDetails": [{"tokenCount": 5}, {"modality": "AUDIO", "tokenCount": 25}, {"modality": "IMAGE", "tokenCount": 20}],
        "cacheTokensDetails": [{"modality": "AUDIO", "tokenCount": 2}],
        "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 15}, {"modality": "AUDIO", "tokenCount": 1}],
    }  # fmt: skip
    one = chunk({"inlineData": {"mimeType": "image/png", "data": "AA"}}, usageMetadata=metadata)
    one["candidates"][0]["groundingMetadata"] = {"webSearchQueries": ["a", "b"]}
    reading = read(PATH, compact(one).encode())
    assert reading.usage == Usage(50, 20, 0, 0, 0, 0, 25, 1, 20, 15, 2, 2)
    assert reading.service_tier == "flex"


def test_embeddings(read: Read) -> None:
    path = "/v1beta/models/e:embedContent"
    assert read(path, b'{"embedding":{"values":[0.1]},"usageMetadata":{"promptTokenCount":4}}').usage == Usage(4)
    predict = "/v1/projects/p/locations/l/publishers/google/models/e:predict"
    body = b'{"predictions":[{"embeddings":{"values":[1],"statistics":{"token_count":2.0}}},{"embeddings":{"statistics":{"token_count":3}}}]}'
    assert read(predict, body).usage == Usage(5)
    assert read(path, b'{"embedding":{"values":[0.1]}}').usage is None


def test_counting_is_no_usage(read: Read) -> None:
    reading = read("/v1/models/m:countTokens", b'{"totalTokens":5}')
    assert (reading.usage, reading.complete) == (None, True)
