"""An error of ours at the end of a stream: behind every whole event, never within one, and read as an error by who reads the dialect."""

from __future__ import annotations

import json

import pytest

from proxy.call import Ask, Kind
from proxy.errors import Refusal
from proxy.wire import StreamReader, make_failure, open_reader
from proxy.wire.endings.seams import open_seam
from proxy.wire.eventstream import EventStreamParser
from tests.wire.endings.conftest import SSE, read_again

REFUSAL = Refusal("weighbridge_stopping", "Weighbridge is shutting down; try again.")
_FRAMES = "application/vnd.amazon.eventstream"
_FRAME = open_seam(EventStreamParser()).write(b"", [(b"contentBlockDelta", b'{"delta":{"text":"Hi"}}')])
_CHUNK = open_seam(EventStreamParser()).write(b"", [(b"chunk", b'{"bytes":"eyJ0eXBlIjoicGluZyJ9"}')])


def _say(*events: tuple[str, dict]) -> bytes:
    return b"".join((f"event: {name}\n" if name else "").encode() + b"data: " + json.dumps(data).encode() + b"\n\n" for name, data in events)


# (format, dialect, content type, whole events)
STREAMS = [
    ("openai.chat", "openai", SSE, [_say(("", {"choices": [{"index": 0, "delta": {"content": "Hi"}}]}))] * 2),
    ("openai.completions", "openai", SSE, [_say(("", {"choices": [{"index": 0, "text": "Hi"}]})), b": a comment\r\n\r\n"]),
    ("openai.responses", "openai", SSE, [_say(("response.output_text.delta", {"type": "response.output_text.delta", "delta": "Hi"}))] * 2),
    ("anthropic.messages", "anthropic", SSE, [_say(("content_block_delta", {"type": "content_block_delta", "delta": {"text": "Hi"}}))] * 2),
    ("gemini.generate", "gemini", SSE, [_say(("", {"candidates": []})).replace(b"\n", b"\r\n")] * 2),
    ("gemini.generate", "gemini", "application/json", [b'[{"candidates": []}\n', b',\r\n{"candidates": []}']),
    ("gemini.interactions", "gemini", SSE, [_say(("", {"event_type": "step.delta"}))]),
    ("cohere.chat", "cohere", SSE, [_say(("content-delta", {"type": "content-delta"}))]),
    ("ollama.chat", "ollama", "application/x-ndjson", [b'{"message": {"content": "Hi"}}\n'] * 2),
    ("ollama.generate", "ollama", "application/x-ndjson", [b'{"response": "Hi"}\r\n']),
    ("bedrock.converse", "bedrock", _FRAMES, [_FRAME] * 2),
    ("bedrock.invoke", "bedrock", _FRAMES, [_CHUNK] * 2),
]


def fail_behind(pieces: list[bytes], format: str, dialect: str, content_type: str) -> bytes | None:
    """What follows on these pieces."""
    kind = Kind(format, "chat", stream=True)
    reader = open_reader(kind, Ask(stream=True), 200, content_type, {})
    assert isinstance(reader, StreamReader)
    for piece in pieces:
        reader.feed(piece)
    return reader.append([make_failure(kind, dialect, REFUSAL, "c1")])


@pytest.mark.parametrize(("format", "dialect", "content_type", "events"), STREAMS, ids=[f"{one[0]}-{one[2][-6:]}" for one in STREAMS])
def test_behind_every_event_and_never_within_one(format: str, dialect: str, content_type: str, events: list[bytes]) -> None:
    body = b"".join(events)
    ends = {len(b"".join(events[:number])) for number in range(len(events) + 1)}
    for at in range(len(body) + 1):
        for pieces in ([body[:at]], [body[: at // 2], body[at // 2 : at]], [body[: at - 1], body[at - 1 : at]] if at else []):
            last = fail_behind(pieces, format, dialect, content_type)
            if last is None:
                assert at not in ends, at
                continue
            reading = read_again(body[:at] + last, format, content_type)
            assert reading.error is not None and "shutting down" in reading.error, at
            assert reading.unread == 0, at


def test_the_shapes_that_sdks_raise() -> None:
    def shape(format: str, dialect: str) -> tuple[bytes, dict]:
        name, data = make_failure(Kind(format, "chat"), dialect, REFUSAL, "c1")
        return name, json.loads(data)

    assert shape("openai.chat", "openai")[1]["error"]["code"] == "weighbridge_stopping"  # openai-python: `if data.get("error")`
    name, event = shape("openai.responses", "openai")
    assert (name, event["type"], event["code"], event["error"]["code"]) == (b"error", "error", "weighbridge_stopping", "weighbridge_stopping")
    name, event = shape("anthropic.messages", "anthropic")
    assert (name, event["type"], event["error"]["type"]) == (b"error", "error", "overloaded_error")
    assert shape("gemini.generate", "gemini")[1]["error"]["status"] == "UNAVAILABLE"
    assert shape("cohere.chat", "cohere") == (b"message-end", {"type": "message-end", "delta": {"finish_reason": "ERROR", "error": REFUSAL.message}})
    assert shape("ollama.chat", "ollama")[1]["error"] == REFUSAL.message


def test_a_frame_says_that_it_is_an_exception() -> None:
    frame = fail_behind([_FRAME], "bedrock.converse", "bedrock", _FRAMES)
    assert b"\x0f:exception-type\x07\x00\x1bserviceUnavailableException" in frame and b"\x0d:message-type\x07\x00\x09exception" in frame
    assert EventStreamParser().feed(_FRAME + frame)[1][0] == b"exception:serviceUnavailableException"
