"""What a process takes of its machine grows with what it holds and does."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy import footprint


def test_memory_and_cpu_grow_with_what_is_held_and_done() -> None:
    before = footprint.measure()
    held = bytearray(b"\1" * 32 * 1024 * 1024)
    after = footprint.measure()
    assert after.memory_bytes - before.memory_bytes > 0.9 * len(held)
    assert after.cpu_ns > before.cpu_ns > 0


def test_a_system_that_does_not_tell_is_no_failure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for text in (None, b"", b"1 x"):
        path = tmp_path / "statm"
        if text is not None:
            path.write_bytes(text)
        monkeypatch.setattr("proxy.footprint._PAGES", str(path))
        assert footprint.measure().memory_bytes == 0
