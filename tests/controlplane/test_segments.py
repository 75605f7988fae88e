"""Whose a segment is, and whether its writer is gone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from proxy.controlplane.segments import Segment, find_ended, identify, is_alive, list_names, parse_name


def make(start: int, pid: int, process: str, writer: str = "d") -> Segment:
    return Segment(name=f"{start:020d}-{writer}{pid}.ndjson", started_ns=start, writer=writer, pid=pid, process=process)


@pytest.mark.parametrize(("name", "writer", "pid"), [("00000000000000000007-d12.ndjson", "d", 12), ("00000000000000000007-12.ndjson", "d", 12)])
def test_a_name_tells_start_writer_and_pid(name: str, writer: str, pid: int) -> None:
    found = parse_name(name)
    assert found is not None
    assert (found.started_ns, found.writer, found.pid) == (7, writer, pid)


@pytest.mark.parametrize("name", ["batch.ndjson", "7-d12.ndjson", "00000000000000000007-d12.ndjson.swp", "00000000000000000007-dd12.ndjson"])
def test_other_files_are_no_segments(name: str) -> None:
    assert parse_name(name) is None


def test_names_come_oldest_first_and_a_missing_folder_has_none(tmp_path: Path) -> None:
    for start in (3, 1, 2):
        (tmp_path / make(start, 1, "").name).touch()
    (tmp_path / "other").touch()
    assert [int(name[:20]) for name in list_names(tmp_path)] == [1, 2, 3]
    assert list_names(tmp_path / "none") == []


def test_a_process_is_named_by_its_first_line() -> None:
    segment = make(1, 12, "")
    head = b'{"segment":{"version":1,"started_ns":1,"pid":12,"writer":"d"}}'
    assert identify(segment, head, dead=False) == ""
    assert identify(segment, head, dead=True) == "d12"
    assert identify(segment, head + b"\n", dead=False) == "d12"
    assert identify(segment, head[:-2] + b',"process_ns":5}}\n', dead=False) == "d12@5"
    assert identify(segment, b"garbage\n", dead=False) == "d12"


def test_who_is_gone_or_followed_has_ended() -> None:
    segments = [make(1, 1, "d1"), make(2, 2, "d2"), make(3, 2, "d2"), make(4, 9, "c9", "c"), make(5, 3, "", "d")]
    assert find_ended(segments, lambda pid: True) == {"d1"}
    assert find_ended(segments, lambda pid: pid == 2) == {"d1", "c9"}


def test_a_living_and_a_dead_process() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    assert is_alive(os.getpid())
    assert not is_alive(child.pid)
    assert is_alive(1)
