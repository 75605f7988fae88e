"""What is taken out of a long request."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.controlplane.inspection.question import read_question
from proxy.wire.outline import make_outline

MOST = 32 * 1024
LONG = "The mill is on the other side of the river. " * 2000
TOOL = {"type": "function", "function": {"name": "find", "parameters": {"type": "object", "required": ["id"]}}}
ANTHROPIC_TOOL = {"name": "find", "input_schema": {"type": "object", "required": ["id"]}}
SHAPE = {"type": "object", "required": ["a"]}
TURNS = [
    {"role": "user", "content": LONG}, {"role": "assistant", "content": LONG},
    {"role": "user", "content": [{"type": "text", "text": "Where is the mill, and is it the one that the monks had?"}]},
    {"role": "assistant", "content": LONG}, {"role": "user", "content": [{"type": "tool_result", "content": LONG}]},
]  # fmt: skip
BODIES = {
    "chat": {
        "messages": [{"role": "system", "content": "Be brief."}, *TURNS], "tools": [TOOL],
        "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": SHAPE}},
    },
    "responses": {"instructions": "Be brief.", "input": TURNS, "text": {"format": {"type": "json_schema", "schema": SHAPE}}},
    "text": {"input": LONG + "and where is the mill that was built by the monks?", "text": {"format": {"type": "json_object"}}},
    "anthropic": {
        "system": "Be brief.", "messages": TURNS, "tools": [ANTHROPIC_TOOL], "output_config": {"format": {"type": "json_schema", "schema": SHAPE}},
    },
    "gemini": {
        "contents": [{"parts": [{"text": LONG}]}, {"parts": [{"text": "Where is the mill?"}]}, {"role": "model", "parts": [{"text": LONG}]}],
        "generationConfig": {"responseMimeType": "application/json", "responseJsonSchema": SHAPE},
        "tools": [{"functionDeclarations": [{"name": "find"}]}],
    },
    "stored": {"prompt": {"id": "p-1"}, "input": TURNS},
    "ollama": {"prompt": LONG, "format": SHAPE},
}  # fmt: skip


@pytest.mark.parametrize("name", BODIES)
def test_it_asks_what_the_whole_request_asks(name: str) -> None:
    body = json.dumps(BODIES[name]).encode()
    outline = make_outline(body, MOST)
    assert len(body) > 65536 and len(outline.body) <= MOST and outline.left_out == []
    whole, part = read_question(body), read_question(outline.body, outline.left_out)
    assert (part.asked, part.schema, part.offered, part.digest) == (whole.asked, whole.schema, whole.offered, whole.digest)
    assert part.language == whole.language
    assert part.prompt and whole.prompt.endswith(part.prompt)


@pytest.mark.parametrize(
    ("member", "left_out", "known"),
    [
        ({"response_format": {"type": "json_schema", "json_schema": {"schema": {"title": LONG}}}}, "format", (None, True, True, True)),
        ({"tools": [{**TOOL, "x": LONG}]}, "tools", ("json", False, False, True)),
        ({"messages": [{"role": "system", "content": LONG}, *TURNS]}, "rules", ("json", True, False, True)),
        ({"messages": [{"role": "user", "content": LONG}]}, "turn", ("json", True, True, False)),
    ],
)
def test_what_does_not_fit_is_named_and_not_known(member: dict, left_out: str, known: tuple) -> None:
    outline = make_outline(json.dumps({**BODIES["chat"], **member}).encode(), MOST)
    assert outline.left_out == [left_out]
    question = read_question(outline.body, outline.left_out)
    assert (question.asked, question.offered is not None, question.digest is not None, question.prompt is not None) == known


def test_what_cannot_be_read_has_none() -> None:
    for body in (b"", b"[]", b'{"messages": ', b"{" + b" " * (4 * 1024 * 1024) + b"}", b"[" * 100_000):
        assert make_outline(body, MOST) == (None, ["all"])


def test_odd_turns_are_passed_over() -> None:
    turns = [7, {"role": 5}, {"role": "user", "content": ""}, {"role": "user", "content": "Hello"}, None, {"role": "user", "content": 5}]
    outline = make_outline(json.dumps({"messages": turns}).encode(), MOST)
    assert json.loads(outline.body) == {"messages": [turns[3]]}


@given(st.binary() | st.recursive(st.none() | st.text() | st.integers(), lambda below: st.lists(below) | st.dictionaries(
    st.sampled_from(["messages", "input", "prompt", "tools", "role", "content", "system", "text"]), below), max_leaves=20,
).map(lambda value: json.dumps(value).encode()))  # fmt: skip
def test_no_body_raises_and_each_outline_is_json_within_its_bound(body: bytes) -> None:
    outline = make_outline(body, 64)
    assert outline.body is None or (isinstance(json.loads(outline.body), dict) and len(outline.body) <= 64 + 100)
