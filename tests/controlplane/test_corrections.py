"""Corrections reach the tables through the journal."""

from __future__ import annotations

import os
from pathlib import Path

from proxy.controlplane.corrections import CorrectionWriter
from proxy.controlplane.journal_reader import JournalReader
from proxy.controlplane.store import Store
from proxy.record import Correction
from tests.controlplane.conftest import Segments, load_all


def correct(number: int) -> Correction:
    return Correction(id=f"call-{number}", at_ns=number, by="tokenizer", input_tokens=number)


def test_corrections_are_loaded_once_also_over_segments(segments: Segments, store: Store) -> None:
    ticks = iter(range(10**18, 2 * 10**18))
    writer = CorrectionWriter(segments.folder, 250, lambda: next(ticks))
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
    CorrectionWriter(segments.folder, 1000).close()
    assert list(segments.folder.iterdir()) == []


def test_a_refused_correction_is_counted(tmp_path: Path) -> None:
    writer = CorrectionWriter(tmp_path / "not there", 1000)
    writer.write(correct(1))
    writer.close()
    assert (writer.written, writer.lost) == (0, 1)
