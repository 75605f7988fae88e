"""The Prometheus rules: right by promtool, each alert with cases in which it fires and in which it is silent, and each with its runbook."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "dashboards" / "rules"
FILES = sorted([*RULES.glob("*.yml"), *RULES.glob("alerts/*.yml")])
TESTS = sorted(RULES.glob("tests/*.yml"))
RUNBOOKS = (ROOT / "docs" / "runbooks.md").read_text(encoding="utf-8")
# Prometheus collects its garbage while it counts; a test of seconds need not.
HASTE = {"GOGC": "off", "GOMEMLIMIT": "512MiB"}


def read(path: Path) -> dict[str, Any]:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


STANZAS = [rule for path in FILES for group in read(path)["groups"] for rule in group["rules"]]
ALERTS = {rule["alert"]: rule for rule in STANZAS if "alert" in rule}
RECORDS = {rule["record"]: rule for rule in STANZAS if "record" in rule}
CASES = [case for path in TESTS for group in read(path)["tests"] for case in group["alert_rule_test"]]


def promtool(*arguments: object) -> None:
    done = subprocess.run(["promtool", *map(str, arguments)], env={**os.environ, **HASTE}, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_rules_are_right() -> None:
    promtool("check", "rules", *FILES)
    assert len(ALERTS) + len(RECORDS) == len(STANZAS), "a rule stands twice"


@pytest.mark.parametrize("path", TESTS, ids=[path.stem for path in TESTS])
def test_the_alerts_say_what_they_must_and_no_more(path: Path) -> None:
    promtool("test", "rules", path)


@pytest.mark.parametrize("name", ALERTS)
def test_every_alert_fires_in_one_case_and_is_silent_in_another(name: str) -> None:
    cases = [bool(case["exp_alerts"]) for case in CASES if case["alertname"] == name]
    assert True in cases, "no case in which it fires"
    assert False in cases, "no case in which it is silent"


@pytest.mark.parametrize("name", ALERTS)
def test_every_alert_says_how_bad_it_is_what_it_means_and_what_to_do(name: str) -> None:
    alert = ALERTS[name]
    assert name.startswith("Weighbridge") and alert["labels"]["severity"] in ("critical", "warning", "info")
    assert set(alert["annotations"]) == {"summary", "description", "runbook_url"}
    assert alert["annotations"]["runbook_url"] == f"docs/runbooks.md#{name.lower()}"


def test_every_alert_has_its_runbook_and_every_runbook_its_alert() -> None:
    sections = re.findall(r"^### (\w+)\n\n\S.*\n\n\*\*Look\.\*\* .*\n\n\*\*Do\.\*\* ", RUNBOOKS, re.MULTILINE)
    assert sections == re.findall(r"^### (.+)$", RUNBOOKS, re.MULTILINE), "a section lacks what to look at or what to do"
    assert sorted(sections) == sorted(ALERTS)


@pytest.mark.parametrize("name", RECORDS)
def test_what_is_recorded_is_named_level_metric_operation_and_is_used(name: str) -> None:
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*:(weighbridge|gen_ai)_\w+:\w+", name)
    assert any(name in rule["expr"] for rule in STANZAS), "no rule needs it"
