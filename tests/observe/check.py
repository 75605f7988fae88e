"""What panels, alerts and recording rules ask for that a real Prometheus has not, of one scrape job."""

from __future__ import annotations

import json
import urllib.parse
import urllib.request
from typing import Any

from dashboards.expressions import list_expressions
from tests.observe.selectors import Selector, find_selectors
from tests.observe.test_rules import ALERTS, RECORDS

READS = {name: rule["expr"] for name, rule in RECORDS.items()}
# The endings that only a broken Weighbridge brings about: that the label is there is checked, and that the outcomes exist elsewhere.
ONLY_WHEN_BROKEN = {"weighbridge_internal|weighbridge_ledger_away|weighbridge_journal_away"}
# Families that no part of Weighbridge writes yet. One that is written must leave this list: `test_what_is_not_expected_yet_is_not_there`.
NOT_YET = {
    "weighbridge_review_oldest_seconds",
    "weighbridge_review_queue_calls",
    "weighbridge_reviews_total",
}


def ask(prometheus: str, path: str, **parameters: Any) -> Any:
    """The data of one answer of Prometheus's API."""
    with urllib.request.urlopen(f"http://{prometheus}/api/v1/{path}?{urllib.parse.urlencode(parameters)}", timeout=20) as response:
        return json.load(response)["data"]


def read_series(prometheus: str, job: str) -> list[dict[str, str]]:
    """All series of a job, and those of the alerts."""
    return ask(prometheus, "series", **{"match[]": f'{{job="{job}"}}'})


def list_asked(job: str) -> dict[str, str]:
    """Every expression, by what asks it."""
    asked = {f"{each.dashboard} / {each.panel} {each.place}": each.expr for each in list_expressions({"job": job})}
    return asked | {name: ALERTS[name]["expr"] for name in ALERTS} | READS


def find_missing(prometheus: str, job: str) -> dict[str, set[str]]:
    """Which selectors have no series, and who asks for them."""
    series = read_series(prometheus, job)
    by_name: dict[str, list[dict[str, str]]] = {}
    for one in series:
        by_name.setdefault(one["__name__"], []).append(one)
    missing: dict[str, set[str]] = {}
    for who, expression in list_asked(job).items():
        for selector in find_selectors(expression, READS):
            wanted = _loosen(selector)
            if wanted.metric not in NOT_YET and not any(map(wanted.fits, by_name.get(wanted.metric, []))):
                missing.setdefault(str(wanted), set()).add(who)
    return missing


def _loosen(selector: Selector) -> Selector:
    """Without the job, which is asked for already, and with any value where only a broken Weighbridge has the one asked for."""
    asked = (matcher for matcher in selector.matchers if matcher[0] != "job")
    return Selector(selector.metric, tuple((one[0], "!=", "") if one[2] in ONLY_WHEN_BROKEN else one for one in asked))


def find_empty(prometheus: str, job: str) -> set[str]:
    """The panels whose expressions answer nothing, of those whose every metric is expected; marks aside, which are there when something happened."""
    empty = set()
    for each in list_expressions({"job": job}):
        metrics = {selector.metric for selector in find_selectors(each.expr, READS)}
        if not each.panel.startswith("annotation ") and not metrics & NOT_YET and not ask(prometheus, "query", query=each.expr)["result"]:
            empty.add(f"{each.dashboard} / {each.panel} {each.place}: {each.expr}")
    return empty
