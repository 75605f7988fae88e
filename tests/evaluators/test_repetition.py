from __future__ import annotations

import pytest

from evaluators.repetition import find_loop, judge
from evaluators.sample import Sample

WORDS = " ".join(f"word{number * 7919 % 1000} follows" for number in range(60))


def test_a_loop_at_the_end_is_found() -> None:
    verdict = judge(Sample(text=WORDS + " I will now check the next one." * 30))
    assert verdict.label == "loop"
    assert verdict.explanation.endswith("every 31")
    assert 0 <= verdict.score < 0.7


@pytest.mark.parametrize("text", ["a" * 500, "ab" * 400, "na na na na, " * 60, "\n".join(["the same line of some length, again"] * 40)])
def test_loops(text: str) -> None:
    assert judge(Sample(text=text)).failed


def test_a_line_that_comes_again_among_others_is_found() -> None:
    lines = [part for number in range(12) for part in (f"{number * 37} is odd", "and so it goes on with the same words each time")]
    assert judge(Sample(text="\n".join([*lines, "That was all."]))).label == "lines"


@pytest.mark.parametrize("text", [WORDS, WORDS + " the end. " * 3, "\n".join(f"{number}. Item {number * number}" for number in range(200))])
def test_what_is_no_loop(text: str) -> None:
    assert judge(Sample(text=text)).label == "pass"


def test_a_short_text_is_not_judged() -> None:
    assert judge(Sample(text="ha " * 20)) is None


@pytest.mark.parametrize("period", [1, 2, 7, 24, 31, 100])
def test_the_loop_is_measured(period: int) -> None:
    unit = "".join(chr(97 + (index * 7 + index // 3) % 26) for index in range(period - 1)) + "#"
    text = "0123456789!" * 3 + unit * (300 // period + 4)
    found, length = find_loop(text)
    assert found == period
    assert length >= len(unit) * (300 // period + 3)
