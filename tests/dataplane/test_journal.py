"""The journal's writer: every line reaches a file or waits; nothing is torn, nothing is lost in silence."""

import errno
import json
import os

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy.dataplane import journal
from proxy.dataplane.journal import JournalWriter
from proxy.record import Extended, Record


def record(number: int) -> Record:
    return Record(
        id=f"{number:026x}", started_ns=number, duration_ns=1, agent="a" * (number % 300), rung="path", upstream="up", dialect="openai",
        format="openai.chat", operation="chat", method="POST", path="/v1/chat/completions", outcome="ok",
    )  # fmt: skip


def lines(folder) -> list[dict]:
    return [json.loads(line) for path in sorted(folder.iterdir()) for line in path.read_bytes().splitlines()]


def test_segments_open_and_close_in_order(tmp_path):
    writer = JournalWriter(tmp_path, segment_bytes=2000)
    for number in range(40):
        writer.settled(record(number))
        writer.flush()
    writer.close()
    events = lines(tmp_path)
    assert [event["call"]["started_ns"] for event in events if "call" in event] == list(range(40))
    paths = sorted(tmp_path.iterdir())
    assert len(paths) > 3
    for path in paths:
        first, *middle, last = path.read_bytes().splitlines()
        assert json.loads(first)["segment"]["writer"] == "d" and json.loads(last)["closed"]["lines"] == len(middle)


def test_the_lines_of_a_turn_are_one_write(tmp_path, monkeypatch):
    disk = Disk(1_000_000)
    monkeypatch.setattr(journal, "os", disk)
    writer = JournalWriter(tmp_path, segment_bytes=1 << 20)
    before = disk.writes
    for number in range(5):
        writer.settled(record(number))
    assert disk.writes == before, "nothing is written before the end of the turn"
    writer.flush()
    assert (disk.writes, writer.lines) == (before + 1, 5)
    writer.close()
    assert len([event for event in lines(tmp_path) if "call" in event]) == 5


class Disk:
    """Stands in for `os`: room for so many bytes, then full, until `room` is given again."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.writes = 0

    def __getattr__(self, name):
        return getattr(os, name)

    def write(self, file: int, data: bytes) -> int:
        if self.room <= 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.writes += 1
        written = os.write(file, data[: self.room])
        self.room -= written
        return written


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(room=st.integers(0, 6000), count=st.integers(1, 30), again=st.integers(0, 30))
def test_a_full_disk_loses_nothing_and_tears_nothing(tmp_path_factory, room, count, again):
    folder = tmp_path_factory.mktemp("journal")
    disk = Disk(10_000_000)
    original, journal.os = journal.os, disk
    try:
        writer = JournalWriter(folder, segment_bytes=1500)
        disk.room = room
        for number in range(count):
            writer.settled(record(number))
            writer.flush()
        writer.flush()
        assert writer.lines + writer.waiting == count and writer.lost == 0
        disk.room = 10_000_000
        for number in range(count, count + again):
            writer.settled(record(number))
            writer.flush()
        writer.flush()
        writer.retry()
        assert writer.waiting == 0
        writer.close()
    finally:
        journal.os = original
    assert [event["call"]["started_ns"] for event in lines(folder) if "call" in event] == list(range(count + again))


def test_past_its_bound_the_oldest_are_given_up_and_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(journal, "_MAX_WAITING", 5)
    disk = Disk(10_000)
    monkeypatch.setattr(journal, "os", disk)
    writer = JournalWriter(tmp_path, segment_bytes=10_000)
    disk.room = 0
    for number in range(8):
        writer.settled(record(number))
        writer.flush()
    assert (writer.waiting, writer.lost) == (5, 3)
    disk.room = 100_000
    writer.close()
    assert [event["call"]["started_ns"] for event in lines(tmp_path) if "call" in event] == [3, 4, 5, 6, 7]


def test_each_segment_opens_with_a_checkpoint_of_the_lines_before_it(tmp_path):
    taken = []

    def checkpoint():
        taken.append(sum("call" in event for event in lines(tmp_path)))
        return {"cells": {"all.calls@": [taken[-1], 0]}, "open": {}, "read": {}}

    writer = JournalWriter(tmp_path, 2000, checkpoint)
    for number in range(40):
        writer.settled(record(number))
        writer.settled(record(number + 100))
        writer.flush()
    writer.close()
    assert len(taken) > 3 and taken[0] == 0
    calls = 0
    for path in sorted(tmp_path.iterdir()):
        events = [json.loads(line) for line in path.read_bytes().splitlines()]
        assert events[1]["checkpoint"]["cells"]["all.calls@"][0] == calls
        assert events[2]["checkpoint"]["whole"] is True
        calls += sum("call" in event for event in events)
    assert calls == 80


def test_no_segment_is_begun_while_lines_wait(tmp_path, monkeypatch):
    disk = Disk(100_000)
    monkeypatch.setattr(journal, "os", disk)
    writer = JournalWriter(tmp_path, 1000, lambda: {"cells": {}, "open": {}})
    disk.room = 0
    for number in range(20):
        writer.settled(record(number))
        writer.flush()
    assert (writer.waiting, len(list(tmp_path.iterdir()))) == (20, 1)
    disk.room = 100_000
    writer.retry()
    assert (writer.waiting, len(list(tmp_path.iterdir()))) == (0, 1)
    writer.settled(record(20))
    writer.flush()
    assert len(list(tmp_path.iterdir())) == 2


def test_where_no_segment_can_be_begun_the_old_one_goes_on(tmp_path, monkeypatch):
    class Refusing(Disk):
        def open(self, path, *others):
            raise OSError(errno.EMFILE, "Too many open files")

    writer = JournalWriter(tmp_path, 1000)
    monkeypatch.setattr(journal, "os", Refusing(10**9))
    for number in range(20):
        writer.settled(record(number))
        writer.flush()
    assert (writer.lines, writer.waiting, len(list(tmp_path.iterdir()))) == (20, 0, 1)
    monkeypatch.setattr(journal, "os", os)
    for number in range(20, 30):
        writer.settled(record(number))
        writer.flush()
    writer.close()
    assert len(list(tmp_path.iterdir())) > 1
    assert [event["call"]["started_ns"] for event in lines(tmp_path) if "call" in event] == list(range(30))


def test_a_large_checkpoint_does_not_fill_every_segment(tmp_path):
    cells = {f"agent.usd@?agent={number}": [number, 0] for number in range(1000)}
    writer = JournalWriter(tmp_path, 1000, lambda: {"cells": cells, "open": {}})
    for number in range(100):
        writer.settled(record(number))
        writer.flush()
    writer.close()
    assert len(list(tmp_path.iterdir())) <= 3


def test_a_segment_sorts_behind_all_that_are_there_though_the_clock_was_set_back(tmp_path):
    (tmp_path / f"{10**19:020d}-d5.ndjson").write_bytes(b"")
    (tmp_path / f"{10**19 + 5:020d}-c5.ndjson").write_bytes(b"")
    writer = JournalWriter(tmp_path, 1000)
    for number in range(10):
        writer.settled(record(number))
        writer.flush()
    writer.close()
    names = sorted(path.name for path in tmp_path.iterdir() if "-d" in path.name)
    assert names[0].endswith("-d5.ndjson") and len(names) > 2
    assert [event["call"]["started_ns"] for event in lines(tmp_path) if "call" in event] == list(range(10))


def test_an_extension_is_a_line(tmp_path):
    writer = JournalWriter(tmp_path, 1000)
    writer.extended(Extended(id="1", reserved_nano_usd=50, reserved={"all.usd@": 50}))
    writer.close()
    assert {"extended": {"id": "1", "reserved_nano_usd": 50, "reserved": {"all.usd@": 50}}} in lines(tmp_path)
