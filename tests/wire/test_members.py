"""The members of an object as places: whatever JSON stands there, and however it is written."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.wire.members import after_bracket, find_members, repeats_keys

TEXT = st.text(max_size=6) | st.sampled_from(['"', "\\", '\\"', "}", "{", "],[", ",", ":", "\n", "\u2028"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=12,
)
GAP = st.sampled_from(["", " ", "\n", "\t \r\n"])


@st.composite
def objects(draw: st.DrawFn) -> tuple[bytes, list[tuple[str, object]]]:
    """The bytes of an object, and its members in order; keys may stand twice."""
    pairs = draw(st.lists(st.tuples(st.sampled_from(["a", "b", "c\\", '"']) | TEXT, JSON), max_size=6))
    ascii_only = draw(st.booleans())
    indent = draw(st.sampled_from([None, 2]))
    written = [
        f"{draw(GAP)}{json.dumps(key, ensure_ascii=ascii_only)}{draw(GAP)}:{draw(GAP)}"
        f"{json.dumps(value, ensure_ascii=ascii_only, indent=indent)}{draw(GAP)}"
        for key, value in pairs
    ]
    text = f"{draw(GAP)}{{{','.join(written) or draw(GAP)}}}{draw(GAP)}"
    return text.encode("utf-8"), pairs


@given(objects(), st.binary(max_size=5), st.binary(max_size=5))
def test_every_member_is_found_where_it_stands(written: tuple[bytes, list], before: bytes, behind: bytes) -> None:
    body, pairs = written
    found = find_members(body)
    assert found is not None
    assert [(key, json.loads(body[start:end])) for key, start, end in found] == pairs
    inside = before + body + behind
    moved = find_members(inside, len(before), len(before) + len(body))
    assert moved is not None
    assert [(key, inside[start:end]) for key, start, end in moved] == [(key, body[start:end]) for key, start, end in found]
    assert body[: after_bracket(body)].strip() == b"{"


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"null", b"5", b"{", b'{"a":1', b'{"a":1}x', b'{"a" 1}', b'{"a":1,}', b"\xff", b"{'a':1}", b'{"\xff":1}']
)
def test_what_is_no_object_has_none(body: bytes) -> None:
    assert find_members(body) is None


def test_values_that_look_like_the_last_of_their_name_are_told_apart() -> None:
    body = b'{"a":123,"a":[1,{"a":"]}\\""}],"a":"x\\"","a":true,"a":-1.5e3,"a":12}'
    found = find_members(body)
    assert found is not None
    assert [body[start:end] for _, start, end in found] == [b"123", b'[1,{"a":"]}\\""}]', b'"x\\""', b"true", b"-1.5e3", b"12"]


def test_a_key_written_with_escapes_is_the_same_key() -> None:
    assert find_members(b'{"m\\u0061x":1}') == [("max", 12, 13)]


@pytest.mark.parametrize(
    ("body", "repeats"),
    [
        (b'{"n":1,"m":[{"n":1},{"n":1}]}', False),
        (b'{"n":1,"m":2,"n":1}', True),
        (b'{"n":100,"m":2,"\\u006e":1}', True),
        (b'{"n":1,"m":2,"N":8}', True),
        (b'{"generationConfig":{"candidateCount":8,"candidateCount":1}}', True),
        (b'{"options":{"num_predict":1,"NUM_predict":2}}', True),
        (b'{"metadata":{"a":1,"A":2},"generationConfig":{"a":1},"generation_config":{"a":1}}', False),
        (b"{}", False),
        (b"[1,1]", False),
        (b"nonsense", False),
    ],
)
def test_whether_a_body_may_be_read_in_two_ways(body: bytes, repeats: bool) -> None:
    assert repeats_keys(body) is repeats
