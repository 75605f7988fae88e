"""Lines of the journal for tests of the ledger: events with what the ledger needs of them, and else the least."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from proxy.record import Opened, Record

_LEAST = {
    "agent": "a", "rung": "path", "upstream": "up", "dialect": "openai", "format": "openai.chat", "operation": "chat", "method": "POST", "path": "/",
}  # fmt: skip


def make_opened(id: str, reserved: dict[str, int]) -> Opened:
    return Opened(id=id, started_ns=1, reserved=reserved, **_LEAST)


def make_record(id: str, charged: dict[str, int]) -> Record:
    return Record(id=id, started_ns=1, duration_ns=1, outcome="ok", charged=charged, **_LEAST)


def encode_line(name: str, event: Any) -> bytes:
    return msgspec.json.encode({name: event}) + b"\n"


def add(path: Path, *lines: bytes) -> None:
    """Append to a segment."""
    with path.open("ab") as file:
        file.write(b"".join(lines))


def read_events(folder: Path, name: str) -> list[Any]:
    """What all segments hold under one name, in order."""
    lines = (line for path in sorted(folder.iterdir()) for line in path.read_bytes().splitlines())
    return [event[name] for line in lines if name in (event := msgspec.json.decode(line))]
