"""Tool calls that surely go against what was offered."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluators.schema import Unusable, check
from proxy.wire.arguments import offends

SCHEMA = {
    "type": "object", "required": ["id"], "additionalProperties": False,
    "properties": {
        "id": {"type": "integer"}, "name": {"type": ["string", "null"]}, "kind": {"enum": ["a", "b"]}, "at": {"type": "number"},
        "on": {"type": "boolean"}, "list": {"type": "array"},
        "of": {"$ref": "#/$defs/x", "type": "string"}, "some": {"type": "STRING", "nullable": True}, "odd": {"type": "uri"},
    },
}  # fmt: skip


def offer(schema: object = SCHEMA, name: str = "f") -> bytes:
    return json.dumps({"messages": [], "tools": [{"type": "function", "function": {"name": name, "parameters": schema}}]}).encode()


@pytest.mark.parametrize(
    ("given", "wrong"),
    [
        ({"id": 1}, False), ({"id": 1.0}, False), ({"id": 1.5}, True), ({"id": "1"}, True), ({"id": True}, True), ({}, True), ({"id": None}, True),
        ({"id": 1, "name": None, "kind": "a", "at": 1, "on": False, "list": [], "some": None}, False), ({"id": 1, "at": "1"}, True),
        ({"id": 1, "kind": "c"}, True), ({"id": 1, "on": 1}, True), ({"id": 1, "other": 1}, True), ({"id": 1, "of": 5}, False),
        ({"id": 1, "some": 5}, True), ({"id": 1, "odd": 5}, False), ([], False), ("text", False),
    ],
)  # fmt: skip
def test_what_is_seen_at_a_glance(given: object, wrong: bool) -> None:
    assert offends(offer(), [("f", json.dumps(given))]) is wrong
    assert not offends(offer(name="g"), [("f", json.dumps(given))]), "of a tool that is not known nothing is said"


ONE = {"type": "object", "required": ["id"]}


@pytest.mark.parametrize(
    "request_",
    [
        {"tools": [{"name": "f", "input_schema": ONE}]}, {"tools": [{"type": "function", "name": "f", "parameters": ONE}]},
        {"functions": [{"name": "f", "parameters": ONE}]}, {"toolConfig": {"tools": [{"toolSpec": {"name": "f", "inputSchema": {"json": ONE}}}]}},
        {"tools": [{"functionDeclarations": [{"name": "f", "parameters": ONE}]}]},
        {"tools": [{"function_declarations": [{"name": "f", "parametersJsonSchema": ONE}]}]},
    ],
)  # fmt: skip
def test_tools_of_every_format(request_: dict) -> None:
    body = json.dumps(request_).encode()
    assert offends(body, [("f", "{}")]) and offends(body, [("f", "")]) and not offends(body, [("f", '{"id": 1}')])


def test_what_cannot_be_told_offends_nobody() -> None:
    twice = json.dumps({"tools": [{"name": "f", "input_schema": ONE}, {"name": "f", "input_schema": ONE}]}).encode()
    referring, large = offer({"$ref": "#/x", "required": ["id"]}), offer({"required": ["id"], "title": "x" * 70_000})
    endless = offer(ONE)[:-1] + b" " * 1_100_000 + b"}"
    for body in (b"", b"[]", b'{"tools": 5}', b'{"tools": [{"name": 5}]}', twice, referring, large, endless, offer(None), offer("x"), b"[" * 100_000):
        assert not offends(body, [("f", "{}")])


_VALUE = st.none() | st.booleans() | st.integers(-3, 3) | st.floats(-3, 3) | st.sampled_from(["a", "b", ""]) | st.lists(st.none(), max_size=1)
_KIND = st.sampled_from(["string", "number", "integer", "boolean", "array", "object", "null"])
_KINDS = _KIND | st.lists(_KIND, min_size=1, max_size=2, unique=True)
_PROPERTY = st.fixed_dictionaries({}, optional={"type": _KINDS, "enum": st.lists(_VALUE, min_size=1, max_size=2)})
_NAMES = st.sampled_from(["a", "b", "c"])
_OUTERMOST = {
    "properties": st.dictionaries(_NAMES, _PROPERTY), "required": st.lists(_NAMES, max_size=2, unique=True), "additionalProperties": st.booleans(),
}  # fmt: skip


@given(st.fixed_dictionaries({}, optional=_OUTERMOST), st.dictionaries(_NAMES, _VALUE))
def test_whatever_offends_here_offends_a_whole_validator(schema: dict, given: dict) -> None:
    written = json.dumps(given)
    if offends(offer(schema), [("f", written)]):
        try:
            assert check(schema, given, len(written)) is not None
        except Unusable:
            return
