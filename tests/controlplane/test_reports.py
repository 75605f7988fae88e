"""The named reports on known rows."""

from __future__ import annotations

import pytest

from proxy.controlplane import reports
from proxy.controlplane.reports import BadQuestion, Scope, make_scope, parse_time
from proxy.controlplane.store import Loaded, Store
from tests.controlplane.conftest import START_NS, call

HOUR_NS = 3600 * 10**9


@pytest.fixture
def filled(store: Store) -> Store:
    calls = [
        call(0, agent="a", team="t", cost_nano_usd=1, duration_ns=10, first_token_ns=5),
        call(1, agent="a", team="t", cost_nano_usd=2, duration_ns=30, outcome="upstream_error", status=500),
        call(2, agent="b", cost_nano_usd=None, cost_source="none", usage_source="estimated", model=None, model_asked="new-model"),
        call(3, agent="b", cost_nano_usd=None, cost_source="none", outcome="caller_gone", model="new-model", started_ns=START_NS + 25 * HOUR_NS),
        call(4, agent="c'; DROP TABLE calls; --", cost_nano_usd=10**18),
    ]
    store.load(Loaded(rows={"calls": [one[8:-2] for one in calls]}))
    return store


def rows(report: reports.Report) -> list[dict]:
    return [dict(zip(report.columns, row, strict=True)) for row in report.rows]


def test_a_report_sums_what_is_known_and_counts_what_is_not(filled: Store) -> None:
    found = {row["agent"]: row for row in rows(reports.report(filled.query, ["agent"], Scope()))}
    assert (found["a"]["calls"], found["a"]["errors"], found["a"]["cost_nano_usd"], found["a"]["unpriced"]) == (2, 1, 3, 0)
    assert (found["a"]["duration_p50_ns"], found["a"]["duration_p95_ns"], found["a"]["first_token_p50_ns"], found["a"]["input_tokens"]) == (
        10,
        30,
        5,
        201,
    )
    assert (found["b"]["errors"], found["b"]["cost_nano_usd"], found["b"]["unpriced"], found["b"]["estimated"]) == (0, None, 2, 1)
    assert found["c'; DROP TABLE calls; --"]["cost_nano_usd"] == 10**18


def test_sums_over_any_grouping_are_the_same(filled: Store) -> None:
    whole = rows(reports.report(filled.query, [], Scope()))[0]
    for name in reports.DIMENSIONS:
        parts = rows(reports.report(filled.query, [name], Scope()))
        for figure in ("calls", "errors", "input_tokens", "output_tokens", "unpriced"):
            assert sum(part[figure] for part in parts) == whole[figure], name
        assert sum(part["cost_nano_usd"] or 0 for part in parts) == whole["cost_nano_usd"] == 10**18 + 3


def test_time_and_filters_bound_a_report(filled: Store) -> None:
    scope = make_scope("2026-09-22", None, {}, 0)
    assert rows(reports.report(filled.query, ["day", "hour", "month"], scope))[0]["hour"] == "2026-09-22T15:00Z"
    assert rows(reports.report(filled.query, [], make_scope("25h", "1h", {}, START_NS + 25 * HOUR_NS)))[0]["calls"] == 4
    assert [row["agent"] for row in rows(reports.calls(filled.query, 10, Scope(filters={"model": "new-model"})))] == ["b", "b"]
    assert rows(reports.report(filled.query, [], Scope(filters={"agent": "x' OR 'a'='a"})))[0]["calls"] == 0


def test_the_newest_calls_come_first(filled: Store) -> None:
    assert [row["id"] for row in rows(reports.calls(filled.query, 2, Scope()))] == ["call-3", "call-4"]


def test_the_inventory_has_every_agent(filled: Store) -> None:
    found = {row["agent"]: row for row in rows(reports.agents(filled.query, Scope()))}
    assert list(found)[0] == "b"
    assert (found["b"]["first_seen_ns"], found["b"]["last_seen_ns"], found["b"]["rung"]) == (START_NS + 2 * 10**9, START_NS + 25 * HOUR_NS, "path")
    assert (found["a"]["team"], found["a"]["calls"], found["a"]["errors"]) == ("t", 2, 1)


def test_models_without_a_price_are_listed_by_either_name(filled: Store) -> None:
    (row,) = rows(reports.unpriced(filled.query, Scope()))
    assert (row["model"], row["calls"], row["input_tokens"], row["output_tokens"]) == ("new-model", 2, 205, 20)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("90m", 10**18 - 90 * 60 * 10**9), ("2w", 10**18 - 14 * 24 * HOUR_NS), ("1970-01-02", 24 * HOUR_NS), ("1970-01-01T01:00:00.000001+01:00", 1000)],
)
def test_times_are_spans_or_dates(text: str, expected: int) -> None:
    assert parse_time(text, 10**18) == expected


@pytest.mark.parametrize("text", ["yesterday", "1y", "-5h", "", "2026-13-01", "24 h"])
def test_what_is_no_time_is_told(text: str) -> None:
    with pytest.raises(BadQuestion, match="24h"):
        parse_time(text, 0)


def test_only_known_words_reach_a_statement(filled: Store) -> None:
    for by in (["agent; DROP TABLE calls"], ["id"], ["agent", "agent"]):
        with pytest.raises(BadQuestion):
            reports.report(filled.query, by, Scope())
    with pytest.raises(BadQuestion):
        make_scope(None, None, {"id": "x"}, 0)
    with pytest.raises(BadQuestion, match="caller_gone"):
        make_scope(None, None, {"outcome": "fine"}, 0)
    for last in (0, -1, 10**9):
        with pytest.raises(BadQuestion):
            reports.calls(filled.query, last, Scope())


def test_tags_group_and_filter_and_their_names_are_only_bound(store: Store) -> None:
    name = "st'age\" --"
    calls = [call(0, tags={name: "test"}, key="k"), call(1, tags={name: "test", "x": "y"}, act="clamped", budget="day"), call(2, tags={name: "live"})]
    store.load(Loaded(rows={"calls": [one[8:-2] for one in (*calls, call(3))]}))
    made = reports.report(store.query, ["agent", f"tag:{name}"], make_scope(None, None, {}, 0))
    assert made.columns[:3] == ["agent", f"tag:{name}", "calls"]
    whole = {row[0]: row[1] for row in reports.report(store.query, [f"tag:{name}"], Scope()).rows}
    assert whole == {"test": 2, "live": 1, None: 1}
    filtered = reports.report(store.query, ["key", "act", "budget"], make_scope(None, None, {f"tag:{name}": "test", "tag:x": "y"}, 0))
    assert [row[:4] for row in filtered.rows] == [[None, "clamped", "day", 1]]
    with pytest.raises(BadQuestion, match="tag:NAME"):
        make_scope(None, None, {"tag:": "x"}, 0)
