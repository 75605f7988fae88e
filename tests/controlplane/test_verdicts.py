"""The report of verdicts."""

from __future__ import annotations

import pytest

from proxy.controlplane.reports import Report, Scope
from proxy.controlplane.store import Loaded, Store
from proxy.controlplane.verdicts import verdicts
from tests.controlplane.conftest import call, make_record


@pytest.fixture
def filled(store: Store) -> Store:
    agents = ["a", "a", "a", "b", "c"]
    store.load(Loaded(rows={"calls": [call(number, agent=agent)[8:-2] for number, agent in enumerate(agents)]}))
    ids = [make_record(number).id for number in range(5)]
    rows = [(ids[number], number, "any", "pass", "none", 1.0, "") for number in range(4)]  # the last call was not inspected
    rows += [(ids[0], 10, "empty", "empty", "error", 0.0, "x"), (ids[1], 11, "empty", "empty", "error", 0.0, "x")]
    rows.append((ids[3], 13, "tone", "pass", "none", 1.0, ""))  # a judge that found nothing
    store.keep_verdicts([*rows, (ids[1], 12, "leaks", "template", "warning", 0.2, "x")])
    return store


def rows(report: Report) -> list[tuple]:
    return [tuple(row) for row in report.rows]


def test_findings_are_shares_of_the_calls_that_were_inspected(filled: Store) -> None:
    made = verdicts(filled.query, ["agent"], Scope())
    assert made.columns == ["agent", "evaluator", "label", "severity", "calls", "inspected", "share", "last_seen_ns"]
    assert rows(made) == [
        ("a", "empty", "empty", "error", 2, 3, 2 / 3, 11),
        ("a", "leaks", "template", "warning", 1, 3, 1 / 3, 12),
        ("b", None, None, None, 0, 1, 0.0, None),
    ]


def test_all_together_and_some_alone(filled: Store) -> None:
    assert rows(verdicts(filled.query, [], Scope())) == [
        ("empty", "empty", "error", 2, 4, 0.5, 11),
        ("leaks", "template", "warning", 1, 4, 0.25, 12),
    ]
    assert rows(verdicts(filled.query, ["model", "agent"], Scope(filters={"agent": "b"})))[0][-3:] == (1, 0.0, None)
    assert rows(verdicts(filled.query, ["agent"], Scope(filters={"agent": "c"}))) == []
