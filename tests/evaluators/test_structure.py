from __future__ import annotations

import pytest

from evaluators.sample import Sample
from evaluators.structure import judge

PERSON = {"type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"], "additionalProperties": False}


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ('{"a": [1, 2.5e3, null, "\u00e9"]}', "pass"),
        ("  7\n", "pass"),
        ("Sure! Here is the JSON.", "invalid"),
        ('{"a": 1,}', "invalid"),
        ("{'a': 1}", "invalid"),
        ('{"a": 1} and more', "invalid"),
        ('{"a": "unclo', "cut"),
        ('{"a": [1, 2', "cut"),
        ('```json\n{"a": 1}\n```', "fenced"),
        ('```json\n{"a": \n```', "invalid"),
        ("[" * 100_000, "too_deep"),
        ('{"a": "\ud800"}', "pass"),
    ],
)
def test_json_that_was_asked_for(text: str, label: str) -> None:
    assert judge(Sample(text=text, asked="json")).label == label


def test_nothing_is_said_where_no_json_was_asked_for_or_only_a_part_is_here() -> None:
    assert judge(Sample(text="{")) is None
    assert judge(Sample(text="{", asked="text")) is None
    assert judge(Sample(text="{", asked="json", is_cut=True)) is None
    assert judge(Sample(text=" ", asked="json")) is None


@pytest.mark.parametrize(
    ("text", "label", "word"),
    [
        ('{"age": 3}', "pass", ""),
        ('{"age": "3"}', "schema", "`type`"),
        ("{}", "schema", "`required`"),
        ('{"age": 3, "b": 1}', "schema", "`additional"),
    ],
)
def test_the_schema_is_kept_to(text: str, label: str, word: str) -> None:
    verdict = judge(Sample(text=text, schema=PERSON))
    assert verdict.label == label
    assert word in verdict.explanation


def test_what_cannot_be_checked_is_no_fault() -> None:
    for schema in ({"$ref": "http://127.0.0.1:9/a"}, {"type": "no type"}, {"$ref": "#"}, []):
        verdict = judge(Sample(text="{}", schema=schema))
        assert verdict.label == "unchecked"
        assert not verdict.failed


def test_the_explanation_quotes_nothing() -> None:
    verdict = judge(Sample(text='{"age": "confidential"}', schema=PERSON))
    assert "confidential" not in verdict.explanation
