"""The conditions are those of the alert rules: the same names, severities, times, words and figures."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
import yaml

from proxy.controlplane.notices.channels.wording import write_runbook
from proxy.controlplane.notices.conditions import CONDITIONS, FIGURES
from proxy.notify import ALERTS, Thresholds
from tests.controlplane.notices.conftest import make_alert

ROOT = Path(__file__).resolve().parents[3]
RULES = ROOT / "dashboards" / "rules" / "alerts"
# What needs a day of history, quantiles or the scrape itself is Prometheus's alone.
ONLY_IN_PROMETHEUS = {
    "WeighbridgeAbsent", "WeighbridgeAddsTime", "WeighbridgeAgentSpendSurge", "WeighbridgeControlPlaneCrashLoop", "WeighbridgeDown",
    "WeighbridgeEstimatesOff", "WeighbridgeScrapeLarge", "WeighbridgeScrapeSlow", "WeighbridgeUpstreamFailingSlowly", "WeighbridgeUpstreamSlow",
    "WeighbridgeVerdictsTurned",
}  # fmt: skip
SECONDS = {"s": 1, "m": 60, "h": 3600}
# Which rule holds the figure of a threshold.
IN_RULES = {
    "least_calls": "WeighbridgeAgentFailingFast", "failed_share_fast": "WeighbridgeUpstreamFailingFast", "failed_share": "WeighbridgeAgentFailing",
    "refused_share": "WeighbridgeAgentRefused", "budget_share": "WeighbridgeBudgetNearlySpent", "review_calls": "WeighbridgeReviewBacklog",
    "review_s": "WeighbridgeReviewWaiting", "loop_lag_s": "WeighbridgeLoopLagging",
}  # fmt: skip


def read_rules() -> dict[str, dict]:
    documents = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted(RULES.glob("*.yml"))]
    return {rule["alert"]: rule for document in documents for group in document["groups"] for rule in group["rules"]}


def write_template(text: str) -> str:
    """A template of Prometheus as one of ours: `{{ $labels.agent }}` is {agent}."""
    return re.sub(r"\{\{ \$labels\.(\w+) \}\}", r"{\1}", text)


def differences() -> Iterator[tuple[str, object, object]]:
    rules = read_rules()
    for condition in CONDITIONS:
        rule = rules.get(condition.name, {})
        pause = rule.get("for", "0s")
        yield f"{condition.name} severity", condition.severity, rule.get("labels", {}).get("severity")
        yield f"{condition.name} for", condition.for_s, int(pause[:-1]) * SECONDS[pause[-1]]
        yield f"{condition.name} summary", condition.summary, write_template(rule.get("annotations", {}).get("summary", ""))
        alert = make_alert(name=condition.name)
        yield f"{condition.name} runbook", write_runbook(alert), rule.get("annotations", {}).get("runbook_url")
    yield "rules", set(rules), set(ALERTS) | ONLY_IN_PROMETHEUS


def test_every_condition_is_a_rule_with_the_same_words() -> None:
    assert [found for found in differences() if found[1] != found[2]] == []


def test_the_thresholds_are_the_figures_of_the_rules() -> None:
    rules = read_rules()
    for name, value in msgspec.structs.asdict(Thresholds()).items():
        assert re.search(rf"(>|>=) {value:g}\b", rules[IN_RULES[name]]["expr"]), name


def test_the_config_knows_every_alert_and_each_has_one_condition() -> None:
    assert tuple(condition.name for condition in CONDITIONS) == ALERTS
    assert len(set(ALERTS)) == len(ALERTS)


def test_every_figure_is_asked_for_once() -> None:
    names = [figure.name for figure in FIGURES]
    assert len(set(names)) == len(names)
