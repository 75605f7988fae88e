"""Prompts of every wire format become messages with roles and parts; what is none becomes a message of the user."""

from __future__ import annotations

import json

import pytest

from proxy.controlplane.traces.messages import write_input, write_output

HI = [{"type": "text", "content": "hi"}]


@pytest.mark.parametrize(
    ("body", "messages", "system"),
    [
        ({"messages": [{"role": "system", "content": "be"}, {"role": "user", "content": "hi"}]}, [("system", "be"), ("user", "hi")], None),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}], "system": "be"}, [("user", "hi")], "be"),
        ({"contents": [{"role": "user", "parts": [{"text": "hi"}]}], "systemInstruction": {"parts": [{"text": "be"}]}}, [("user", "hi")], "be"),
        ({"input": "hi", "instructions": "be"}, [("user", "hi")], "be"),
        ({"input": [{"role": "user", "content": [{"type": "input_text", "text": "hi"}]}]}, [("user", "hi")], None),
        ({"prompt": "hi"}, [("user", "hi")], None),
        ({"input": ["hi", "ho"]}, [("user", "hi"), ("user", "ho")], None),
    ],
)
def test_every_format_is_read(body: dict, messages: list, system: str | None) -> None:
    written, instructions = write_input(json.dumps(body))
    assert json.loads(written or "") == [{"role": role, "parts": [{"type": "text", "content": text}]} for role, text in messages]
    assert (instructions and json.loads(instructions)) == (system and [{"type": "text", "content": system}])


def test_what_is_no_text_is_named_and_tools_are_calls() -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:x"}}
    call = {"id": "c", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    body = {"messages": [{"role": "user", "content": [picture, "hi"]}, {"role": "assistant", "content": None, "tool_calls": [call, "?"]}]}
    first, second = json.loads(write_input(json.dumps(body))[0] or "")
    assert first["parts"] == [{"type": "image_url"}, *HI] and "data:x" not in json.dumps(first)
    assert second["parts"] == [{"type": "tool_call", "id": "c", "name": "look", "arguments": "{}"}]
    used = {"messages": [{"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "look", "input": {"a": 1}}]}]}
    assert json.loads(write_input(json.dumps(used))[0] or "")[0]["parts"][0]["arguments"] == {"a": 1}


@pytest.mark.parametrize("prompt", ['{"messages": [{"role": "us', "hi", "[1]", '"x"'])
def test_what_is_cut_is_one_message(prompt: str) -> None:
    assert json.loads(write_input(prompt)[0] or "") == [{"role": "user", "parts": [{"type": "text", "content": prompt}]}]


def test_nothing_is_no_message() -> None:
    assert write_input("") == (None, None) and write_input("{}") == (None, None)


def test_an_answer_is_one_message() -> None:
    (message,) = json.loads(write_output("hi", '[["look","{}"]]', "stop"))
    assert message == {"role": "assistant", "parts": [*HI, {"type": "tool_call", "name": "look", "arguments": "{}"}], "finish_reason": "stop"}
    assert json.loads(write_output("", '[["loo', None)) == [{"role": "assistant", "parts": [], "finish_reason": ""}]
