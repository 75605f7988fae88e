"""A whole Weighbridge under traffic, scraped by a real Prometheus: no panel, alert or rule asks for what is not there, and an alert arrives."""

from __future__ import annotations

import contextlib
import json
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.observe import RULES, Program, fit_prometheus, read_config, start_alertmanager, start_prometheus
from tests.observe.check import RECORDS, ask, find_empty, find_missing, read_series
from tests.observe.traffic import SILENT, make_call, make_round, run_provider, settings
from tests.test_supervise import Bridge, serve, wait_until

RENAMED = "weighbridge_attempts_total"
WITHIN_S = 120.0


@dataclass
class Scene:
    """All that runs: `received` are the alerts that arrived at the webhook."""

    bridge: Bridge
    prometheus: Program
    received: list[dict[str, Any]] = field(default_factory=list)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("observe")
    received: list[dict[str, Any]] = []
    webhook = make_webhook(received)
    with pytest.MonkeyPatch.context() as environment, run_provider() as provider:
        environment.setenv("OBSERVED_KEY_1", "sk-observed-key-number-one")
        environment.setenv("OBSERVED_KEY_2", "sk-observed-key-number-two")
        with serve(folder, **settings(provider)) as bridge:
            alertmanager = start_alertmanager(folder, hurry(read_config("alertmanager.yml"), webhook.server_address[1]))
            copy_rules(folder / "rules")
            admin = bridge.admin.removeprefix("http://")
            config = fit_prometheus(read_config("prometheus.yml"), admin, alertmanager.address, folder / "rules")
            prometheus = start_prometheus(folder, watch_closely(config))
            try:
                yield Scene(bridge, prometheus, received)
            finally:
                prometheus.stop()
                alertmanager.stop()
                webhook.shutdown()
                webhook.server_close()


def make_webhook(received: list[dict[str, Any]]) -> ThreadingHTTPServer:
    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.extend(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["alerts"])
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def hurry(config: dict[str, Any], port: int) -> dict[str, Any]:
    """Alertmanager's config with the webhook of this test, and without its patience."""
    config["receivers"][0]["webhook_configs"][0]["url"] = f"http://127.0.0.1:{port}/alerts"
    for route in (config["route"], *config["route"]["routes"]):
        route |= {"group_wait": "0s", "group_interval": "1s"}  # what another alert held back for a moment is told a moment later
    return config


def watch_closely(config: dict[str, Any]) -> dict[str, Any]:
    """Prometheus's config with a scrape a second, and a second job that scrapes the same with one metric under another name."""
    config["global"] |= {"scrape_interval": "1s", "evaluation_interval": "1s"}
    (job,) = config["scrape_configs"]
    job["scrape_timeout"] = "1s"
    relabel = {"source_labels": ["__name__"], "regex": RENAMED, "target_label": "__name__", "replacement": "weighbridge_tries_total"}
    config["scrape_configs"].append({**job, "job_name": "renamed", "metric_relabel_configs": [relabel]})
    return config


def copy_rules(folder: Path) -> None:
    """The rules, with alerts that do not wait; but for those that hold others back, which a single scrape that came late would raise."""
    patient = set(re.findall(r"Weighbridge\w+", read_config("alertmanager.yml")["inhibit_rules"][0]["source_matchers"][0]))
    (folder / "alerts").mkdir(parents=True)
    for path in (*RULES.glob("*.yml"), *RULES.glob("alerts/*.yml")):
        rules = yaml.safe_load(path.read_text(encoding="utf-8"))
        for rule in (rule for group in rules["groups"] for rule in group["rules"]):
            if rule.get("alert") not in patient:
                rule.pop("for", None)
        (folder / path.relative_to(RULES)).write_text(yaml.safe_dump(rules), encoding="utf-8")


@pytest.fixture(scope="module")
def driven(scene: Scene) -> Scene:
    """The scene after traffic of several rounds, so that rates have two ends; the silent agent called once, at the beginning."""
    make_call(scene.bridge, SILENT, "steady", "", {})
    until = time.monotonic() + WITHIN_S
    while True:
        make_round(scene.bridge)
        wait_for_scrapes(scene.prometheus.address, 2)
        if not (find_missing(scene.prometheus.address, "weighbridge") or find_empty(scene.prometheus.address, "weighbridge")):
            return scene
        if time.monotonic() > until:  # the tests say what is missing
            return scene


def wait_for_scrapes(prometheus: str, number: int) -> None:
    query = 'count_over_time(up{job="weighbridge"}[1h])'

    def count() -> int:
        found = ask(prometheus, "query", query=query)["result"]
        return int(found[0]["value"][1]) if found else 0

    goal = count() + number
    wait_until(lambda: count() >= goal)


def test_every_selector_of_panels_alerts_and_rules_has_series(driven: Scene) -> None:
    assert find_missing(driven.prometheus.address, "weighbridge") == {}


def test_every_panel_shows_something(driven: Scene) -> None:
    assert find_empty(driven.prometheus.address, "weighbridge") == set()


def test_a_metric_under_another_name_is_noticed(driven: Scene) -> None:
    missing = find_missing(driven.prometheus.address, "renamed")
    assert {selector.partition("{")[0] for selector in missing} == {RENAMED}
    asking = set().union(*missing.values())
    assert {"WeighbridgeRetryStorm", "job_upstream:weighbridge_retries:ratio5m"} <= asking and any(" / " in who for who in asking)


def test_rules_that_look_at_now_have_results(driven: Scene) -> None:
    now = {name for name, rule in RECORDS.items() if "offset" not in rule["expr"]}

    def find_absent() -> set[str]:
        return now - {one["__name__"] for one in read_series(driven.prometheus.address, "weighbridge")}

    with contextlib.suppress(AssertionError):  # one that builds on another has its results an evaluation later
        wait_until(lambda: not find_absent())
    assert find_absent() == set()


def test_no_rule_fails(driven: Scene) -> None:
    groups = ask(driven.prometheus.address, "rules")["groups"]
    failing = {rule["name"]: rule["lastError"] for group in groups for rule in group["rules"] if rule["health"] == "err"}
    assert failing == {} and len(groups) > len(list(RULES.glob("alerts/*.yml")))


def test_a_silent_agent_reaches_the_webhook(driven: Scene) -> None:
    def find() -> list[dict[str, Any]]:
        return [one for one in driven.received if one["labels"]["alertname"] == "WeighbridgeAgentSilent" and one["labels"]["job"] == "weighbridge"]

    wait_until(find, WITHIN_S)
    alert = find()[0]
    assert alert["status"] == "firing" and alert["labels"]["agent"] == SILENT and alert["labels"]["severity"] == "critical"
    assert alert["annotations"]["summary"] == f"Agent {SILENT} is silent" and alert["annotations"]["runbook_url"].endswith("#weighbridgeagentsilent")
    assert {one["labels"]["agent"] for one in find()} == {SILENT}
