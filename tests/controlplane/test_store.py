"""The database file: locked, broken, foreign, too slow, and closed to the world."""

from __future__ import annotations

import datetime
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from proxy.controlplane.store import Keeper, Loaded, QueryTooLong, Store, StoreAway, StoreBroken, StoreBusy, connect
from tests.controlplane.conftest import call, ids

NOW = datetime.datetime(2026, 11, 21, 3, 4, 5, tzinfo=datetime.UTC)


def make_keeper(path: Path, waits: int = 0) -> tuple[Keeper, list[float]]:
    waited: list[float] = []

    def wait(seconds: float) -> bool:
        waited.append(seconds)
        return len(waited) > waits

    return Keeper(path, wait, lambda: NOW), waited


@pytest.mark.parametrize("content", [b"this is no database", b"\0" * 100_000, b""], ids=["text", "zeros", "empty"])
def test_a_broken_file_is_set_aside_with_its_log(tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "weighbridge.duckdb"
    path.write_bytes(content)
    path.with_name(path.name + ".wal").write_bytes(b"log")
    keeper, _ = make_keeper(path, waits=3)
    store = keeper.open()
    assert store is not None
    if content:
        aside = tmp_path / "weighbridge.duckdb.broken-20261121T030405000000Z"
        assert (aside.read_bytes(), aside.with_name(aside.name + ".wal").read_bytes(), keeper.rebuilds) == (content, b"log", 1)
        assert "set aside" in caplog.text
    assert ids(store) == []
    keeper.close()


def test_tables_of_another_version_are_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "db"
    Store(path).close()
    with duckdb.connect(str(path)) as other:
        other.execute("UPDATE meta SET value = '999'")
    with pytest.raises(StoreBroken, match="999"):
        Store(path)
    keeper, _ = make_keeper(path, waits=1)
    assert keeper.open() is not None and keeper.rebuilds == 1
    keeper.close()


def test_a_file_that_another_process_holds_is_waited_for_and_never_touched(tmp_path: Path) -> None:
    path = tmp_path / "db"
    Store(path).close()
    hold = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", hold, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None and other.stdout.readline() == b"held\n"
        with pytest.raises(StoreBusy):
            connect(path)
        keeper, waited = make_keeper(path, waits=2)
        assert keeper.open() is None
        assert (len(waited), keeper.rebuilds, [one.name for one in tmp_path.iterdir() if "broken" in one.name]) == (3, 0, [])
        with pytest.raises(StoreAway, match="cannot be opened yet"):
            _ = keeper.store
        other.communicate()
    keeper, waited = make_keeper(path)
    assert keeper.open() is not None and waited == []
    keeper.close()


def test_the_database_reaches_no_file_but_its_own(store: Store, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    for statement in (
        f"SELECT * FROM read_text('{tmp_path}/secret')",
        f"COPY (SELECT 1) TO '{tmp_path}/out.csv'",
        "SET enable_external_access = true",
    ):
        with pytest.raises(duckdb.Error):
            store.query(statement)


def test_a_query_over_its_time_is_interrupted_and_others_go_on(store: Store) -> None:
    with pytest.raises(QueryTooLong, match="shorter time"):
        store.query("SELECT count(*) FROM range(100000000) a, range(100000000) b WHERE a.range * b.range % 7 = 3", limit_s=0.2)
    store.load(Loaded(rows={"calls": [call(1)[8:-2]]}))
    assert ids(store) == ["call-1"]


def test_calls_that_no_table_can_hold_are_named_and_the_rest_is_loaded(store: Store) -> None:
    calls = [call(number)[8:-2] for number in range(20)]
    calls[3], calls[17] = b'{"id":"x","max_output_tokens":1e400}', b'{"id":"y","id":"z"}'
    assert store.load(Loaded(rows={"calls": calls})) == [3, 17]
    assert len(ids(store)) == 18


def test_the_file_can_be_read_while_nobody_writes(tmp_path: Path) -> None:
    store = Store(tmp_path / "db")
    store.load(Loaded(rows={"calls": [call(1)[8:-2]]}))
    store.close()
    reader = Store(tmp_path / "db", read_only=True)
    assert ids(reader) == ["call-1"]
    reader.close()


def test_what_is_too_old_is_forgotten_and_the_rest_stays(tmp_path: Path) -> None:
    store = Store(tmp_path / "w.duckdb")
    store.keep_verdicts([(f"c{at_ns}", at_ns, "any", "pass", "none", 1.0, "") for at_ns in (5, 10, 15)])
    store.keep_content([("c5", 5, "asked", "said", "[]")])
    assert store.forget("verdicts", 10) == 1 and store.forget("verdicts", 10) == 0
    assert store.query("SELECT id FROM verdicts ORDER BY id")[1] == [("c10",), ("c15",)]
    assert store.query("SELECT id FROM content")[1] == [("c5",)]
    assert store.forget("content", 10) == 1
    store.close()
