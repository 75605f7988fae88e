from __future__ import annotations

import pytest

from evaluators.sample import Sample, ToolCall
from evaluators.truncated import judge

PROSE = "The mill was built by the river in those years. It ground the corn of three villages. Nobody knows who drew its plans. " * 2


@pytest.mark.parametrize("finish", ["length", "MAX_TOKENS", "max_tokens", "max_output_tokens", "incomplete", "model_context_window_exceeded"])
def test_the_provider_says_so(finish: str) -> None:
    assert judge(Sample(text="Whole.", finish=finish)).label == "length"
    assert judge(Sample(text="Part", finish=finish, is_cut=True)).label == "length"


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("Here:\n```python\nprint(1)\n", "open_fence"),
        ("Here:\n```python\nprint(1)\n```", "pass"),
        ("- item\n  ```\n  x\n  ```\nDone.", "pass"),
        ("```python\nprint(1)\n", "open_fence"),
        ("```\n```\n```\nprint(1)\n", "open_fence"),
        ("> 1. ```\nprint(1)\n", "open_fence"),
        ("- ```\nprint(1)\n", "open_fence"),
        ("A fence is ``` in a line.", "pass"),
        ('{"a": [1, 2', "open_json"),
        ("[1] Smith, J.", "pass"),
        ("{name} is a placeholder", "pass"),
        ("<answer>It is", "open_tag"),
        ("<answer>It is.</answer>", "pass"),
        ("<p>One paragraph", "pass"),
        (PROSE + "It was driven by the", "mid_clause"),
        (PROSE + "It was driven by water", "mid_sentence"),
        (PROSE, "pass"),
        (PROSE + "\n| a | b", "pass"),
        ("Paris", "pass"),
    ],
)
def test_what_is_left_open(text: str, label: str) -> None:
    assert judge(Sample(text=text)).label == label


def test_an_end_within_a_sentence_is_no_fault() -> None:
    assert not judge(Sample(text=PROSE + "It was driven by water")).failed


def test_a_call_may_follow_an_open_sentence() -> None:
    assert judge(Sample(text=PROSE + "I look it up in the", calls=[ToolCall("f")])).label == "pass"


def test_nothing_is_said_of_nothing_and_of_a_part() -> None:
    assert judge(Sample()) is None
    assert judge(Sample(text="```", is_cut=True)) is None
