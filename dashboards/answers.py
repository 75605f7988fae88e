"""What the panels' queries answer: asked of a real Prometheus and of a running Weighbridge, and put together as Grafana does it."""

from __future__ import annotations

import datetime
import json
import re
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from dashboards.expressions import fill_in

_TIMEOUT_S = 30
_POINTS = 240  # across a panel
_SHORTEST_STEP_S = 5
Row = dict[str, Any]


@dataclass(frozen=True)
class Series:
    """One line of a panel: what it is called, when (seconds since the epoch) and how much."""

    name: str
    times: list[float]
    values: list[float]


def fetch_json(address: str) -> dict[str, Any]:
    """What an address answers."""
    with urllib.request.urlopen(address, timeout=_TIMEOUT_S) as response:
        return json.load(response)


@dataclass(frozen=True)
class Source:
    """Where answers come from, the time that is shown, and the values of Grafana's variables."""

    prometheus: str
    admin: str
    since_s: float
    until_s: float
    values: Mapping[str, str]
    fetch: Callable[[str], dict[str, Any]] = fetch_json

    def read_series(self, panel: Mapping[str, Any]) -> list[Series]:
        """All lines of a panel over the time shown."""
        if "url" in panel["targets"][0]:
            return self._read_bars(panel["targets"][0])
        step = max(_SHORTEST_STEP_S, (self.until_s - self.since_s) / _POINTS)
        found = []
        for target in panel["targets"]:
            words = {"query": fill_in(target["expr"], self.values), "start": self.since_s, "end": self.until_s, "step": step}
            for one in self._ask("query_range", words):
                times, values = zip(*((at, float(value)) for at, value in one["values"]), strict=True)
                found.append(Series(_name(target["legendFormat"], one["metric"]), list(times), list(values)))
        return sorted(found, key=lambda one: one.name)

    def read_rows(self, panel: Mapping[str, Any]) -> list[Row]:
        """The rows of a table, by the titles of its columns, sorted as the panel says."""
        rows = self._read_report(panel["targets"][0]) if "url" in panel["targets"][0] else self._merge(panel)
        (by,) = panel["options"]["sortBy"]
        return sorted(rows, key=lambda row: (row.get(by["displayName"]) is not None, row.get(by["displayName"])), reverse=by["desc"])

    def read_figure(self, panel: Mapping[str, Any]) -> float | None:
        """The figure of a panel that shows one; None where there is none."""
        (target,) = panel["targets"]
        if "url" in target:
            return next((value for row in self._read_report(target) for value in row.values()), None)
        found = self._ask("query", {"query": fill_in(target["expr"], self.values), "time": self.until_s})
        return float(found[0]["value"][1]) if found else None

    def _merge(self, panel: Mapping[str, Any]) -> list[Row]:
        """Instant queries joined on the labels they have in common, columns named as the panel's transformations say."""
        (organised,) = (each["options"] for each in panel["transformations"] if each["id"] == "organize")
        names = organised["renameByName"]
        rows: dict[str, Row] = {}
        key = next(label for label in names if not label.startswith("Value #"))
        for target in panel["targets"]:
            for one in self._ask("query", {"query": fill_in(target["expr"], self.values), "time": self.until_s}):
                row = rows.setdefault(one["metric"].get(key, ""), {})
                row |= {names[label]: value for label, value in one["metric"].items() if label in names}
                row[names[f"Value #{target['refId']}"]] = float(one["value"][1])
        return list(rows.values())

    def _read_report(self, target: Mapping[str, Any]) -> list[Row]:
        rows = self.fetch(self.admin + self._fill_address(target["url"]))[target["root_selector"]]
        return [{column["text"]: _read(row[column["selector"]], column["type"]) for column in target["columns"]} for row in rows]

    def _read_bars(self, target: Mapping[str, Any]) -> list[Series]:
        time, name, figure = (column["text"] for column in target["columns"])
        found: dict[str, list[tuple[float, float]]] = {}
        for row in self._read_report(target):
            if row[figure] is not None:
                found.setdefault(row[name] or "none", []).append((row[time].timestamp(), row[figure]))
        return [Series(each, [at for at, _ in points], [value for _, value in points]) for each, points in sorted(found.items())]

    def _fill_address(self, address: str) -> str:
        for name, moment in (("__from", self.since_s), ("__to", self.until_s)):
            text = datetime.datetime.fromtimestamp(moment, datetime.UTC).isoformat(timespec="milliseconds")
            address = address.replace(f"${{{name}:date:iso}}", text.replace("+00:00", "Z"))
        return fill_in(address, {name: urllib.parse.quote(value, safe="") for name, value in self.values.items()})

    def _ask(self, kind: str, words: Mapping[str, Any]) -> list[dict[str, Any]]:
        return self.fetch(f"{self.prometheus}/api/v1/{kind}?{urllib.parse.urlencode(words)}")["data"]["result"]


def _name(legend: str, labels: Mapping[str, str]) -> str:
    return re.sub(r"\{\{(\w+)\}\}", lambda match: labels.get(match[1], ""), legend).strip()


def _read(value: Any, kind: str) -> Any:
    if value is None:
        return None
    if kind == "timestamp":
        moment = datetime.datetime.fromisoformat(value)
        return moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)
    return float(value) if kind == "number" else value
