"""Every event once: whatever is torn, garbage, restarted or cut into batches."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy.controlplane.journal_reader import JournalReader
from proxy.controlplane.store import Store
from tests.controlplane.conftest import START_NS, Segments, add, call, closed, ids, line, load_all, make_record, opened


def load_fresh(segments: Segments, store: Store, **other: object) -> tuple[JournalReader, list]:
    reader = segments.reader(**other)
    reader.restore(store)
    return reader, load_all(reader, store)


def test_a_call_becomes_a_row_with_all_its_fields_and_defaults(segments: Segments, store: Store) -> None:
    record = make_record(1, error='a "quoted"\nerror, ünïcode', reset_tokens_s=1.5, stream=True, team="t")
    add(segments.begin(1), line("call", record))
    load_fresh(segments, store)
    names, rows = store.query("SELECT * FROM calls")
    assert rows == [msgspec.structs.astuple(record)]
    assert names == [field.name for field in msgspec.structs.fields(type(record))]


def test_new_lines_are_loaded_once_also_after_a_restart(segments: Segments, store: Store) -> None:
    segments.alive.add(11)
    path = segments.begin(1)
    add(path, call(1))
    reader, _ = load_fresh(segments, store)
    add(path, call(2))
    load_all(reader, store)
    assert ids(store) == ["call-1", "call-2"]
    load_fresh(segments, store)
    assert ids(store) == ["call-1", "call-2"]


def test_a_torn_line_of_a_living_writer_waits_for_its_end(segments: Segments, store: Store) -> None:
    segments.alive.add(11)
    path = segments.begin(1)
    add(path, call(1)[:50])
    reader, _ = load_fresh(segments, store)
    assert (ids(store), reader.torn) == ([], 0)
    add(path, call(1)[50:])
    load_all(reader, store)
    assert (ids(store), reader.torn, reader.garbage) == (["call-1"], 0, 0)


def test_a_torn_line_of_a_dead_writer_is_counted_once(segments: Segments, store: Store) -> None:
    add(segments.begin(1), call(1) + call(2)[:-1])
    reader, _ = load_fresh(segments, store)
    assert (ids(store), reader.torn, reader.garbage) == (["call-1"], 1, 0)
    assert load_fresh(segments, store)[0].torn == 0


def test_garbage_is_counted_and_stops_nothing(segments: Segments, store: Store) -> None:
    huge = line("call", make_record(7)).replace(b'"input_tokens":107', b'"input_tokens":99999999999999999999999')
    twice = line("call", make_record(8)).replace(b'"agent":', b'"agent":"x","agent":')
    half = line("call", make_record(9)).replace(b"agent-0", b"\\ud800")
    bad = [
        b"\n",
        b"nonsense\n",
        b"{}\n",
        b'{"call":{}}\n',
        b'{"call":5}\n',
        b"\xff\xfe\x00\n",
        huge,
        twice,
        half,
        b"[" * 5000 + b"\n",
        b'{"opened":{"id":1}}\n',
    ]
    add(segments.begin(1), b"".join(garbage + call(number) for number, garbage in enumerate(bad, 20)) + b'{"later_event":{"a":1}}\n')
    reader, observed = load_fresh(segments, store)
    assert len(ids(store)) == len(bad) == reader.garbage == len(observed)
    assert reader.unknown == 1


def test_a_line_longer_than_any_of_ours_is_skipped(segments: Segments, store: Store) -> None:
    add(segments.begin(1), b"x" * 100_000 + b"\n" + call(1))
    load_fresh(segments, store, chunk_bytes=4096)
    assert ids(store) == ["call-1"]


def test_an_unusable_correction_is_left_out(segments: Segments, store: Store) -> None:
    good = {"id": "call-1", "at_ns": 5, "by": "tokenizer", "input_tokens": 7}
    add(
        segments.begin(1, writer="c"),
        line("correction", good | {"at_ns": 10**30 // 10**12}) + line("correction", good).replace(b":7", b":" + b"9" * 25),
    )
    add(segments.begin(2), call(1))
    load_fresh(segments, store)
    assert store.query("SELECT input_tokens, output_tokens, corrected_by FROM calls_now")[1] == [(7, 10, "tokenizer")]


def test_an_opened_call_of_a_dead_process_is_closed_as_crashed(segments: Segments, store: Store) -> None:
    add(segments.begin(1), opened(1) + opened(2) + call(1))
    reader, observed = load_fresh(segments, store)
    assert ids(store, "outcome = 'weighbridge_crashed'") == ["call-2"]
    row = store.query("SELECT agent, input_tokens, cost_nano_usd, duration_ns, usage_source FROM calls WHERE id = 'call-2'")[1]
    assert row == [("agent-2", None, None, None, "none")]
    assert (reader.crashed, [one.outcome for one in observed]) == (1, ["ok", "weighbridge_crashed"])
    load_fresh(segments, store)
    assert ids(store) == ["call-1", "call-2"]


def test_an_opened_call_of_a_living_process_waits_also_over_segments_and_restarts(segments: Segments, store: Store) -> None:
    segments.alive.add(11)
    add(segments.begin(1), opened(1) + opened(2) + opened(3) + closed(3))
    second = segments.begin(2)
    add(second, call(1))
    load_fresh(segments, store)
    add(second, call(2))
    reader, _ = load_fresh(segments, store)
    assert ids(store) == ["call-1", "call-2"]
    segments.alive.clear()
    load_all(reader, store)
    assert ids(store, "outcome <> 'ok'") == ["call-3"]
    load_fresh(segments, store)
    assert len(ids(store)) == 3


@pytest.mark.parametrize("restarted", [False, True])
def test_a_crashed_call_is_charged_what_it_had_reserved_in_the_end(segments: Segments, store: Store, restarted: bool) -> None:
    segments.alive.add(11)
    first, second = segments.begin(1), segments.begin(2)
    add(first, b"".join(opened(number, reserved={"day.usd@x": 70}, reserved_nano_usd=70) for number in (1, 2)))
    add(second, b"".join(line("extended", {"id": id, "reserved_nano_usd": 90, "reserved": {"day.usd@x": 90}}) for id in ("call-1", "call-9")))
    for _ in range(1 + restarted):
        reader, _ = load_fresh(segments, store)
    segments.alive.clear()
    load_all(reader, store)
    rows = store.query("SELECT id, cost_nano_usd, cost_source, charged FROM calls_now ORDER BY id")[1]
    assert rows == [("call-1", 90, "presumed", {"day.usd@x": 90}), ("call-2", 70, "presumed", {"day.usd@x": 70})]


def test_the_ledgers_checkpoint_is_no_concern_of_the_tables(segments: Segments, store: Store) -> None:
    add(segments.begin(1), line("checkpoint", {"cells": {"day.usd@2026-09-21": [1, 0]}}) + line("checkpoint", {"whole": True}) + call(1))
    reader, _ = load_fresh(segments, store)
    assert (ids(store), reader.lines, reader.unknown, reader.garbage) == (["call-1"], 4, 0, 0)


def test_a_process_is_over_when_another_of_its_plane_has_begun(segments: Segments, store: Store) -> None:
    segments.alive.update({11, 12})
    add(segments.begin(1, pid=11), opened(1))
    reader, _ = load_fresh(segments, store)
    assert ids(store) == []
    add(segments.begin(2, pid=12), opened(2))
    load_all(reader, store)
    assert ids(store) == ["call-1"]


def test_two_processes_with_one_pid_are_told_apart(segments: Segments, store: Store) -> None:
    segments.alive.add(11)
    add(segments.begin(1, process_ns=1), opened(1))
    add(segments.begin(2, process_ns=2), opened(2))
    load_fresh(segments, store)
    assert ids(store) == ["call-1"]


def test_a_segment_killed_before_its_first_line_holds_nothing_up(segments: Segments, store: Store) -> None:
    path = segments.begin(1)
    path.write_bytes(path.read_bytes()[:10])
    reader, _ = load_fresh(segments, store)
    assert (reader.torn, reader.waiting_bytes()) == (1, 0)


def test_pruning_deletes_only_what_is_loaded_and_ended(segments: Segments, store: Store) -> None:
    segments.alive.add(11)
    first, second, third = segments.begin(1), segments.begin(2), segments.begin(3)
    add(first, call(1) + closed(1))
    add(second, opened(2) + closed(1))
    add(third, call(3))
    for path in (first, second, third):
        os.utime(path, (1, 1))
    reader = segments.reader()
    reader.restore(store)
    assert reader.prune(store, 1e9, 1, 10**12) == 0
    load_all(reader, store)
    assert reader.prune(store, 86400, 1, 10**12) == 0
    assert reader.prune(store, 1e9, 1, 10**12) == 1
    assert (first.exists(), second.exists(), third.exists()) == (False, True, True)
    add(third, call(2))
    load_all(reader, store)
    assert reader.prune(store, 2, 1, 10) == 1
    assert (second.exists(), third.exists()) == (False, True)
    load_fresh(segments, store)
    assert ids(store) == ["call-1", "call-2", "call-3"]


def test_pruning_leaves_the_ledger_its_newest_checkpoint_and_what_it_may_not_have_counted(segments: Segments, store: Store) -> None:
    first, corrections, second = segments.begin(1), segments.begin(2, writer="c"), segments.begin(3)
    for path in (first, corrections, second):
        add(path, closed())
        os.utime(path, (1, 1))
    written_s = START_NS / 1e9 + 60  # after the newest segment was begun
    os.utime(corrections, (written_s, written_s))
    reader, _ = load_fresh(segments, store)
    assert reader.prune(store, 1e11, 1, 0) == 1
    assert (first.exists(), corrections.exists(), second.exists()) == (False, True, True)
    os.utime(corrections, (1, 1))
    assert reader.prune(store, 1e11, 1, 0) == 1
    assert (corrections.exists(), second.exists()) == (False, True)


def test_the_checkpoint_of_the_ledger_is_no_row_and_no_garbage(segments: Segments, store: Store) -> None:
    path = segments.begin(1)
    add(path, line("checkpoint", {"read": {}, "whole": True}) + call(1) + closed(2))
    reader, _ = load_fresh(segments, store)
    assert (ids(store), reader.garbage, reader.unknown) == (["call-1"], 0, 0)


def test_in_a_rebuild_only_new_calls_are_observed(segments: Segments, store: Store) -> None:
    segments.alive.add(11)
    path = segments.begin(1)
    add(path, call(1))
    reader = segments.reader()
    reader.restore(store, seen=True)
    add(path, call(2))
    assert [one.id for one in load_all(reader, store)] == ["call-2"]
    assert ids(store) == ["call-1", "call-2"]


def test_a_failed_transaction_leaves_nothing_behind(segments: Segments, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    add(segments.begin(1), call(1) + call(2))
    reader = segments.reader()
    reader.restore(store)
    with monkeypatch.context() as patch:
        patch.setattr("proxy.controlplane.schema.load_statement", lambda table, path: "SELECT no_such_column")
        with pytest.raises(Exception, match="no_such_column"):
            reader.step(store, lambda _: None)
    reader.restore(store)
    assert len(load_all(reader, store)) == 2
    assert ids(store) == ["call-1", "call-2"]


EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("call"), st.integers(0, 40)),
        st.tuples(st.just("opened"), st.integers(0, 40)),
        st.tuples(st.just("garbage"), st.binary(max_size=40).filter(lambda data: b"\n" not in data)),
    ),
    max_size=40,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    parts=st.lists(EVENTS, min_size=1, max_size=4),
    cut=st.integers(0, 2000),
    rows=st.integers(1, 9),
    chunk=st.sampled_from([2048, 5000, 10**6]),
    stops=st.sets(st.integers(0, 60)),
)
def test_any_journal_is_loaded_exactly_once(parts: list, cut: int, rows: int, chunk: int, stops: set[int]) -> None:
    """Any lines in any segments, the last one cut anywhere; any batch size; the reader forgotten at any step."""
    expected_calls: dict[str, int] = {}
    with tempfile.TemporaryDirectory() as name:
        segments = Segments(Path(name) / "journal")
        done: set[int] = set()
        for number, part in enumerate(parts):
            path, open_now, whole = segments.begin(number, pid=100 + number), set(), True
            data, lines = b"", []
            for kind, value in part:
                if kind == "garbage":
                    lines.append((kind, value, value + b"\n"))
                elif kind == "call" and value not in done:
                    done.add(value)
                    lines.append((kind, value, call(value + 1000 * number)))
                elif kind == "opened" and value not in done:
                    lines.append((kind, value, opened(value + 1000 * number)))
            for kind, value, text in lines:
                whole = number < len(parts) - 1 or len(data) + len(text) <= cut
                data += text
                if whole and kind == "call":
                    open_now.discard(value)
                    expected_calls[f"call-{value + 1000 * number}"] = 1
                elif whole and kind == "opened":
                    open_now.add(value)
            add(path, data if number < len(parts) - 1 else data[:cut])
            expected_calls |= {f"call-{value + 1000 * number}": 1 for value in open_now}
        store = Store(Path(name) / "db")
        reader = segments.reader(batch_rows=rows, chunk_bytes=chunk)
        reader.restore(store)
        for step in range(10_000):
            if step in stops:
                reader = segments.reader(batch_rows=rows, chunk_bytes=chunk)
                reader.restore(store)
            if not reader.step(store, lambda _: None) and step > max(stops, default=0):
                break
        assert dict(store.query("SELECT id, count(*) FROM calls GROUP BY id")[1]) == expected_calls
        store.close()
