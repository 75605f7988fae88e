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


def load_corrections(segments: Segments, store: Store, calls: bytes, corrections: list[dict]) -> None:
    add(segments.begin(1), calls)
    add(segments.begin(2, writer="c"), b"".join(line("correction", one) for one in corrections))
    reader = segments.reader()
    reader.restore(store)
    load_all(reader, store)


def test_what_a_call_is_charged_is_its_charge_and_every_adjustment(segments: Segments, store: Store) -> None:
    charged = {"day.usd@2026-09-21?agent=a": 1000, "day.calls@2026-09-21?agent=a": 1}
    corrections = [
        {"id": "call-1", "at_ns": 1, "by": "tokenizer", "adjusted": {"day.usd@2026-09-21?agent=a": -300}},
        {"id": "call-1", "at_ns": 2, "by": "jo", "adjusted": {"day.usd@2026-09-21?agent=a": 50, "new.usd@": 750}},
        {"id": "call-2", "at_ns": 2, "by": "jo", "cost_nano_usd": 0},
    ]
    load_corrections(segments, store, call(1, charged=charged) + call(2, charged=charged) + call(3), corrections)
    assert store.query("SELECT id, charged FROM calls_now ORDER BY id")[1] == [
        ("call-1", {"day.calls@2026-09-21?agent=a": 1, "day.usd@2026-09-21?agent=a": 750, "new.usd@": 750}),
        ("call-2", charged),
        ("call-3", {}),
    ]


def test_an_operators_word_holds_before_the_tokenizers_and_is_a_source_of_its_own(segments: Segments, store: Store) -> None:
    corrections = [
        {"id": "call-1", "at_ns": 1, "by": "jo", "cost_nano_usd": 0},
        {"id": "call-1", "at_ns": 2, "by": "tokenizer", "input_tokens": 7, "output_tokens": 8, "cost_nano_usd": 70},
        {"id": "call-2", "at_ns": 3, "by": "tokenizer", "input_tokens": 7, "output_tokens": 8, "cost_nano_usd": 70},
        {"id": "call-3", "at_ns": 3, "by": "jo", "input_tokens": 5, "output_tokens": 5},
    ]
    load_corrections(segments, store, call(1) + call(2) + call(3), corrections)
    assert store.query("SELECT id, input_tokens, cost_nano_usd, cost_source, usage_source, corrected_by FROM calls_now ORDER BY id")[1] == [
        ("call-1", 7, 0, "settled", "reported", "jo"),
        ("call-2", 7, 70, "book", "reported", "tokenizer"),
        ("call-3", 5, 1003, "book", "settled", "jo"),
    ]


def test_orders_and_tasks_are_rows(segments: Segments, store: Store) -> None:
    events = [
        line("order", {"at_ns": 1, "by": "jo", "verb": "pause", "dimension": "agent", "value": "a", "reason": "loops"}),
        line("task", {"task": "t", "at_ns": 2, "by": "jo", "usd": 1.5, "calls": 3}),
        line("task", {"task": "t", "at_ns": 3, "by": "jo", "outcome": "succeeded"}),
        line("order", {"at_ns": 4}),
    ]
    add(segments.begin(1, writer="c"), b"".join(events))
    reader = segments.reader()
    reader.restore(store)
    load_all(reader, store)
    assert store.query("SELECT * FROM orders")[1] == [(1, "jo", "pause", "agent", "a", False, "loops", None, None)]
    rows = store.query("SELECT task, at_ns, usd, tokens, calls, outcome FROM tasks ORDER BY at_ns")[1]
    assert rows == [("t", 2, 1.5, None, 3, None), ("t", 3, None, None, None, "succeeded")]
    assert reader.garbage == 1


def test_alarms_are_rows(segments: Segments, store: Store) -> None:
    alarm = {"at_ns": 5, "call": "c", "agent": "a", "severity": "certain", "kind": "output", "answer": 400, "began": 390, "evidence": 1e300}
    alarm |= {"alpha": 1e-4, "baseline": 1, "cause": "why", "moves": [["characters", 800.5, 20.0]], "wire": [["upstream", "u", "v"]]}
    alarm |= {"before": ["c1"], "after": ["c2", "c3"]}
    add(segments.begin(1, writer="c"), line("alarm", alarm) + line("alarm", {"at_ns": 5}))
    reader = segments.reader()
    reader.restore(store)
    load_all(reader, store)
    rows = store.query("SELECT agent, team, answer, evidence, moves->>'$[0][0]', wire->>'$[0][2]', after->>'$[1]' FROM alarms")[1]
    assert rows == [("a", None, 400, 1e300, "characters", "v", "c3")]
    assert reader.garbage == 1
