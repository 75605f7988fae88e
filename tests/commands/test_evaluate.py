"""Judging a file of answers."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from proxy.cli import main


def test_each_finding_is_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "answers.jsonl"
    file.write_text('{"text": "Paris."}\n\n{"id": "x", "text": ""}\n')
    assert main(["evaluate", str(file)]) == 0
    printed = capsys.readouterr()
    (line,) = map(json.loads, printed.out.splitlines())
    assert (line["line"], line["id"], line["name"], line["label"]) == (3, "x", "empty", "empty")
    assert "empty empty: 1 of 2" in printed.err


def test_all_verdicts_and_those_of_others_are_shown_on_demand(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b'{"text": "LOUD"}')))
    assert main(["evaluate", "-", "--all", "--own", "tests.controlplane.inspection.guests:judge"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    assert {line["name"]: line["label"] for line in lines}["whatever"] == "shout"
    assert len(lines) > 5


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [(["no-such-file"], 1, "cannot be read"), (["FILE"], 2, "line 1 of"), (["FILE", "--own", "a.b"], 2, "names no evaluator")],
)
def test_what_cannot_be_done_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], status: int, told: str) -> None:
    (tmp_path / "FILE").write_text("{")
    assert main(["evaluate", *(str(tmp_path / one) if one == "FILE" else one for one in arguments)]) == status
    assert told in capsys.readouterr().err
