"""Readers: which framing is taken, bounds, first tokens, and that nothing whatever makes one raise."""

from __future__ import annotations

import gzip
import itertools

import msgspec
from hypothesis import given, note, settings
from hypothesis import strategies as st

from proxy.call import Ask, Kind, Reading, Usage
from proxy.wire.reader import BODY_LIMIT, FORMS, open_reader
from proxy.wire.recognise import recognise

CHAT = recognise("POST", "/v1/chat/completions", "", "openai")
FORMATS = sorted({name for form in FORMS for name in form.formats})
TYPES = ["application/json", "text/event-stream", "application/vnd.amazon.eventstream", "application/x-ndjson", "", "text/plain", "audio/mpeg", "?;"]


def test_each_format_has_one_form() -> None:
    names = [name for form in FORMS for name in form.formats]
    assert len(names) == len(set(names)) > 20


@settings(max_examples=200)
@given(st.lists(st.binary(max_size=80), max_size=4), st.sampled_from(TYPES), st.booleans(), st.sampled_from([200, 400]))
def test_garbage_never_raises(pieces: list[bytes], content_type: str, stream: bool, status: int) -> None:
    for format in (*FORMATS, "opaque", "unheard.of"):
        note(format)
        reader = open_reader(Kind(format, "chat", stream=stream), Ask(stream=stream), status, content_type, {})
        for piece in pieces:
            reader.feed(piece)
        assert isinstance(reader.end(), Reading)


NAMES = ["type", "choices", "delta", "message", "content", "usage", "output", "error", "index", "tool_calls", "function", "candidates", "parts"]
NAMES += ["response", "item", "text", "usageMetadata", "promptTokenCount", "prompt_tokens", "model", "input", "content_block"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(st.characters(codec="utf-8"), max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=200)
@given(JSON, st.sampled_from(["message_start", "response.completed", "content_block_start", "message-end", "error", ""]))
def test_json_of_any_shape_never_raises(value: object, name: str) -> None:
    data = msgspec.json.encode(value)
    whole = (("application/json", data), ("text/event-stream", b"event: " + name.encode() + b"\ndata: " + data + b"\n\n"))
    for format, (content_type, body) in itertools.product(FORMATS, whole):
        note(format)
        reader = open_reader(Kind(format, "chat"), Ask(), 200, content_type, {})
        reader.feed(body)
        assert isinstance(reader.end(), Reading)


def test_nesting_never_raises() -> None:
    for data in (b"[" * 200_000, b'{"choices":' * 100_000, b'{"choices":[' + b"[" * 9000 + b"]" * 9000 + b"]}"):
        for content_type in ("application/json", "text/event-stream"):
            reader = open_reader(CHAT, Ask(), 200, content_type, {})
            reader.feed(b"data: " + data + b"\n\n" if content_type != "application/json" else data)
            assert reader.end().unread == 1


def test_a_body_over_the_limit_is_read_at_its_ends() -> None:
    body = b'{"model":"m","choices":[{"message":{"content":"' + b"x" * BODY_LIMIT + b'"}}],"usage":{"prompt_tokens":1,"completion_tokens":2}}'
    reader = open_reader(CHAT, Ask(), 200, "application/json", {})
    for at in range(0, len(body), 100_000):
        reader.feed(body[at : at + 100_000])
    reading = reader.end()
    assert (reading.model, reading.usage, reading.text, reading.unread, reading.complete) == ("m", Usage(1, 2), "", 1, False)
    assert reading.is_oversized  # and not empty


def test_an_event_over_the_limit_leaves_text_that_is_not_known() -> None:
    reader = open_reader(CHAT, Ask(), 200, "text/event-stream", {})
    reader.feed(b'data: {"choices":[{"delta":{"content":"' + b"x" * 2 * 2**20 + b'"}}]}\n\ndata: [DONE]\n\n')
    reading = reader.end()
    assert (reading.text, reading.complete, reading.is_oversized) == ("", True, True)


def test_a_cut_body_gives_what_can_be_found() -> None:
    reader = open_reader(CHAT, Ask(), 200, "application/json", {})
    reader.feed(b'{"id":"1","model":"m","usage":{"prompt_tokens":1,"completion_tokens":2},"choices":[{"mess')
    reading = reader.end()
    assert (reading.model, reading.response_id, reading.usage, reading.unread, reading.complete) == ("m", "1", Usage(1, 2), 1, False)


def test_an_empty_body_is_no_fault() -> None:
    for content_type in TYPES:
        assert open_reader(CHAT, Ask(), 200, content_type, {}).end() == Reading()


def test_error_bodies() -> None:
    reader = open_reader(CHAT, Ask(stream=True), 429, "text/event-stream", {})
    reader.feed(b'{"error":{"message":"slow","type":"tokens","code":"rate_limit_exceeded"}}')
    reading = reader.end()
    assert (reading.error, reading.error_type, reading.usage, reading.complete) == ("slow", "rate_limit_exceeded", None, False)


def test_the_first_token_is_seen_when_it_comes() -> None:
    reader = open_reader(CHAT, Ask(stream=True), 200, "text/event-stream", {})
    seen = []
    for delta in (b'{"role":"assistant","content":""}', b'{"reasoning_content":"h"}', b'{"content":"x"}'):
        reader.feed(b'data: {"choices":[{"delta":' + delta + b"}]}\n\n")
        seen.append(reader.first_token)
    assert seen == [False, True, True]


def test_text_is_kept_up_to_the_limit() -> None:
    reader = open_reader(CHAT, Ask(), 200, "text/event-stream", {}, text_limit=3)
    for _ in range(10):
        reader.feed(b'data: {"choices":[{"delta":{"content":"ab"}}]}\n\n')
    reading = reader.end()
    assert (reading.text, reading.output_bytes) == ("aba", 20)


def test_a_stream_without_a_content_type_is_read_as_asked() -> None:
    reader = open_reader(CHAT, Ask(stream=True), 200, "", {})
    reader.feed(b'data: {"choices":[{"delta":{"content":"ab"}}]}\n\n')
    assert reader.end().text == "ab"


def test_opaque_answers_are_only_noted() -> None:
    reader = open_reader(Kind("opaque", "other"), Ask(), 200, "application/json", {})
    reader.feed(gzip.compress(b"x"))
    assert not reader.first_token
    assert reader.end() == Reading()
    reader = open_reader(recognise("POST", "/v1/audio/speech", "", "openai"), Ask(), 200, "audio/mpeg", {})
    reader.feed(b"\xff")
    assert reader.first_token


def test_an_event_that_the_stream_broke_off_in_is_no_fault() -> None:
    reader = open_reader(CHAT, Ask(), 200, "text/event-stream", {})
    reader.feed(b'data: {"choices":[{"delta":{"content":"ab"}}]}\n\ndata: {"choices":[{"del')
    reading = reader.end()
    assert (reading.text, reading.unread, reading.is_oversized) == ("ab", 0, False)
