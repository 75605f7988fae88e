"""Clauses over names and constraints over time."""

from __future__ import annotations

import pytest

from proxy.pricing.match import Clause, Constraint, spell, spell_date


@pytest.mark.parametrize(
    ("clause", "name", "matches"),
    [
        (Clause("equals", "gpt-5"), "gpt-5", True),
        (Clause("equals", "gpt-5"), "gpt-5-mini", False),
        (Clause("starts_with", "gpt-5"), "gpt-5-mini", True),
        (Clause("starts_with", "gpt-5"), "my-gpt-5", False),
        (Clause("ends_with", "-mini"), "gpt-5-mini", True),
        (Clause("ends_with", "-mini"), "gpt-5-mini-2025", False),
        (Clause("contains", "claude"), "us.anthropic.claude-3", True),
        (Clause("contains", "claude"), "gpt", False),
        (Clause("regex", "^o[134]"), "o3-mini", True),
        (Clause("regex", "^o[134]"), "gpt-o3", False),
        (Clause("or", parts=(Clause("equals", "a"), Clause("equals", "b"))), "b", True),
        (Clause("or", parts=(Clause("equals", "a"), Clause("equals", "b"))), "c", False),
        (Clause("and", parts=(Clause("contains", "a"), Clause("contains", "b"))), "ab", True),
        (Clause("and", parts=(Clause("contains", "a"), Clause("contains", "b"))), "a", False),
    ],
)
def test_clauses(clause: Clause, name: str, matches: bool) -> None:
    assert clause.matches(name) is matches


@pytest.mark.parametrize(("minute", "holds"), [(10 * 1440 - 1, False), (10 * 1440, True), (11 * 1440, True)])
def test_from_a_day_on(minute: int, holds: bool) -> None:
    assert Constraint(from_day=10).holds(minute) is holds


@pytest.mark.parametrize(
    ("span", "minute", "holds"),
    [
        ((30, 990), 29, False),
        ((30, 990), 30, True),
        ((30, 990), 1440 * 7 + 989, True),
        ((30, 990), 990, False),
        ((1320, 60), 1319, False),
        ((1320, 60), 1320, True),
        ((1320, 60), 59, True),
        ((1320, 60), 60, False),
    ],
)
def test_daily_from_a_minute_to_before_another_also_over_midnight(span: tuple[int, int], minute: int, holds: bool) -> None:
    assert Constraint(minutes=span).holds(minute) is holds


@pytest.mark.parametrize(
    ("model", "spellings"),
    [
        ("GPT-5", ["gpt-5"]),
        ("openai/gpt-5", ["openai/gpt-5"]),
        ("anthropic.claude-v1%3A0", ["anthropic.claude-v1:0"]),
        ("models/gemini-2.5-pro", ["models/gemini-2.5-pro", "gemini-2.5-pro"]),
        ("publishers/google/models/gemini-2.5-pro", ["publishers/google/models/gemini-2.5-pro", "gemini-2.5-pro"]),
        ("arn:aws:bedrock:us-east-1:1:inference-profile/us.x", ["arn:aws:bedrock:us-east-1:1:inference-profile/us.x", "us.x"]),
        ("", []),
        ("  ", []),
        ("x" * 513, []),
    ],
)
def test_spellings_of_a_model(model: str, spellings: list[str]) -> None:
    assert list(spell(model)) == spellings


@pytest.mark.parametrize(
    ("name", "long_name"),
    [
        ("gpt-5.2-20251211", "gpt-5.2-2025-12-11"),
        ("gpt-5.2-20251211:batch", "gpt-5.2-2025-12-11:batch"),
        ("gpt-5.2-20250231", "gpt-5.2-20250231"),
        ("gpt-5.2-202512110", "gpt-5.2-202512110"),
        ("gpt-5.2", "gpt-5.2"),
    ],
)
def test_compact_dates_are_written_the_long_way(name: str, long_name: str) -> None:
    assert spell_date(name) == long_name
