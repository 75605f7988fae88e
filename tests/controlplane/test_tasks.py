"""Tasks: what each took, what they cost on the average, and what is left for them."""

from __future__ import annotations

import msgspec
import pytest

from proxy.controlplane.reports import Report, Scope
from proxy.controlplane.store import Loaded, Store
from proxy.controlplane.tasks import task_costs, tasks
from proxy.record import TaskEvent
from proxy.toll.terms import Balance
from tests.controlplane.conftest import START_NS, call

S = 10**9


def rows(report: Report) -> list[dict]:
    return [dict(zip(report.columns, row, strict=True)) for row in report.rows]


def tell(task: str, second: int, **other: object) -> bytes:
    return msgspec.json.encode(TaskEvent(task=task, at_ns=START_NS + second * S, by="jo", **other))


@pytest.fixture
def filled(store: Store) -> Store:
    calls = [
        call(0, task="good", agent="a", cost_nano_usd=100),
        call(1, task="good", agent="b", cost_nano_usd=200),
        call(2, task="bad", agent="a", cost_nano_usd=400, outcome="upstream_error"),
        call(3, task="bad", agent="a", cost_nano_usd=None, cost_source="none"),
        call(4, task="open", agent="a", cost_nano_usd=50),
        call(5, agent="a", cost_nano_usd=10**9),
    ]
    told = [
        tell("good", 1, usd=0.1, tokens=5000, agent="a"),
        tell("good", 9, outcome="succeeded"),
        tell("good", 10, usd=0.29),
        tell("bad", 9, outcome="failed"),
        tell("early", 20, calls=7, agent="z"),
    ]
    store.load(Loaded(rows={"calls": [one[8:-2] for one in calls], "tasks": told}))
    return store


def balance(task: str, unit: str, limit: int | None, spent: int, reserved: int = 0) -> Balance:
    return Balance(
        budget="task",
        unit=unit,
        mode="enforce",
        per="lifetime",
        scope={"task": task},
        limit=limit,
        spent=spent,
        reserved=reserved,
        starts_ns=None,
        resets_at_ns=None,
    )


def test_a_task_has_its_calls_its_last_budget_and_what_is_left(filled: Store) -> None:
    left = [balance("good", "usd", 290_000_000, 300, 60), balance("good", "tokens", None, 9), balance("early", "calls", 7, 0)]
    made = tasks(filled.query, 20, Scope(), left)
    assert [row["task"] for row in rows(made)] == ["early", "open", "bad", "good"]
    found = {row["task"]: row for row in rows(made)}
    good, early = found["good"], found["early"]
    assert (good["calls"], good["cost_nano_usd"], good["outcome"], good["agents"], good["agent"]) == (2, 300, "succeeded", 2, "b")
    assert (good["limit_nano_usd"], good["left_nano_usd"], good["limit_tokens"], good["left_tokens"]) == (290_000_000, 289_999_640, 5000, None)
    assert (good["first_seen_ns"], good["last_seen_ns"]) == (START_NS, START_NS + S)
    assert (found["bad"]["errors"], found["bad"]["unpriced"], found["open"]["outcome"]) == (1, 1, None)
    assert (early["calls"], early["cost_nano_usd"], early["agent"], early["limit_calls"], early["left_calls"]) == (0, 0, "z", 7, 7)


def test_the_note_has_the_totals_of_all_tasks_also_of_those_not_shown(filled: Store) -> None:
    made = tasks(filled.query, 1, Scope(), [])
    assert len(made.rows) == 1
    assert made.note == (
        "3 with calls, 2 closed, 1 succeeded; 1.67 calls a task; $0.00000025 a task; $0.00000075 a successful task; calls of unknown cost left out: 1"
    )


def test_filters_are_about_calls_and_times_also_about_when_a_task_was_first_told_of(filled: Store) -> None:
    assert [row["task"] for row in rows(tasks(filled.query, 20, Scope(filters={"agent": "b"}), []))] == ["good"]
    assert [row["task"] for row in rows(tasks(filled.query, 20, Scope(since_ns=START_NS + 4 * S), []))] == ["early", "bad", "open"]
    assert [row["task"] for row in rows(tasks(filled.query, 20, Scope(since_ns=START_NS + 4 * S, until_ns=START_NS + 5 * S), []))] == ["open"]


def test_costs_a_task_by_any_dimension(filled: Store) -> None:
    (whole,) = rows(task_costs(filled.query, [], Scope()))
    assert (whole["tasks"], whole["closed"], whole["succeeded"], whole["calls"], whole["cost_nano_usd"]) == (3, 2, 1, 5, 750)
    assert (whole["cost_per_task_nano_usd"], whole["cost_per_success_nano_usd"], whole["calls_per_task"]) == (250, 750, 1.67)
    by_agent = {row["agent"]: row for row in rows(task_costs(filled.query, ["agent"], Scope()))}
    assert (by_agent["a"]["tasks"], by_agent["b"]["tasks"], by_agent["b"]["cost_per_success_nano_usd"]) == (3, 1, 200)


def test_without_tasks_there_is_nothing_to_divide(store: Store) -> None:
    made = tasks(store.query, 20, Scope(), [])
    assert (made.rows, made.note) == ([], "")
    (whole,) = rows(task_costs(store.query, [], Scope()))
    assert (whole["tasks"], whole["cost_per_task_nano_usd"], whole["calls_per_task"]) == (0, None, None)
