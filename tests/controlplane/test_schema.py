"""The tables are the structs."""

from __future__ import annotations

from pathlib import Path

import duckdb
import msgspec

from proxy.controlplane import schema
from proxy.controlplane.store import Store
from proxy.record import Record
from tests.controlplane.conftest import Segments, add, call, ids, line, load_all


def test_columns_are_the_records_fields_in_their_order() -> None:
    assert list(schema.CALLS) == [field.name for field in msgspec.structs.fields(Record)]
    assert schema.CALLS["started_ns"] == "BIGINT" and schema.CALLS["stream"] == "BOOLEAN" and schema.CALLS["reset_tokens_s"] == "DOUBLE"


def test_an_older_file_gets_the_columns_it_lacks_and_keeps_its_rows(tmp_path: Path) -> None:
    with duckdb.connect(str(tmp_path / "db")) as old:
        old.execute("CREATE TABLE calls (id VARCHAR, started_ns BIGINT)")
        old.execute("INSERT INTO calls VALUES ('old', 1)")
    store = Store(tmp_path / "db")
    segments = Segments(tmp_path / "journal")
    add(segments.begin(1), call(1))
    reader = segments.reader()
    reader.restore(store)
    load_all(reader, store)
    assert ids(store) == ["call-1", "old"]
    assert store.query("SELECT agent FROM calls_now ORDER BY id")[1] == [("agent-1",), (None,)]
    store.close()


def test_of_several_corrections_the_last_word_on_each_figure_holds(segments: Segments, store: Store) -> None:
    add(segments.begin(1), call(1) + call(2))
    corrections = [
        {"id": "call-1", "at_ns": 2, "by": "tokenizer", "input_tokens": 7, "cost_nano_usd": 70},
        {"id": "call-1", "at_ns": 1, "by": "tokenizer", "input_tokens": 6, "output_tokens": 5},
    ]
    add(segments.begin(2, writer="c"), b"".join(line("correction", one) for one in corrections))
    reader = segments.reader()
    reader.restore(store)
    load_all(reader, store)
    rows = store.query("SELECT id, input_tokens, output_tokens, cost_nano_usd, corrected_by, started::VARCHAR FROM calls_now ORDER BY id")[1]
    assert rows == [("call-1", 7, 5, 70, "tokenizer", "2026-09-21 14:13:21"), ("call-2", 102, 10, 1002, None, "2026-09-21 14:13:22")]
