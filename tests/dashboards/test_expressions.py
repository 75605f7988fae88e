"""Every query of every dashboard, as PromQL and against the metrics that there are."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import yaml

from dashboards.expressions import Expression, fill_in, list_expressions
from tests.cases import holds_for
from tests.dashboards.contract import METRICS, PAGE, L, read_documented

FOUND = list_expressions()
PROMETHEUS_ADDS = {"job", "instance"}
each_expression = holds_for({f"{one.dashboard.rpartition(' / ')[2]}: {one.panel} {one.place}": (one,) for one in FOUND})


def check(folder: Path, found: list[Expression]) -> subprocess.CompletedProcess[str]:
    """Each query as a recording rule of its own, read by promtool."""
    rules = [{"record": f"weighbridge:panel{number}", "expr": one.expr} for number, one in enumerate(found)]
    path = folder / "panels.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    return subprocess.run(["promtool", "check", "rules", str(path)], capture_output=True, text=True, timeout=60, check=False)


def test_prometheus_understands_every_query(tmp_path: Path) -> None:
    done = check(tmp_path, FOUND)
    assert done.returncode == 0 and f"{len(FOUND)} rules found" in done.stdout, done.stderr
    assert check(tmp_path, [Expression("", "", "A", "sum(rate(x[1m])", "", True)]).returncode != 0


def test_variables_are_filled_in() -> None:
    assert fill_in('x{agent=~"${agent:regex}", team=~"$team"}[$__rate_interval]', {"agent": "a"}) == 'x{agent=~"a", team=~".*"}[1m]'
    assert not [one for one in FOUND if "$" in one.expr]
    assert {one.panel for one in FOUND} >= {"variable job", "variable agent", "annotation Restarts", "Agents silent"}


def test_a_folder_of_ones_own_is_read(tmp_path: Path) -> None:
    board = {
        "title": "T",
        "templating": {"list": []},
        "annotations": {"list": []},
        "panels": [{"type": "row", "panels": [{"title": "P", "type": "stat", "targets": [{"refId": "A", "expr": "up"}]}]}],
    }
    (tmp_path / "t.json").write_text(json.dumps(board))
    assert list_expressions(folder=tmp_path) == [Expression("T", "P", "A", "up", "", False)]


@each_expression
def test_metrics_and_labels_are_documented_ones(one: Expression) -> None:
    known = {"le"} | PROMETHEUS_ADDS
    for name, matchers in re.findall(r"(\w+)\{([^}]*)\}", one.expr):
        assert name in METRICS
        labels = {*METRICS[name], *PROMETHEUS_ADDS}
        assert set(re.findall(r"(\w+)(?:=~|!~|!=|=)", matchers)) <= labels, name
        known |= labels
    kept = {label for names in re.findall(r"by \(([^)]*)\)", one.expr) for label in names.split(", ")}
    assert kept | set(re.findall(r"\{\{(\w+)\}\}", one.legend)) <= known


def test_the_documented_labels_are_the_ones_that_dashboards_count_on() -> None:
    example = "| `a_total` | counter | `L`, `kind` | Of `a`. |\n| `b_seconds` | histogram | | Times. |\n"
    assert read_documented(example) == {"a_total": {*L, "kind"}, "b_seconds_bucket": {"le"}}
    documented = read_documented(PAGE.read_text(encoding="utf-8")) if PAGE.exists() else {}
    assert {name: labels for name, labels in documented.items() if name in METRICS and labels != set(METRICS[name])} == {}
