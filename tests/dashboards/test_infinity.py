"""Panels from the store: each one's address is called against a running Weighbridge, and its selectors are applied as the data source does it."""

from __future__ import annotations

import datetime
import json
import re
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from dashboards.infinity import PLUGIN
from tests.dashboards.conftest import PANELS
from tests.test_supervise import ASK, Bridge, serve, wait_until

ASKED = {name: panel for name, panel in PANELS.items() if panel["datasource"]["type"] == PLUGIN}
AGENT = "night owl & co"
# What the calls of this test do not bring about.
MAY_BE_EMPTY = {"team", "outcome", "cost_per_success_usd", "used_up"}


@pytest.fixture(scope="module")
def bridge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bridge]:
    """A Weighbridge with calls of a task, one of them streamed and one without a price, and a money budget."""
    budgets = [{"name": "each", "usd": 5, "per": "day", "mode": "observe", "each": ["agent"]}]
    with serve(tmp_path_factory.mktemp("bridge"), budgets=budgets) as running:
        path = f"/a/{urllib.parse.quote(AGENT, safe='')}/t/task-1/demo/v1/chat/completions"
        running.post(path, ASK)
        running.post(path, ASK | {"model": "of-no-price"})
        request = urllib.request.Request(running.base + path, json.dumps(ASK | {"stream": True}).encode(), {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=20) as response:
            assert response.read().endswith(b"[DONE]\n\n")
        running.wait_for_calls(3)
        wait_until(lambda: running.look("/api/budgets")["rows"])
        yield running


def fill_address(address: str) -> str:
    """The address as Grafana asks for it: the last hour, and the agent of this test."""
    now = time.time()
    values = {
        "${__from:date:iso}": write_moment(now - 3600),
        "${__to:date:iso}": write_moment(now + 60),
        "${agent:percentencode}": urllib.parse.quote(AGENT, safe=""),
    }
    for variable, value in values.items():
        address = address.replace(variable, value)
    return address


def write_moment(at_s: float) -> str:
    return datetime.datetime.fromtimestamp(at_s, datetime.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def read_value(value: Any, kind: str) -> Any:
    """A cell as its type wants it; None stays unknown."""
    if value is None:
        return None
    if kind == "number":
        return float(value)
    if kind == "timestamp":
        return datetime.datetime.fromisoformat(value)
    assert kind == "string" and isinstance(value, str)
    return value


@pytest.mark.parametrize("panel", ASKED.values(), ids=ASKED)
def test_the_address_answers_and_every_column_has_something(bridge: Bridge, panel: dict[str, Any]) -> None:
    (target,) = panel["targets"]
    assert (target["type"], target["parser"], target["source"], target["url_options"]["method"]) == ("json", "backend", "url", "GET")
    address = fill_address(target["url"])
    assert "$" not in address and not re.search(r"\s", address)
    rows = bridge.look(address)[target["root_selector"]]
    assert rows
    for column in target["columns"]:
        values = [read_value(row[column["selector"]], column["type"]) for row in rows]
        assert column["selector"] in MAY_BE_EMPTY or any(value is not None for value in values), column["selector"]
    if target["format"] == "timeseries":
        assert [column["type"] for column in target["columns"]] == ["timestamp", "string", "number"]
        moments = [row[target["columns"][0]["selector"]] for row in rows]
        assert moments == sorted(moments)


def test_a_figure_reads_one_row(bridge: Bridge) -> None:
    for panel in ASKED.values():
        if panel["type"] == "stat":
            (target,) = panel["targets"]
            assert len(bridge.look(fill_address(target["url"]))["rows"]) == 1 and len(target["columns"]) == 1


def test_columns_wear_the_titles_that_colours_and_sorting_go_by() -> None:
    for panel in ASKED.values():
        titles = {column["text"] for column in panel["targets"][0]["columns"]}
        assert {one["matcher"]["options"] for one in panel["fieldConfig"]["overrides"]} <= titles
        assert {one["displayName"] for one in panel["options"].get("sortBy", [])} <= titles
        if panel["type"] == "table":
            (organised,) = panel["transformations"]
            assert sorted(titles, key=organised["options"]["indexByName"].__getitem__) == [one["text"] for one in panel["targets"][0]["columns"]]
