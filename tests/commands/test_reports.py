"""The words of the report commands, as the admin port takes them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from proxy.cli import build_parser, main
from proxy.commands.reports import read_question
from proxy.controlplane.reports import BadQuestion
from proxy.controlplane.store import Store
from tests.controlplane.conftest import Segments, add, call, load_all


@pytest.mark.parametrize(
    ("line", "asked"),
    [
        ("report", {"by": "agent,model"}),
        ("report --by tag:stage --where tag:stage=a=b --since 7d", {"by": "tag:stage", "tag:stage": "a=b", "since": "7d"}),
        ("calls", {}),
        ("reviews --state open --last 3 --where reason=flagged", {"state": "open", "last": "3", "reason": "flagged"}),
        ("agreement --where agent=a", {"agent": "a"}),
        ("tasks --last 5 --until 2026-11-01", {"last": "5", "until": "2026-11-01"}),
        ("tasks --by agent", {"by": "agent"}),
        ("budgets --where budget=day --where agent=a --last 3", {"budget": "day", "agent": "a", "last": "3"}),
    ],
)
def test_words_become_a_question(line: str, asked: dict[str, str]) -> None:
    assert read_question(build_parser().parse_args(line.split())) == asked


@pytest.mark.parametrize("line", ["calls --where colour=red", "report --where agent", "budgets --where agent"])
def test_wrong_conditions_are_told(line: str) -> None:
    with pytest.raises(BadQuestion, match="agent"):
        read_question(build_parser().parse_args(line.split()))


def test_budgets_and_tasks_are_read_from_the_files_while_nothing_runs(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    config = tmp_path / "weighbridge.yaml"
    settings = {"admin": {"port": 1}, "state_dir": str(tmp_path / "state"), "budgets": [{"name": "all", "calls": 10}]}
    config.write_text(json.dumps(settings))
    segments = Segments(tmp_path / "state" / "journal")
    add(segments.begin(1), call(1, task="t", charged={"all.calls@": 1}))
    store = Store(tmp_path / "state" / "weighbridge.duckdb")
    reader = segments.reader()
    reader.restore(store)
    load_all(reader, store)
    store.close()
    for name, words in (("budgets", ["all", "-", "calls", "10", "1", "0", "9"]), ("tasks", ["t", "agent-1", "1", "0"])):
        assert main([name, "--config", str(config)]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert lines[2].split()[: len(words)] == words and "no weighbridge runs" in lines[-1]
