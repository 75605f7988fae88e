"""Quarantine: which calls are marked, and what is said of it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from proxy.controlplane import quarantine as rooms
from proxy.controlplane.answers import answer
from proxy.controlplane.door import NotDone
from proxy.controlplane.journal_writer import JournalWriter
from proxy.controlplane.quarantine import Quarantines
from proxy.controlplane.reports import BadQuestion
from proxy.controlplane.store import Store, StoreAway
from tests.controlplane.conftest import START_NS, Segments, add, call, load_all

SIX = range(6)


class Ward:
    """Six calls, a second apart: agents 0, 1, 2 in turn, models m-0 and m-1 in turn; the last one was answered by none."""

    def __init__(self, folder: Path, store: Store) -> None:
        self.store = store
        self.segments = Segments(folder / "journal")
        self.segments.alive.add(os.getpid())  # whose journal the desk writes
        add(self.segments.begin(1), b"".join(call(number, model=None if number == 5 else f"m-{number % 2}") for number in SIX))
        self.reader = self.segments.reader()
        self.reader.restore(store)
        self.writer = JournalWriter(self.segments.folder, 10**6)
        self.desk = Quarantines(store.query, self.load, self.writer, lambda: START_NS + 10 * 10**9)
        self.load()

    def load(self) -> None:
        load_all(self.reader, self.store)

    def impose(self, **words: object) -> dict:
        return self.desk.impose("", json.dumps({"reason": "odd", **words}).encode())

    def marked(self) -> list[int]:
        rows = self.store.query("SELECT id FROM calls_now WHERE quarantined ORDER BY id")[1]
        return [int(id.rpartition("-")[2]) for (id,) in rows]

    def ask(self, name: str, **asked: str) -> list[dict]:
        made = answer(self.store.query, name, asked, START_NS, list)
        return [dict(zip(made.columns, row, strict=True)) for row in made.rows]


@pytest.fixture
def ward(tmp_path: Path, store: Store) -> Ward:
    return Ward(tmp_path, store)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ({"agent": "agent-1"}, [1, 4]),
        ({"model": "m-1"}, [1, 3]),
        ({"model": "m"}, [5]),
        ({"upstream": "demo", "agent": "agent-0"}, [0, 3]),
        ({"task": "t"}, []),
        ({"since": "8s"}, [2, 3, 4, 5]),
        ({"since": "8s", "until": "6s"}, [2, 3]),
        ({"since": "8s", "until": "6s", "model": "m-1"}, [3]),
        ({"agent": "x' OR 'a'='a"}, []),
    ],
)
def test_calls_are_marked_by_whose_they_are_and_by_when(ward: Ward, words: dict, expected: list[int]) -> None:
    assert ward.marked() == []
    ward.impose(**words)
    assert ward.marked() == expected


def test_every_report_tells_them_apart(ward: Ward) -> None:
    ward.impose(agent="agent-1")
    ward.impose(agent="agent-1", model="m-1")
    assert {row["agent"]: row["in_quarantine"] for row in ward.ask("agents")} == {"agent-0": 0, "agent-1": 2, "agent-2": 0}
    assert ward.ask("report", by="")[0]["in_quarantine"] == 2, "each is counted once"
    assert ward.ask("report", by="", quarantined="no")[0]["calls"] == 4
    assert {row["quarantined"]: row["calls"] for row in ward.ask("report", by="quarantined")} == {"yes": 2, "no": 4}
    assert [row["quarantined"] for row in ward.ask("calls", last="2")] == [False, True]


def test_it_holds_until_it_is_lifted_and_both_stay_in_the_list(ward: Ward) -> None:
    first, second = ward.impose(agent="agent-1", by="jo")["name"], ward.impose(agent="agent-2")["name"]
    assert ward.desk.lift(first, b'{"by": "mo"}') == {"lifted": first}
    assert ward.marked() == [2, 5]
    rows = ward.ask("quarantines")
    assert [(row["name"], row["by"], row["lifted_by"], row["reason"]) for row in rows] == [
        (second, "admin port", None, "odd"),
        (first, "jo", "mo", "odd"),
    ]
    for name in (first, "q-none"):
        with pytest.raises(NotDone, match="no quarantine of this name holds"):
            ward.desk.lift(name, b"")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ({}, "say which calls"), ({"until": "1h"}, "say which calls"), ({"agent": ""}, "agent is text"), ({"since": "soon"}, "is no time"),
        ({"since": "1h", "until": "2h"}, "not after since"), ({"agnet": "a"}, "unknown field"), ({"agent": "a", "by": ""}, "by is text"),
    ],
)  # fmt: skip
def test_what_is_wrong_marks_nothing(ward: Ward, words: dict, expected: str) -> None:
    with pytest.raises(BadQuestion, match=expected):
        ward.impose(**words)
    assert ward.ask("quarantines") == []
    with pytest.raises(BadQuestion, match="without a filter"):
        ward.ask("quarantines", agent="a")


def test_there_is_a_bound_and_a_journal_that_is_away_marks_nothing(ward: Ward, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rooms, "MOST", 1)
    ward.impose(agent="agent-1")
    with pytest.raises(NotDone, match="1 quarantines hold"):
        ward.impose(agent="agent-2")
    monkeypatch.setattr(rooms, "MOST", 9)
    monkeypatch.setattr(ward.writer, "write", lambda event: False)
    with pytest.raises(NotDone, match="nothing was changed"):
        ward.impose(agent="agent-2")
    assert ward.marked() == [1, 4]


def test_how_many_calls_are_marked_is_counted_beside_the_reports(ward: Ward) -> None:
    def shown() -> dict[str, float]:
        return {sample.name: sample.value for family in ward.desk.collect() for sample in family.samples}

    assert shown() == {}
    assert ward.desk.count() and shown() == {"weighbridge_quarantines": 0, "weighbridge_quarantined_calls": 0}
    ward.impose(agent="agent-1")
    assert ward.desk.count() and shown() == {"weighbridge_quarantines": 1, "weighbridge_quarantined_calls": 2}
    ward.desk._query = away
    assert not ward.desk.count() and shown()["weighbridge_quarantined_calls"] == 2


def away(*_: object) -> None:
    raise StoreAway("the database is being opened")


def test_counting_rests_for_longer_than_it_takes(ward: Ward) -> None:
    class Stopping:
        def __init__(self) -> None:
            self.rests: list[float] = []

        def wait(self, rest_s: float) -> bool:
            self.rests.append(rest_s)
            if len(self.rests) == 4:
                ward.desk._query = away
            return len(self.rests) == 5

    stopping, times = Stopping(), iter([0.0, 0.1, 10.0, 15.0, 20.0, 20.0, 30.0, 30.0])
    ward.desk.run(stopping, lambda: next(times))
    assert stopping.rests == [1.0, 60.0, 100.0, 60.0, 1.0]
