"""Drift at the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from proxy.commands.drift import explain_thin
from proxy.controlplane.journal_writer import JournalWriter
from proxy.controlplane.reports import Report
from proxy.controlplane.streams.streams import Streams
from tests.commands.conftest import Office
from tests.controlplane.streams.conftest import WARMUP, alarm_of, send


@pytest.fixture
def watched(office: Office) -> Office:
    """An office that knows an agent with an alarm and one that has just begun."""
    office.write(evaluators={"drift": {"warmup": WARMUP}})
    config = office.config
    config.journal_dir.mkdir(parents=True)
    journal = JournalWriter(config.journal_dir, 10**6)
    streams = Streams(config.evaluators.drift, config.drift, journal)
    alarm_of(streams)
    streams.watch(*send(1, agent="fresh"))
    streams.save()
    journal.close()
    return office


def test_it_shows_the_streams_and_the_causes_of_alarms(watched: Office, capsys: pytest.CaptureFixture) -> None:
    with watched.open():
        assert watched.run("drift") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].split()[:4] == ["a", "report", "m", "alarmed"] and lines[3].split()[:4] == ["fresh", "report", "m", "learning"]
    assert lines[4] == "2 rows"
    assert lines[5].startswith("a: certain change since answer") and "model_answered m-1 -> m-2" in lines[5]
    assert lines[6] == f"fresh: too little traffic to judge: 1 answers seen, {WARMUP - 1} more are needed"
    assert len(lines) == 7


def test_of_many_thin_streams_a_few_are_listed() -> None:
    rows = [[f"a{number}", "learning", number, 60 - number] for number in range(25)]
    lines = explain_thin(Report("drift", ["agent", "state", "answers", "missing"], rows, "")).splitlines()
    assert len(lines) == 21 and lines[-1] == "and 5 streams more have had too little traffic to judge"
    assert explain_thin(Report("drift", ["agent", "state", "answers", "missing"], [["a", "watching", 90, 0]], "")) == ""


def test_without_a_weighbridge_it_shows_what_was_saved(watched: Office, capsys: pytest.CaptureFixture) -> None:
    (watched.config.drift / "spoiled.stream").write_bytes(b"{")
    assert watched.run("drift", "--format", "json") == 0
    report = json.loads(capsys.readouterr().out)
    assert [(row["agent"], row["state"]) for row in report["rows"]] == [("a", "alarmed"), ("fresh", "learning")]
    assert report["note"] == "as saved last: no weighbridge runs"


def test_an_alarm_is_accepted_or_dismissed(watched: Office, capsys: pytest.CaptureFixture) -> None:
    with watched.open():
        assert watched.run("drift", "dismiss", "a", "--by", "jo", "--reason", "mended") == 0
        assert capsys.readouterr().out == "agent a, task report, model m: watched again against what was normal\n"
        assert watched.run("drift", "accept", "a") == 1
        assert "no alarm stands for a; no alarm stands at all" in capsys.readouterr().err
        assert watched.run("drift", "accept", "a", "fresh", "--model", "m", "--every") == 0
        assert capsys.readouterr().out.count("learned anew from the next answers") == 2
        assert watched.run("drift") == 0
        assert "certain change" not in capsys.readouterr().out  # something was said of it
    assert [(one["verb"], one["value"]) for one in watched.noted("order")] == [
        ("dismiss_drift", "a"), ("accept_drift", "a"), ("accept_drift", "fresh"),
    ]  # fmt: skip
    assert watched.noted("order")[0]["by"] == "jo" and watched.noted("order")[0]["reason"] == "mended"


def test_without_a_weighbridge_nothing_is_accepted(office: Office, capsys: pytest.CaptureFixture) -> None:
    Path(office.config.state_dir).mkdir()
    assert office.run("drift", "accept", "a") == 1
    assert "it is what watches the answers" in capsys.readouterr().err
