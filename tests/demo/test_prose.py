"""Sentences, instances and counts depend on the text alone."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as some

from proxy.demo.prose import count_tokens, cut_text, digest, generator, make_instance, split_text, write_text

PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 5},
        "age": {"type": "integer", "minimum": 18, "maximum": 20},
        "kind": {"enum": ["a", "b"]},
        "born": {"type": "string", "format": "date"},
        "friends": {"type": "array", "minItems": 3, "items": {"$ref": "#/$defs/Friend"}},
        "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
    },
    "$defs": {"Friend": {"type": "OBJECT", "properties": {"ok": {"type": "BOOLEAN"}}}},
}


@given(some.text())
def test_the_pieces_make_the_text(text: str) -> None:
    assert "".join(split_text(text)) == text


@given(some.text(), some.integers(1, 40))
def test_a_cut_text_is_a_beginning_within_the_limit(text: str, most: int) -> None:
    kept, cut = cut_text(text, most)
    assert text.startswith(kept) and count_tokens(kept) <= most
    assert cut == (count_tokens(text) > most)


def test_the_same_prompt_gives_the_same_words_and_another_one_others() -> None:
    assert write_text("Which invoices are overdue?") == write_text("Which invoices are overdue?")
    assert len({write_text(f"Which of {number} invoices are overdue?") for number in range(20)}) == 20
    assert "invoices" in write_text("Which invoices?")


def test_digests_tell_where_a_part_ends() -> None:
    assert digest("ab", "c") != digest("a", "bc")


def test_an_instance_is_what_its_schema_allows() -> None:
    for seed in range(30):
        person = make_instance(PERSON, generator(str(seed)))
        assert list(person) == ["name", "age", "kind", "born", "friends", "note"]
        assert len(person["name"]) <= 5 and 18 <= person["age"] <= 20 and person["kind"] in ("a", "b") and person["born"] == "2026-03-14"
        assert len(person["friends"]) == 3 and isinstance(person["friends"][0]["ok"], bool) and isinstance(person["note"], str)


def test_a_schema_that_contains_itself_comes_to_an_end() -> None:
    many = {"type": "array", "items": {"$ref": "#"}}
    optional = {"type": "object", "properties": {"name": {"type": "string"}, "nodes": many, "next": {"$ref": "#"}}, "required": ["name"]}
    node, depth = make_instance(optional, generator("x")), 0
    while "next" in node:
        node, depth = node["next"], depth + 1
    assert depth > 2 and list(node) == ["name"]
    nullable = {"type": "object", "properties": {"next": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}}, "required": ["next"]}
    assert "{'next': None}" in str(make_instance(nullable, generator("x")))
    endless = {"type": "object", "properties": {"next": {"$ref": "#"}}, "required": ["next"]}
    assert "None" in str(make_instance(endless, generator("x")))


def test_absurd_sizes_are_bounded() -> None:
    assert len(make_instance({"type": "array", "minItems": 10**9}, generator("x"))) == 50
    assert len(make_instance({"type": "string", "minLength": 10**9}, generator("x"))) == 1000
