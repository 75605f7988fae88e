from __future__ import annotations

import pytest

from evaluators.sample import Sample, Tool, ToolCall
from evaluators.toolcalls import judge

OFFERED = [Tool("add", {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}), Tool("now")]


@pytest.mark.parametrize(
    ("call", "label"),
    [
        (ToolCall("add", '{"a": 1}'), "pass"),
        (ToolCall("now"), "pass"),
        (ToolCall("now", ""), "pass"),
        (ToolCall("now", '{"any": "thing"}'), "pass"),
        (ToolCall("add", '{"a": "1"}'), "schema"),
        (ToolCall("add", "{}"), "schema"),
        (ToolCall("add", '{"a": 1'), "not_json"),
        (ToolCall("add", "[" * 100_000), "not_json"),
        (ToolCall("add", "[1]"), "not_object"),
        (ToolCall("subtract", '{"a": 1}'), "not_offered"),
        (ToolCall(" "), "not_named"),
    ],
)
def test_a_call(call: ToolCall, label: str) -> None:
    assert judge(Sample(calls=[call], offered=OFFERED)).label == label


def test_without_knowledge_of_the_offer_only_the_form_is_judged() -> None:
    assert judge(Sample(calls=[ToolCall("anything", "{}")])).label == "pass"
    assert judge(Sample(calls=[ToolCall("anything", "{")])).label == "not_json"
    assert judge(Sample(calls=[ToolCall("anything", "{}")], offered=[])).label == "not_offered"


def test_the_gravest_fault_is_told_and_the_faulty_are_counted() -> None:
    verdict = judge(Sample(calls=[ToolCall("add", "{}"), ToolCall("mul"), ToolCall("now")], offered=OFFERED))
    assert verdict.label == "not_offered"
    assert verdict.explanation.endswith("faulty calls: 2")
    assert verdict.score == pytest.approx(1 / 3)


def test_nothing_is_said_without_calls() -> None:
    assert judge(Sample(text="x", offered=OFFERED)) is None


def test_arguments_that_are_here_in_part_are_not_judged() -> None:
    assert judge(Sample(calls=[ToolCall("add", '{"a": ')], offered=OFFERED, is_cut=True)).label == "pass"


def test_a_schema_that_cannot_be_used_is_no_fault() -> None:
    assert judge(Sample(calls=[ToolCall("f", '{"a": 1}')], offered=[Tool("f", {"$ref": "http://x/"})])).label == "pass"
