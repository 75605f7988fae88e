"""Every query of the committed dashboards, with Grafana's variables filled in: what tests and `dashboards.draw` run against a real Prometheus."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "grafana"
ALL = ".+"
# What Grafana would put in; `team` may be empty. The rate interval suits a scrape every second or more.
VALUES = {"__rate_interval": "1m", "__range": "15m", "__interval": "15s", "team": ".*"}
_VARIABLE = re.compile(r"\$\{?(\w+)(?::\w+)*\}?")


@dataclass(frozen=True)
class Expression:
    """One query of one panel; `legend` is how Grafana names its series, `instant` whether it asks for one moment only.

    `may_be_empty`: it marks events, of which there may be none.
    """

    dashboard: str
    panel: str
    place: str
    expr: str
    legend: str
    instant: bool
    may_be_empty: bool = False


def read_boards(folder: Path = FOLDER) -> list[dict[str, Any]]:
    """The committed dashboards, by file name."""
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))]


def walk_panels(board: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """All panels that show something, also those in folded rows."""
    for panel in board["panels"]:
        if panel["type"] == "row":
            yield from panel.get("panels", [])
        else:
            yield panel


def list_expressions(values: Mapping[str, str] | None = None, folder: Path = FOLDER) -> list[Expression]:
    """Every PromQL query of every panel, the restarts that are marked over them, and what fills the variables.

    `values` goes before `VALUES`; any other variable is `.+`. A variable's `label_values(series, label)` is listed as its series.
    """
    found = []
    for board in read_boards(folder):
        for panel in walk_panels(board):
            for target in panel["targets"]:
                if "expr" in target:
                    text = fill_in(target["expr"], values)
                    found.append(
                        Expression(
                            board["title"], panel["title"], target["refId"], text, target.get("legendFormat", ""), target.get("instant", False)
                        )
                    )
        for variable in board["templating"]["list"]:
            if variable["type"] == "query":
                series = fill_in(variable["query"]["query"].removeprefix("label_values(").rpartition(",")[0], values)
                found.append(Expression(board["title"], f"variable {variable['name']}", "A", series, "", True))
        for mark in board["annotations"]["list"]:
            if "expr" in mark:
                found.append(Expression(board["title"], f"annotation {mark['name']}", "A", fill_in(mark["expr"], values), "", False, True))
    return found


def fill_in(text: str, values: Mapping[str, str] | None = None) -> str:
    """A query with the values of its variables."""
    known = {**VALUES, **(values or {})}
    return _VARIABLE.sub(lambda match: known.get(match[1], ALL), text)
