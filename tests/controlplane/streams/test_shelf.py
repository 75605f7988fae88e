"""The shelf: files of streams, each replaced whole."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from proxy.controlplane.streams import shelf as module
from proxy.controlplane.streams.shelf import Shelf, TooLarge


def test_what_is_written_is_read_and_replaced_and_removed(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "drift")
    assert list(shelf.read()) == []
    shelf.write(("a", "b"), b"one")
    shelf.write(("ab", ""), b"other")
    shelf.write(("a", "b"), b"two")
    assert sorted(data for _, data in shelf.read()) == [b"other", b"two"]
    assert all(path.stat().st_mode & 0o077 == 0 for path, _ in shelf.read())
    shelf.remove(("a", "b"))
    shelf.remove(("a", "b"))
    assert [data for _, data in shelf.read()] == [b"other"]


def test_a_file_that_cannot_be_replaced_stays_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError("full")

    shelf = Shelf(tmp_path)
    shelf.write(("a",), b"one")
    monkeypatch.setattr(module.os, "replace", refuse)
    with pytest.raises(OSError, match="full"):
        shelf.write(("a",), b"two")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"one"]


def test_a_file_has_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_BYTES", 3)
    shelf = Shelf(tmp_path)
    shelf.write(("a",), b"one")
    with pytest.raises(TooLarge):
        shelf.write(("a",), b"three")
    assert [data for _, data in shelf.read()] == [b"one"]


def test_the_files_that_were_written_last_are_left(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    for second, name in enumerate("abc"):
        shelf.write((name,), name.encode())
        path = next(path for path, data in shelf.read() if data == name.encode())
        os.utime(path, (second, second))
    (tmp_path / "x.draft").write_bytes(b"left by one that was killed")
    shelf.trim(2)
    assert [data for _, data in shelf.read()] == [b"b", b"c"]
