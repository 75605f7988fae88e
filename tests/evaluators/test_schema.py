from __future__ import annotations

import time

import pytest

from evaluators.schema import MOST_ANSWER_BYTES, Unusable, check, find, measure_depth

TREE = {"$defs": {"node": {"type": "object", "properties": {"below": {"type": "array", "items": {"$ref": "#/$defs/node"}}}}}, "$ref": "#/$defs/node"}


def test_a_tree_that_refers_to_itself_is_checked() -> None:
    assert check(TREE, {"below": [{"below": []}]}, 30) is None
    assert check(TREE, {"below": [{"below": [3]}]}, 30) == "type"


def test_references_within_the_schema_are_followed() -> None:
    schema = {"definitions": {"a/b": {"type": "integer"}}, "items": {"$ref": "#/definitions/a~1b"}}
    assert check(schema, [1], 3) is None
    assert check(schema, ["1"], 5) == "type"
    assert find({"a": [{"b": 1}]}, "#/a/0/b") == 1


def doubling(levels: int) -> dict:
    """Each definition asks twice for the next: 2 to the power of `levels` places."""
    definitions = {f"d{level}": {"allOf": [{"$ref": f"#/$defs/d{level + 1}"}] * 2} for level in range(levels)}
    return {"$defs": {**definitions, f"d{levels}": {"type": "integer"}}, "$ref": "#/$defs/d0"}


def branching() -> dict:
    """Checks each part of an answer twice for each time it checks what that part stands in."""
    again = {"properties": {"a": {"$ref": "#"}}}
    return {"allOf": [again, dict(again)]}


def nested(levels: int) -> dict:
    schema: dict = {"type": "object"}
    for _ in range(levels):
        schema = {"properties": {"a": schema}}
    return schema


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"allOf": [{"$ref": "#"}]},
        {"$defs": {"a": {"not": {"$ref": "#/$defs/b"}}, "b": {"anyOf": [{"$ref": "#/$defs/a"}]}}, "$ref": "#/$defs/a"},
        {"$ref": "https://example.com/schema"},
        {"$ref": "file:///etc/passwd"},
        {"properties": {"a": {"$id": "http://127.0.0.1/", "$ref": "#/x"}}},
        {"$dynamicRef": "#a"},
        {"$ref": "#/nowhere"},
        {"$ref": 3},
        {"pattern": "(?=a)(a|a)*b"},
        {"pattern": "("},
        {"type": 3},
        doubling(30),
        nested(60),
        {"enum": list(range(30_000))},
        "no schema",
        None,
    ],
)
def test_a_schema_that_promises_nothing_is_not_used(schema: object) -> None:
    started = time.process_time()
    with pytest.raises(Unusable):
        check(schema, {}, 2)
    assert time.process_time() - started < 5  # for ever, where it were used


def test_an_answer_that_makes_a_schema_costly_is_not_checked() -> None:
    deep: dict = {}
    for _ in range(40):
        deep = {"a": deep}
    assert check(branching(), {"a": {"a": {}}}, 20) is None
    with pytest.raises(Unusable):
        check(branching(), deep, 300)
    with pytest.raises(Unusable):
        check({}, 1, MOST_ANSWER_BYTES + 1)


def test_a_pattern_takes_no_time_whatever_it_is() -> None:
    assert check({"pattern": "^(a+)+$"}, "a" * 50_000 + "!", 50_003) == "pattern"


@pytest.mark.parametrize(("answer", "depth"), [(1, 0), ([], 1), ({"a": 1}, 1), ([[], [[]]], 3), ({"a": [{}]}, 3)])
def test_depth(answer: object, depth: int) -> None:
    assert measure_depth(answer, 10) == depth


def test_depth_stops_at_its_bound() -> None:
    deep: list = []
    for _ in range(100_000):
        deep = [deep]
    assert measure_depth(deep, 10) == 11
    while deep:  # a chain this long is let go from its outer end, or its end would recurse
        deep = deep[0]
