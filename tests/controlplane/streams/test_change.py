"""Drift at the admin port: the report, and what is said of alarms."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from proxy.controlplane.desk import NOT_IN_HISTORY
from proxy.controlplane.door import NotDone
from proxy.controlplane.journal_writer import JournalWriter
from proxy.controlplane.reports import BadQuestion
from proxy.controlplane.streams.change import make_drift_change
from proxy.controlplane.streams.listing import list_drift
from proxy.controlplane.streams.streams import Streams
from tests.controlplane.streams.conftest import alarm_of, send

Make = Callable[..., Streams]


def perform(streams: Streams, journal: JournalWriter, **body: object) -> dict:
    change = make_drift_change(streams, journal, clock_ns=lambda: 9)
    assert (change.method, change.address) == ("POST", "/api/drift")
    return change.perform("", json.dumps(body).encode())


def test_the_report_has_every_stream_and_its_alarm_in_words(make: Make) -> None:
    streams = make()
    alarm_of(streams)
    streams.watch(*send(1, agent="b", task=None))
    made = list_drift(streams.describe())
    alarmed, learning = (dict(zip(made.columns, row, strict=True)) for row in made.rows)
    assert (alarmed["agent"], alarmed["task"], alarmed["model"], alarmed["state"], alarmed["severity"]) == ("a", "report", "m", "alarmed", "certain")
    assert "not finished by itself 0 -> 1" in alarmed["cause"] and alarmed["calls_before"] == "c0 c1 c2" and alarmed["said"] is None
    assert (learning["agent"], learning["task"], learning["state"], learning["missing"], learning["cause"]) == ("b", None, "learning", 59, None)


def test_what_is_said_of_an_alarm_stands_in_the_journal(make: Make, journal: JournalWriter, tmp_path: Path) -> None:
    streams = make()
    alarm_of(streams)
    answer = perform(streams, journal, verb="accept", agents=["a", "b"], model="m", reason="shorter now", by="jo")
    told = {"agent": "a", "task": "report", "model": "m", "upstream": None, "state": "learning", "baseline": 2}
    assert answer == {"verb": "accept", "streams": [told], "note": ""}
    lines = [json.loads(line) for path in (tmp_path / "journal").iterdir() for line in path.read_bytes().splitlines()]
    expected = {"at_ns": 9, "by": "jo", "verb": "accept_drift", "dimension": "agent", "value": "a", "reason": "shorter now"}
    assert [line["order"] for line in lines if "order" in line] == [expected]


def test_a_journal_that_cannot_be_written_is_told_of(make: Make, journal: JournalWriter, monkeypatch: pytest.MonkeyPatch) -> None:
    streams = make()
    alarm_of(streams)
    monkeypatch.setattr(journal, "write", lambda _: False)
    assert perform(streams, journal, verb="dismiss", agents=["a"])["note"] == NOT_IN_HISTORY


def test_where_no_alarm_stands_it_says_where_one_does(make: Make, journal: JournalWriter) -> None:
    streams = make()
    with pytest.raises(NotDone, match="no alarm stands at all; with `every`") as caught:
        perform(streams, journal, verb="accept", agents=["b"])
    assert (caught.value.status, caught.value.name) == (404, "not_alarmed")
    alarm_of(streams)
    with pytest.raises(NotDone, match=r"no alarm stands for b; alarms stand for a$"):
        perform(streams, journal, verb="dismiss", agents=["b"])


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"verb": "forget", "agents": ["a"]}, "not as expected"),
        ({"verb": "accept", "agents": []}, "names nobody"),
        ({"verb": "accept", "agents": [" "]}, "agent is text"),
        ({"verb": "accept", "agents": ["a"], "reason": "\n"}, "reason is text"),
        ({"verb": "accept", "agents": ["a"], "by": ""}, "by is text"),
        ({"verb": "dismiss", "agents": ["a"], "every": True}, "only alarms can be dismissed"),
        ({"verb": "accept", "agents": ["a"], "agent": "a"}, "not as expected"),
    ],
)
def test_what_is_asked_wrongly_changes_nothing(make: Make, journal: JournalWriter, body: dict, told: str) -> None:
    with pytest.raises(BadQuestion, match=told):
        perform(make(), journal, **body)
