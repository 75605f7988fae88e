"""Corrections, orders and tasks reach the tables through the journal, whichever thread writes them."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest

from proxy.controlplane.journal_reader import JournalReader
from proxy.controlplane.journal_writer import JournalWriter
from proxy.controlplane.store import Store
from proxy.record import Correction, OrderEvent, TaskEvent
from tests.controlplane.conftest import Segments, load_all


def correct(number: int) -> Correction:
    return Correction(id=f"call-{number}", at_ns=number, by="tokenizer", input_tokens=number)


def test_corrections_are_loaded_once_also_over_segments(segments: Segments, store: Store) -> None:
    ticks = iter(range(10**18, 2 * 10**18))
    writer = JournalWriter(segments.folder, 250, lambda: next(ticks))
    reader = JournalReader(segments.folder)
    reader.restore(store)
    for number in range(10):
        writer.write(correct(number))
        load_all(reader, store)
    writer.close()
    load_all(reader, store)
    assert store.query("SELECT id, input_tokens FROM corrections ORDER BY at_ns")[1] == [(f"call-{number}", number) for number in range(10)]
    files = sorted(segments.folder.iterdir())
    assert len(files) > 2 and all(file.name.endswith(f"-c{os.getpid()}.ndjson") and b'"closed"' in file.read_bytes() for file in files)
    assert (reader.garbage, reader.torn, writer.written, writer.lost) == (0, 0, 10, 0)


def test_without_a_correction_there_is_no_segment(segments: Segments) -> None:
    JournalWriter(segments.folder, 1000).close()
    assert list(segments.folder.iterdir()) == []


def test_a_refused_correction_is_counted(tmp_path: Path) -> None:
    writer = JournalWriter(tmp_path / "not there", 1000)
    assert not writer.write(correct(1))
    writer.close()
    assert (writer.written, writer.lost) == (0, 1)


def test_a_segment_that_could_not_be_begun_leaves_nothing_behind(segments: Segments, monkeypatch: pytest.MonkeyPatch) -> None:
    writer, write = JournalWriter(segments.folder, 1000), os.write
    monkeypatch.setattr(os, "write", lambda file, line: write(file, line[:5]))
    assert not writer.write(correct(1)) and list(segments.folder.iterdir()) == []
    monkeypatch.undo()
    assert writer.write(correct(2)) and (writer.written, writer.lost) == (1, 1)
    writer.close()


def test_many_threads_write_whole_lines(segments: Segments) -> None:
    writer = JournalWriter(segments.folder, 500)

    def work(thread: int) -> None:
        for number in range(100):
            events = (correct(number), OrderEvent(at_ns=number, by=f"{thread}", verb="pause"), TaskEvent(task=f"{number}", at_ns=1, by=f"{thread}"))
            assert writer.write(events[number % 3])

    threads = [threading.Thread(target=work, args=(thread,)) for thread in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    writer.close()
    files = [[json.loads(line) for line in path.read_bytes().splitlines()] for path in sorted(segments.folder.iterdir())]
    assert all(list(lines[0]) == ["segment"] and lines[-1]["closed"]["lines"] == len(lines) - 2 for lines in files)
    names = [name for lines in files for line in lines[1:-1] for name in line]
    assert {name: names.count(name) for name in set(names)} == {"correction": 272, "order": 264, "task": 264} and writer.written == 800
