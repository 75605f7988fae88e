"""Following the journal: everything after the newest checkpoint, once, whatever was torn, pruned or read before."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from proxy.record import Correction, Extended
from proxy.rules import Budget
from proxy.toll.checkpoint import write_checkpoint
from proxy.toll.follow import Follower
from proxy.toll.ledger import Ledger
from tests.toll.lines import add, encode_line, make_opened, make_record

BUDGETS = [Budget("all", usd=1.0)]


class Journal:
    """A folder of segments to write by hand, and one who follows it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ledger = Ledger(BUDGETS)
        self.follower = Follower(folder, self.ledger)

    def begin(self, number: int, process: int = 1, writer: str = "d", cells: dict | None = None, open: dict | None = None, **read: int) -> Path:
        path = self.folder / f"{number:020d}-{writer}7.ndjson"
        add(path, encode_line("segment", {"version": 1, "started_ns": number, "pid": 7, "writer": writer, "process_ns": process}))
        if cells is not None:
            named = {f"{int(name[1:]):020d}-c7.ndjson": position for name, position in read.items()}
            add(path, write_checkpoint({"cells": cells, "open": open or {}, "read": named}))
        return path

    def state(self) -> tuple[int, int]:
        """(spent, reserved) once all that is new is read, twice."""
        self.follower.catch_up()
        self.follower.catch_up()
        spent, reserved = self.ledger.checkpoint()["cells"].get("all.usd@", (0, 0))
        return spent, reserved


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path)


def opened(id: str, amount: int) -> bytes:
    return encode_line("opened", make_opened(id, {"all.usd@": amount}))


def extended(id: str, amount: int) -> bytes:
    return encode_line("extended", Extended(id=id, reserved={"all.usd@": amount}))


def call(id: str, amount: int) -> bytes:
    return encode_line("call", make_record(id, {"all.usd@": amount}))


def correction(amount: int) -> bytes:
    return encode_line("correction", Correction(id="x", at_ns=1, by="operator", adjusted={"all.usd@": amount}))


def test_lines_are_folded_as_they_come(journal: Journal) -> None:
    assert journal.state() == (0, 0)
    path = journal.begin(1)
    add(path, opened("1", 30))
    assert journal.state() == (0, 30)
    add(path, extended("1", 50), encode_line("future", {"id": 1}), encode_line("closed", {"at_ns": 1, "lines": 1}))
    assert journal.state() == (0, 50)
    second = journal.begin(2)
    add(second, call("1", 40))
    assert journal.state() == (40, 0)
    assert journal.follower.garbage == 0


def test_a_torn_line_waits_for_its_end(journal: Journal) -> None:
    path = journal.begin(1)
    line = opened("1", 30)
    add(path, line[:20])
    assert journal.state() == (0, 0)
    add(path, line[20:])
    assert journal.state() == (0, 30)


def test_a_torn_line_before_another_segment_is_nothing(journal: Journal) -> None:
    add(journal.begin(1), opened("1", 30), call("1", 20)[:-5])
    journal.begin(2, process=2)
    assert journal.state() == (30, 0), "presumed spent: that it had ended is not on file"


def test_reading_begins_at_the_newest_whole_checkpoint(journal: Journal) -> None:
    add(journal.begin(1), call("1", 1000))
    add(journal.begin(2, cells={"all.usd@": (70, 30)}, open={"2": {"all.usd@": 30}}), call("2", 20), opened("3", 5))
    torn = journal.begin(3, process=2)
    add(torn, write_checkpoint({"cells": {"all.usd@": (1, 0)}, "open": {}})[:-8])
    assert journal.state() == (95, 0), "and the one of which the end is missing says only that another process began"


@pytest.mark.parametrize("position", [0, 1])
def test_a_follower_of_long_takes_each_checkpoint_for_the_truth(journal: Journal, position: int) -> None:
    corrections = journal.begin(1, writer="c")
    add(corrections, correction(-5))
    add(journal.begin(2), call("1", 100))
    assert journal.state() == (95, 0)
    read = {"_1": corrections.stat().st_size} if position else {}
    journal.begin(3, cells={"all.usd@": (95 if position else 100, 0)}, **read)
    assert journal.state() == (95, 0), "a correction that the data plane had or had not read counts once"


def test_who_comes_late_does_not_read_what_a_later_checkpoint_holds(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    first = journal.begin(1)
    assert journal.state() == (0, 0)
    add(first, call("1", 100))
    add(journal.begin(2), call("2", 5))
    add(journal.begin(3, cells={"all.usd@": (105, 0)}), call("3", 1))
    read = []
    fold = Follower._fold_lines
    monkeypatch.setattr(Follower, "_fold_lines", lambda self, name, *rest: read.append(int(name[:20])) or fold(self, name, *rest))
    assert journal.state() == (106, 0) and set(read) == {3}


def test_another_process_presumes_what_the_one_before_had_reserved(journal: Journal) -> None:
    add(journal.begin(1), opened("1", 30))
    journal.begin(2)
    assert journal.state() == (0, 30), "the same process"
    journal.begin(3, process=2)
    assert journal.state() == (30, 0)


def test_corrections_count_once_whatever_is_restarted(journal: Journal) -> None:
    first = journal.begin(1, writer="c")
    add(first, correction(1), correction(2)[:-3])
    second = journal.begin(3, writer="c")
    add(second, correction(10))
    journal.begin(2)
    journal.follower.recover()
    add(second, correction(100))
    journal.follower.catch_up_corrections()
    journal.follower.catch_up_corrections()
    checkpoint = journal.follower.checkpoint()
    assert checkpoint["cells"] == {"all.usd@": [111, 0]}
    add(journal.folder / f"{4:020d}-d7.ndjson", encode_line("segment", {"pid": 7, "process_ns": 2}), write_checkpoint(checkpoint))
    add(second, correction(1000))
    add(journal.begin(5, writer="c"), correction(10_000))
    again = Journal(journal.folder)
    assert again.state() == (11_111, 0)
    first.unlink()
    again.follower.catch_up_corrections()
    assert sorted(again.follower.checkpoint()["read"]) == [second.name, f"{5:020d}-c7.ndjson"], "what is pruned need not be known"


def test_the_data_planes_own_lines_are_not_read_with_the_corrections(journal: Journal) -> None:
    path = journal.begin(1)
    journal.follower.recover()
    add(path, call("1", 100))
    journal.follower.catch_up_corrections()
    assert journal.ledger.checkpoint()["cells"] == {}


def test_recovery_presumes_and_tells(journal: Journal, caplog: pytest.LogCaptureFixture) -> None:
    add(journal.begin(1), opened("1", 30), opened("2", 5), call("2", 5))
    with caplog.at_level(logging.WARNING):
        journal.follower.recover()
    assert journal.ledger.checkpoint() == {"cells": {"all.usd@": [35, 0]}, "open": {}}
    assert "1 call(s)" in caplog.text


def test_where_the_segment_being_read_is_pruned_reading_begins_anew(journal: Journal) -> None:
    first = journal.begin(1)
    add(first, call("1", 100))
    assert journal.state() == (100, 0)
    add(journal.begin(2, cells={"all.usd@": (170, 0)}), call("2", 1))
    first.unlink()
    assert journal.state() == (171, 0)


def test_what_is_no_line_of_ours_is_counted_and_skipped(journal: Journal) -> None:
    bad = encode_line("call", make_record("9", {"nonsense": 5}))
    lines: list[Any] = [b"{}}\n", b"\xff\xfe\n", b'{"call":{"id":1}}\n', bad, opened("1", 30)]
    add(journal.begin(1), *lines)
    add(journal.begin(2, writer="c"), b'{"correction":{"adjusted":{"all.usd@":"x"}}}\n', encode_line("order", {"at_ns": 1}), correction(7))
    (journal.folder / "notes.txt").write_text("no segment")
    assert journal.state() == (7, 30)
    assert journal.follower.garbage == 5


def test_a_call_that_is_charged_nothing_gives_back_what_it_had_reserved(journal: Journal) -> None:
    add(journal.begin(1), encode_line("opened", {"id": "2"}), opened("1", 30), encode_line("call", make_record("2", {})))
    assert journal.state() == (0, 30)
    add(next(iter(sorted(journal.folder.iterdir()))), encode_line("call", make_record("1", {})))
    assert journal.state() == (0, 0)
    assert journal.follower.garbage == 0


def test_a_folder_that_is_not_there_has_nothing(tmp_path: Path) -> None:
    follower = Follower(tmp_path / "none", Ledger(BUDGETS))
    follower.recover()
    follower.catch_up_corrections()
    assert follower.checkpoint() == {"cells": {}, "open": {}, "read": {}}


def test_a_journal_cut_at_any_byte_is_never_read_as_less_than_what_is_on_file(journal: Journal) -> None:
    """The power may go at any byte: whoever was let through is charged at least what it cost."""
    path = journal.begin(1)
    head = path.stat().st_size
    add(path, opened("1", 30), opened("2", 50), extended("2", 70), call("1", 20), call("2", 60))
    whole = path.read_bytes()
    for end in range(head, len(whole) + 1):
        path.write_bytes(whole[:end])
        after = Journal(journal.folder)
        after.follower.recover()
        lines = whole[:end].count(b"\n") - 1
        assert after.state() == ((0, 30, 80, 100, 90, 80)[lines], 0)
