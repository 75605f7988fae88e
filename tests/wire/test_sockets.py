"""Calls on a WebSocket: the Responses mode and Realtime."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.call import Kind, Usage
from proxy.wire.recognise import recognise
from proxy.wire.sockets import Began, Ended, open_socket_reader

RESPONSES = recognise("GET", "/v1/responses", "", "openai")
REALTIME = recognise("GET", "/v1/realtime", "model=gpt-realtime", "openai")


def say(kind: str, **fields: object) -> bytes:
    return msgspec.json.encode({"type": kind, **fields})


def test_two_responses_on_one_socket() -> None:
    socket = open_socket_reader(RESPONSES)
    for number in (1, 2):
        began = socket.client(say("response.create", model="gpt-5", input=[], metadata={"session_id": "s"}, max_output_tokens=5))
        assert [(one.ask.model, one.ask.stream, one.ask.session, one.ask.max_output_tokens) for one in began] == [("gpt-5", True, "s", 5)]
        assert socket.is_open
        assert socket.server(say("response.created", response={"id": f"r{number}", "model": "gpt-5-1"})) == []
        assert not socket.first_token
        assert socket.server(say("response.output_text.delta", delta="Hi")) == []
        assert socket.first_token
        ended = socket.server(
            say("response.completed", response={"id": f"r{number}", "status": "completed", "usage": {"input_tokens": number, "output_tokens": 2}})
        )
        reading = ended[0].reading
        assert (reading.response_id, reading.model, reading.text, reading.usage, reading.complete) == (
            f"r{number}",
            "gpt-5-1",
            "Hi",
            Usage(number, 2),
            True,
        )
        assert not socket.is_open
    assert socket.end() is None


@pytest.mark.parametrize("kind", [RESPONSES, REALTIME])
def test_a_type_with_an_escaped_letter_begins_a_call_as_well(kind: Kind) -> None:
    (began,) = open_socket_reader(kind).client(b'{"type":"response\\u002ecreate","model":"m"}')
    assert began.ask.stream


def test_an_error_ends_a_call() -> None:
    socket = open_socket_reader(RESPONSES)
    socket.client(say("response.create", model="m").decode())
    ended = socket.server('{"type":"error","status":400,"error":{"message":"no","code":"previous_response_not_found"}}')
    assert (ended[0].reading.error, ended[0].reading.error_type) == ("no", "previous_response_not_found")


def test_a_socket_that_closes_in_the_middle() -> None:
    socket = open_socket_reader(RESPONSES)
    socket.client(say("response.create", model="m"))
    socket.server(say("response.output_text.delta", delta="Hi"))
    reading = socket.end()
    assert reading is not None
    assert (reading.text, reading.complete) == ("Hi", False)


def test_other_messages_begin_nothing() -> None:
    socket = open_socket_reader(RESPONSES)
    assert socket.client(say("response.steer", input="response.create")) == []
    assert socket.client(b'"response.create" {') == []
    assert socket.unread == 1
    assert socket.server(say("response.output_text.delta", delta="Hi")) == []
    assert not socket.is_open


REALTIME_USAGE = {
    "total_tokens": 120, "input_tokens": 80, "output_tokens": 40,
    "input_token_details": {"cached_tokens": 10, "text_tokens": 30, "audio_tokens": 50},
    "output_token_details": {"text_tokens": 10, "audio_tokens": 30},
}  # fmt: skip


@pytest.mark.parametrize("asked", [True, False])
def test_realtime(asked: bool) -> None:
    socket = open_socket_reader(REALTIME)
    assert socket.server(say("session.created", session={"model": "gpt-realtime-2"})) == []
    assert socket.client(say("input_audio_buffer.append", audio="AAAA")) == []
    if asked:
        steps = socket.client(say("response.create", response={"max_output_tokens": 9}))
        assert steps[0].ask.max_output_tokens == 9
    steps = socket.server(say("response.created", response={"id": "r", "status": "in_progress"}))
    assert [type(step) for step in steps] == ([] if asked else [Began])
    socket.server(say("response.output_audio.delta", delta="AAAA"))
    assert socket.first_token
    socket.server(say("response.output_audio_transcript.delta", delta="Hi"))
    steps = socket.server(say("response.done", response={"id": "r", "status": "completed", "usage": REALTIME_USAGE}))
    reading = steps[0].reading
    assert (reading.model, reading.text, reading.complete) == ("gpt-realtime-2", "Hi", True)
    assert reading.usage == Usage(80, 40, 10, input_audio_tokens=50, output_audio_tokens=30)


def test_a_transcription_of_the_callers_speech_is_a_call_apart() -> None:
    socket = open_socket_reader(REALTIME)
    socket.client(say("response.create"))
    kind = "conversation.item.input_audio_transcription.completed"
    steps = socket.server(say(kind, item_id="i", transcript="Hello", usage={"type": "duration", "seconds": 3}))
    assert isinstance(steps[0], Ended)
    assert steps[0].apart
    assert (steps[0].reading.text, steps[0].reading.usage) == ("Hello", Usage(audio_seconds=3.0))
    assert socket.is_open
    assert socket.server(say(kind, item_id="i", transcript="Hello")) == []


def test_a_call_left_open_ends_where_the_next_begins() -> None:
    socket = open_socket_reader(RESPONSES)
    socket.client(say("response.create", model="a"))
    socket.server(say("response.output_text.delta", delta="Hi"))
    began = socket.client(say("response.create", model="b"))[0]
    assert began.left is not None
    assert (began.left.text, began.ask.model) == ("Hi", "b")


def test_a_realtime_error_ends_only_what_has_not_begun() -> None:
    socket = open_socket_reader(REALTIME)
    socket.client(say("response.create"))
    assert len(socket.server(say("error", error={"message": "no"}))) == 1
    socket.client(say("response.create"))
    socket.server(say("response.created", response={"id": "r"}))
    assert socket.server(say("error", error={"message": "about something else"})) == []
    assert socket.is_open


ODD = [
    ("response.create", {"response": 5}),
    ("response.done", {"response": []}),
    ("response.created", {}),
    ("error", {}),
    ("session.update", {"session": 5}),
]
MESSAGES = st.binary(max_size=40) | st.sampled_from([say(kind, **fields) for kind, fields in ODD])


@given(st.lists(st.tuples(st.booleans(), MESSAGES), max_size=8))
def test_garbage_never_raises(messages: list[tuple[bool, bytes]]) -> None:
    for kind in (RESPONSES, REALTIME):
        socket = open_socket_reader(kind)
        for up, message in messages:
            (socket.client if up else socket.server)(message)
        socket.end()


def test_the_request_is_handed_on_where_the_message_is_all_that_is_asked() -> None:
    message = say("response.create", model="m", tools=[])
    assert [one.request for one in open_socket_reader(Kind("openai.responses", "chat")).client(message)] == [message]
    assert [one.request for one in open_socket_reader(Kind("openai.realtime", "realtime")).client(message)] == [None]
    wrapped = say("response.create", response={"model": "m"})
    assert [one.request for one in open_socket_reader(Kind("openai.responses", "chat")).client(wrapped)] == [None]
