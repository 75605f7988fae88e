"""A journal to write by hand, and a store to load it into."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from proxy.controlplane.journal_reader import JournalReader
from proxy.controlplane.store import Store
from proxy.record import Opened, Record

START_NS = 1_790_000_000_000_000_000


def make_opened(number: int, **other: object) -> Opened:
    fields = {"id": f"call-{number}", "started_ns": START_NS + number * 10**9, "agent": f"agent-{number % 3}", "rung": "path", "upstream": "demo"}
    fields |= {
        "dialect": "openai",
        "format": "openai_chat",
        "operation": "chat",
        "method": "POST",
        "path": "/v1/chat/completions",
        "model_asked": "m",
    }
    return Opened(**(fields | other))


def make_record(number: int, **other: object) -> Record:
    fields = msgspec.structs.asdict(make_opened(number)) | {"duration_ns": 10**9 + number, "outcome": "ok", "status": 200, "model": f"m-{number % 2}"}
    del fields["reserved"]
    fields |= {"input_tokens": 100 + number, "output_tokens": 10, "usage_source": "reported", "cost_nano_usd": 1000 + number, "cost_source": "book"}
    return Record(**(fields | other))


def line(name: str, event: object) -> bytes:
    return msgspec.json.encode({name: event}) + b"\n"


def call(number: int, **other: object) -> bytes:
    return line("call", make_record(number, **other))


def opened(number: int, **other: object) -> bytes:
    return line("opened", make_opened(number, **other))


def closed(lines: int = 0) -> bytes:
    return line("closed", {"at_ns": START_NS, "lines": lines})


class Segments:
    """A journal folder whose segments the test writes; `alive` are the pids that live."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.alive: set[int] = set()
        folder.mkdir(parents=True, exist_ok=True)

    def begin(self, number: int, pid: int = 11, process_ns: int | None = None, writer: str = "d") -> Path:
        """An empty segment with its first line."""
        path = self.folder / f"{START_NS + number:020d}-{writer}{pid}.ndjson"
        head = {"version": 1, "started_ns": START_NS + number, "pid": pid, "writer": writer}
        if process_ns is not None:
            head["process_ns"] = process_ns
        path.write_bytes(line("segment", head))
        return path

    def reader(self, **other: object) -> JournalReader:
        return JournalReader(self.folder, alive=lambda pid: pid in self.alive, **other)


def add(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


def load_all(reader: JournalReader, store: Store) -> list:
    """Step until nothing is new; what was observed."""
    observed: list = []
    while reader.step(store, observed.extend):
        continue
    return observed


def ids(store: Store, where: str = "true") -> list[str]:
    return [row[0] for row in store.query(f"SELECT id FROM calls WHERE {where} ORDER BY id")[1]]


@pytest.fixture
def segments(tmp_path: Path) -> Segments:
    return Segments(tmp_path / "journal")


@pytest.fixture
def open_store(tmp_path: Path) -> Iterator[Callable[[], Store]]:
    """Opens the test's one database, again after it was closed."""
    stores: list[Store] = []

    def open_it() -> Store:
        stores.append(Store(tmp_path / "weighbridge.duckdb"))
        return stores[-1]

    yield open_it
    for store in stores:
        store.close()


@pytest.fixture
def store(open_store: Callable[[], Store]) -> Store:
    return open_store()
