"""The judges: what they mind in an answer, in any pieces, and that they mind nothing they cannot read."""

import json
import zlib

import pytest

from proxy.call import Ask, Call, Kind
from proxy.dataplane.headers import ResponseHead
from proxy.dataplane.judge import StartJudge, WholeJudge, open_judge
from proxy.wire.reader import BODY_LIMIT
from tests.dataplane.paying import answer
from tests.dataplane.test_path import CHUNKS

CHAT = Kind("openai.chat", "chat", json_body=True, needs_model=True)
ALL = frozenset({"startup_error", "empty", "truncated", "invalid_json", "invalid_tools"})
FAULT = b'data: {"error":{"message":"overloaded"}}\n\n'


def head(media="application/json", status=200, **fields):
    return ResponseHead(status, b"OK", [], {"content-type": media} | {name.replace("_", "-"): value for name, value in fields.items()}, "chunked")


def make(ask, answer_head, judged=ALL, kind=CHAT, *, is_guarded=False):
    return open_judge(Call(id="c", started_ns=0, method="POST", path="/", kind=kind, ask=ask), answer_head, judged, is_guarded=is_guarded)


ASKED = Ask(model="m")


def rule(body, ask=ASKED, size=10**9, is_whole=True, **fields):
    judge = make(ask, head(**fields))
    for start in range(0, len(body), size):
        assert judge.feed(body[start : start + size]) is None
    return judge.end(is_whole=is_whole)


def choose(content, finish="stop", **message):
    choice = {"index": 0, "message": {"role": "assistant", "content": content, **message}, "finish_reason": finish}
    return json.dumps({"id": "r", "model": "m", "choices": [choice]}).encode()


def called(arguments):
    return [{"id": "t", "type": "function", "function": {"name": "f", "arguments": arguments}}]


CALLED = [{"id": "t", "type": "function", "function": {"name": "f", "arguments": "{}"}}]


@pytest.mark.parametrize("size", [1, 50, 10**9])
@pytest.mark.parametrize(
    ("body", "asked", "word"),
    [
        (answer(1, 2), False, ""),
        (choose(""), False, "empty"),
        (choose(None), False, "empty"),
        (choose("", "length"), False, ""),  # as long as it was allowed to be
        (choose("", "content_filter"), False, ""),
        (choose(None, "tool_calls", tool_calls=CALLED), False, ""),
        (choose("hi")[:-2], False, "truncated"),
        (b"", False, "truncated"),
        (choose("hi"), True, "invalid_json"),
        (choose("{}"), True, ""),
        (choose('{"a": ', "length"), True, ""),
        (choose(None, "tool_calls", tool_calls=CALLED), True, ""),
        (choose(None, "tool_calls", tool_calls=called('{"a": ')), False, "invalid_tools"),
        (choose(None, "length", tool_calls=called('{"a": ')), False, ""),
        (choose(None, "tool_calls", tool_calls=called("free text")), False, ""),
        (choose(None, "tool_calls", tool_calls=called("")), False, ""),
    ],
)
def test_a_whole_answer(body, asked, word, size):
    assert rule(body, Ask(model="m", json_asked=asked), size) == word


def test_one_that_is_too_large_to_be_read_is_not_empty():
    assert rule(choose("x" * BODY_LIMIT), size=65536) == ""


def test_one_that_broke_off_is_truncated_and_one_that_cannot_be_unpacked_is_not_judged():
    assert rule(answer(1, 2), is_whole=False) == "truncated"
    assert rule(zlib.compress(choose("")), content_encoding="deflate") == "empty"
    assert rule(b"no such thing", content_encoding="gzip") == ""
    assert rule(choose(""), content_encoding="unheard-of") == ""


@pytest.mark.parametrize("size", [1, 11, 10**9])
@pytest.mark.parametrize(("stream", "word"), [(FAULT, "startup_error"), (b": wait\n\n" + FAULT, "startup_error"), (CHUNKS[0] + FAULT, "")])
def test_a_stream_is_judged_by_its_first_event(stream, word, size):
    judge = make(Ask(model="m", stream=True), head("text/event-stream"))
    words = (judge.feed(stream[start : start + size]) for start in range(0, len(stream), size))
    assert next(each for each in words if each is not None) == word


def test_who_judges_what():
    asked, streamed = Ask(model="m"), Ask(model="m", stream=True)
    assert isinstance(make(asked, head()), WholeJudge)
    assert isinstance(make(streamed, head("text/event-stream")), StartJudge)
    assert isinstance(make(streamed, head(), frozenset({"startup_error"})), WholeJudge)  # an error in the place of a stream
    assert rule(b'{"error":{"message":"no"}}', streamed) == "startup_error"
    assert make(asked, head(), frozenset({"startup_error"})) is None
    assert make(streamed, head("text/event-stream"), frozenset({"empty"})) is None
    assert isinstance(make(streamed, head("text/event-stream"), frozenset(), is_guarded=True), StartJudge)
    assert make(asked, head(), frozenset()) is None
    assert make(asked, head(status=201)) is None
    assert make(asked, head(), kind=Kind("openai.embeddings", "embeddings", json_body=True)) is None


@pytest.mark.parametrize(
    ("judged", "arguments", "word"), [(ALL, '{"id": "7"}', "invalid_tools"), (ALL, '{"id": 7}', ""), (ALL - {"invalid_tools"}, "{}", "")]
)
def test_arguments_are_held_against_the_tool_that_was_offered(judged, arguments, word):
    schema = {"type": "object", "required": ["id"], "properties": {"id": {"type": "integer"}}}
    request = json.dumps({"tools": [{"type": "function", "function": {"name": "f", "parameters": schema}}]}).encode()
    call = Call(id="c", started_ns=0, method="POST", path="/", kind=CHAT, ask=ASKED)
    judge = open_judge(call, head(), judged, is_guarded=False, request=request)
    judge.feed(choose(None, "tool_calls", tool_calls=called(arguments)))
    assert judge.end(is_whole=True) == word
