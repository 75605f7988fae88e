from __future__ import annotations

import pytest

from evaluators.empty import judge
from evaluators.sample import Sample, ToolCall


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("", "empty"),
        (" \n\t\u00a0\u3000", "whitespace"),
        ("\u200b\ufeff \u2060", "invisible"),
        ("{}", "empty_json"),
        ("```json\n{}\n```", "empty_json"),
        ("[]", "empty_json"),
        ("```\n```", "placeholder"),
        ("...", "placeholder"),
        ("[Your answer here]", "placeholder"),
        ("{{ answer }}", "placeholder"),
        ("Lorem ipsum dolor sit amet.", "placeholder"),
        ("No", "pass"),
        ("0", "pass"),
        ('{"a": 0}', "pass"),
        ("\u200bA", "pass"),
        ("The placeholder is filled in.", "pass"),
        ("N/A", "pass"),
    ],
)
def test_what_holds_nothing(text: str, label: str) -> None:
    verdict = judge(Sample(text=text))
    assert verdict.label == label
    assert verdict.failed is (label != "pass")


def test_reasoning_alone_is_its_own_sort() -> None:
    assert judge(Sample(reasoning="Let me think")).label == "only_reasoning"
    assert judge(Sample(text=" ", reasoning_tokens=100)).label == "only_reasoning"
    assert judge(Sample(text="A", reasoning_tokens=100)).label == "pass"


def test_a_turn_that_calls_a_tool_needs_no_text() -> None:
    assert judge(Sample(calls=[ToolCall("f")])).label == "pass"
