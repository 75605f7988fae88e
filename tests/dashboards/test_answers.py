"""Answers of Prometheus and of reports, put together as Grafana does it."""

from __future__ import annotations

import datetime
import urllib.parse
from typing import Any

from dashboards.answers import Series, Source
from tests.dashboards.conftest import PANELS

NOW_S = 1_790_000_000.0


def make_source(answers: dict[str, Any]) -> tuple[Source, list[str]]:
    """(a source that answers a query by the metric in it, a report by its name; the addresses it was asked)."""
    asked: list[str] = []

    def fetch(address: str) -> dict[str, Any]:
        asked.append(urllib.parse.unquote_plus(address))
        return next((answer for name, answer in answers.items() if name in asked[-1]), {"data": {"result": []}, "rows": []})

    return Source("http://prometheus", "http://admin", NOW_S - 600, NOW_S, {"agent": "a b", "__range": "10m"}, fetch), asked


def test_series_have_the_names_of_their_labels() -> None:
    result = [{"metric": {"result": name}, "values": [[NOW_S, "2.5"]]} for name in ("upstream", "ok")]
    source, asked = make_source({"query_range": {"data": {"result": result}}})
    assert source.read_series(PANELS["agent: Calls by result"]) == [Series("ok", [NOW_S], [2.5]), Series("upstream", [NOW_S], [2.5])]
    assert 'agent=~"a b"' in asked[0] and "start=1789999400.0&end=1790000000.0&step=5" in asked[0]


def test_a_table_is_joined_named_and_sorted() -> None:
    def answer(**values: str) -> dict[str, Any]:
        return {"data": {"result": [{"metric": {"agent": name, "team": "t"}, "value": [NOW_S, value]} for name, value in values.items()]}}

    source, _ = make_source({"label_replace": answer(calm="0", wild="4"), "cost_usd": answer(calm="1.5")})
    rows = source.read_rows(PANELS["overview: Agents"])
    assert rows == [{"Agent": "wild", "Team": "t", "Status": 4.0}, {"Agent": "calm", "Team": "t", "Status": 0.0, "Cost": 1.5}]


def test_a_report_is_read_by_the_types_of_its_columns() -> None:
    row = {"task": "t", "outcome": None, "calls": 3, "errors": 0, "cost_usd": "0.25", "last_seen": "2026-11-21T12:00:00.000Z"}
    source, asked = make_source({"/api/tasks": {"rows": [row]}})
    (read,) = source.read_rows(PANELS["agent: Tasks"])
    moment = datetime.datetime(2026, 11, 21, 12, tzinfo=datetime.UTC)
    assert read == {"Task": "t", "Outcome": None, "Calls": 3.0, "Errors": 0.0, "Cost": 0.25, "Last call": moment}
    assert asked[0].startswith("http://admin/api/tasks?agent=a b&since=2026-09-21T")


def test_bars_are_one_series_a_name_and_unknown_money_is_none_of_them() -> None:
    rows = [{"day": "2026-11-20", "agent": "a", "cost_usd": "1.5"}, {"day": "2026-11-20", "agent": None, "cost_usd": None}]
    source, _ = make_source({"/api/report": {"rows": rows}})
    midnight = datetime.datetime(2026, 11, 20, tzinfo=datetime.UTC).timestamp()
    assert source.read_series(PANELS["spend: Spend a day"]) == [Series("a", [midnight], [1.5])]


def test_a_figure_may_be_missing() -> None:
    source, _ = make_source({"review_queue": {"data": {"result": [{"metric": {}, "value": [NOW_S, "7"]}]}}, "/api/report": {"rows": [{"calls": 5}]}})
    names = ("overview: Review queue", "overview: Calls a minute", "spend: Calls")
    assert [source.read_figure(PANELS[name]) for name in names] == [7.0, None, 5.0]
