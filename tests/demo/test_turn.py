"""What the simulated model does: which tools it calls, when it stops, and what that costs."""

from __future__ import annotations

import pytest

from proxy.demo.faults import Fault
from proxy.demo.prose import count_tokens
from proxy.demo.turn import Tool, Turn, answer, join_text

WEATHER = Tool("get_weather", {"type": "object", "properties": {"city": {"type": "string"}}})
RESULT = Tool("final_result", {"type": "object", "properties": {"ok": {"type": "boolean"}}})


def ask(last: str, **fields: object) -> list[str]:
    return [call.name for call in answer(Turn(model="m", prompt=last, last=last, tools=[WEATHER, RESULT], **fields)).calls]


@pytest.mark.parametrize(
    ("last", "fields", "called"),
    [
        ("What about get_weather?", {}, ["get_weather"]),
        ("What about forget_weather_x?", {}, []),
        ("What about get_weather?", {"called": ["get_weather"]}, []),
        ("What about get_weather?", {"called": ["get_weather"], "must_call": True}, ["final_result"]),
        ("What about get_weather?", {"may_call": False}, []),
        ("Hello", {}, []),
        ("Hello", {"must_call": True}, ["final_result"]),
        ("Hello", {"forced": "get_weather"}, ["get_weather"]),
        ("get_weather, then final_result", {}, ["get_weather", "final_result"]),
        ("What about get_weather?", {"fault": Fault("empty")}, []),
    ],
)
def test_which_tools_are_called(last: str, fields: dict, called: list[str]) -> None:
    assert ask(last, **fields) == called


def test_tokens_are_counted_from_what_is_said() -> None:
    reply = answer(Turn(model="m", prompt="one two three", last="one two three"))
    assert reply.input_tokens == 3 + 4 + 3 and reply.output_tokens == count_tokens(reply.text) and reply.reasoning_tokens == 0
    thinking = answer(Turn(model="m", prompt="one two three", last="one two three", reasons=True))
    assert thinking.text == reply.text and thinking.output_tokens == reply.output_tokens + thinking.reasoning_tokens > reply.output_tokens


def test_a_limit_cuts_the_text_and_says_so() -> None:
    reply = answer(Turn(model="m", prompt="hello there", last="hello there", most_tokens=5))
    assert reply.cut and reply.output_tokens == 5


def test_long_prompts_are_partly_cached() -> None:
    assert answer(Turn(model="m", prompt="word " * 500, last="")).cached_tokens == 0
    assert 0 < answer(Turn(model="m", prompt="word " * 3000, last="")).cached_tokens < 3000


def test_the_text_of_a_request_is_all_of_its_strings_but_the_binary_ones() -> None:
    assert join_text([{"text": "a", "data": "AAAA"}, ["b", 1, None]]).split("\n") == ["text", "a", "b"]


def test_free_text_tools_get_text() -> None:
    call = answer(Turn(model="m", prompt="x", last="use apply", tools=[Tool("apply", free_text=True)])).calls[0]
    assert isinstance(call.arguments, str) and call.text == call.arguments
