"""Embeddings, images, audio, files and batches."""

from __future__ import annotations

import base64
from collections.abc import Callable

import msgspec

from proxy.call import Ask, Reading, Usage
from proxy.wire import open_reader, recognise

SSE = "text/event-stream"
Read = Callable[..., Reading]
Make = Callable[..., bytes]


def test_embeddings_small_and_large(read: Read) -> None:
    for vectors in (1, 40):
        vector = base64.b64encode(bytes(6144)).decode()
        body = msgspec.json.encode(
            {"object": "list", "data": [{"embedding": vector}] * vectors, "model": "e3", "usage": {"prompt_tokens": 5, "total_tokens": 5}}
        )
        reading = read("/v1/embeddings", body) if vectors == 1 else read_large("/v1/embeddings", body)
        assert (reading.model, reading.usage) == ("e3", Usage(5))


def read_large(path: str, body: bytes) -> Reading:
    readings = []
    for size in (999, 65536, len(body)):
        reader = open_reader(recognise("POST", path, "", "openai"), Ask(), 200, "application/json", {})
        for at in range(0, len(body), size):
            reader.feed(body[at : at + size])
        readings.append(reader.end())
    assert all(reading == readings[0] for reading in readings)
    return readings[0]


def test_images(read: Read, sse: Make) -> None:
    usage = {"input_tokens": 50, "output_tokens": 272, "input_tokens_details": {"text_tokens": 10, "image_tokens": 40}}
    body = msgspec.json.encode({"created": 1, "usage": usage, "data": [{"b64_json": "A" * 300_000}]})
    assert read_large("/v1/images/generations", body).usage == Usage(50, 272, input_image_tokens=40)
    body = sse(
        ("image_generation.partial_image", {"type": "image_generation.partial_image", "b64_json": "AA"}),
        ("image_generation.completed", {"type": "image_generation.completed", "b64_json": "AAAA", "usage": usage}),
    )
    reading = read("/v1/images/generations", body, request={"stream": True}, content_type=SSE)
    assert (reading.usage, reading.complete) == (Usage(50, 272, input_image_tokens=40), True)


def test_transcriptions(read: Read, sse: Make) -> None:
    path = "/v1/audio/transcriptions"
    body = b'{"text":"Hello","usage":{"type":"tokens","input_tokens":14,"output_tokens":3,"input_token_details":{"text_tokens":0,"audio_tokens":14}}}'
    reading = read(path, body)
    assert (reading.text, reading.usage) == ("Hello", Usage(14, 3, input_audio_tokens=14))
    assert read(path, b'{"text":"Hello","usage":{"type":"duration","seconds":7}}').usage == Usage(audio_seconds=7.0)
    assert read(path, b'{"task":"transcribe","duration":7.5,"text":"Hello"}').usage == Usage(audio_seconds=7.5)
    assert read(path, b"Hello there\n", content_type="text/plain; charset=utf-8").text == "Hello there\n"
    body = sse(
        {"type": "transcript.text.delta", "delta": "Hel"},
        {"type": "transcript.text.delta", "delta": "lo"},
        {"type": "transcript.text.done", "text": "Hello", "usage": {"type": "tokens", "input_tokens": 1, "output_tokens": 2}},
    )
    reading = read(path, body, content_type=SSE)
    assert (reading.text, reading.usage, reading.complete) == ("Hello", Usage(1, 2), True)


def test_speech(read: Read, sse: Make) -> None:
    reading = read("/v1/audio/speech", b"\xff\xf3\x00", content_type="audio/mpeg")
    assert (reading.usage, reading.unread) == (None, 0)
    body = sse({"type": "speech.audio.delta", "audio": "AA"}, {"type": "speech.audio.done", "usage": {"input_tokens": 1, "output_tokens": 9}})
    assert read("/v1/audio/speech", body, content_type=SSE).usage == Usage(1, 9)


def test_a_batch_has_usage_of_its_own(read: Read) -> None:
    body = b'{"id":"batch_1","model":"gpt-5","status":"completed","errors":null,"usage":{"input_tokens":10,"output_tokens":5}}'
    reading = read("/v1/batches/batch_1", body, method="GET")
    assert (reading.response_id, reading.model, reading.finish, reading.usage) == ("batch_1", "gpt-5", "completed", Usage(10, 5))


def test_counting_is_no_usage(read: Read) -> None:
    for path in ("/v1/messages/count_tokens", "/v1/responses/input_tokens"):
        reading = read(path, b'{"input_tokens":9}')
        assert (reading.usage, reading.complete) == (None, True)


def test_errors_inside_a_stream(read: Read, sse: Make) -> None:
    reading = read("/v1/images/generations", sse(("error", {"type": "error", "error": {"message": "no", "code": "moderation"}})), content_type=SSE)
    assert (reading.error, reading.error_type) == ("no", "moderation")
