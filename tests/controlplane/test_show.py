"""Reports as text: exact money, and unknown that is never 0."""

from __future__ import annotations

import csv
import io
import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.controlplane import show
from proxy.controlplane.reports import Report

REPORT = Report(
    "report",
    ["agent", "calls", "input_tokens", "cost_nano_usd", "duration_p50_ns", "last_seen_ns", "stream"],
    [["=cmd|'/c calc'!A1", 2, None, None, None, 0, True], ["ünï\x1b[31m", 10, 0, 1_234_000, 1_500_000_000, 1_790_000_000_123_456_789, False]],
)


@pytest.mark.parametrize(
    ("nano", "text"),
    [
        (0, "0.00"),
        (1, "0.000000001"),
        (1_234_000, "0.001234"),
        (10**9, "1.00"),
        (2_500_000_000, "2.50"),
        (-1_500_000_000, "-1.50"),
        (10**27, "1" + "0" * 18 + ".00"),
    ],
)
def test_money_is_written_exactly(nano: int, text: str) -> None:
    assert show.write_usd(nano) == text


def test_a_share_is_read_at_a_glance_in_a_table_and_whole_elsewhere() -> None:
    report = Report("verdicts", ["agent", "share"], [["a", 5 / 13], ["b", 0.0]])
    assert [row[1] for row in show.lay_out(report)[1]] == ["0.385", "0"]
    assert str(5 / 13) in show.write_csv(report)


@given(st.integers(-(10**27), 10**27))
def test_money_read_again_is_the_same(nano: int) -> None:
    assert Decimal(show.write_usd(nano)).scaleb(9) == nano


def test_a_table_is_aligned_and_says_unknown() -> None:
    lines = show.write_table(REPORT).splitlines()
    assert lines[0].split() == ["agent", "calls", "input", "cost", "duration", "p50", "last", "seen", "stream"]
    assert lines[2].split()[-6:] == ["2", "unknown", "unknown", "unknown", "1970-01-01T00:00:00.000Z", "yes"]
    assert "$0.001234" in lines[3] and "1.50 s" in lines[3] and "2026-09-21T14:13:20.123Z" in lines[3]
    assert "\x1b" not in lines[3]
    assert lines[-1] == "2 rows"
    assert lines[2].index("1970") == lines[3].index("2026")


def test_csv_leaves_unknown_empty_and_runs_nothing() -> None:
    table = list(csv.DictReader(io.StringIO(show.write_csv(REPORT))))
    assert list(table[0]) == ["agent", "calls", "input_tokens", "cost_usd", "duration_p50_ns", "last_seen", "stream"]
    assert (table[0]["agent"][0], table[0]["cost_usd"], table[0]["input_tokens"]) == ("'", "", "")
    assert (table[1]["cost_usd"], table[1]["input_tokens"], table[1]["duration_p50_ns"]) == ("0.001234", "0", "1500000000")


def test_json_has_integers_and_exact_dollars() -> None:
    rows = json.loads(show.write(REPORT, "json"))["rows"]
    assert (rows[0]["cost_nano_usd"], rows[0]["cost_usd"]) == (None, None)
    assert (rows[1]["cost_nano_usd"], rows[1]["cost_usd"], rows[1]["last_seen_ns"]) == (1_234_000, "0.001234", 1_790_000_000_123_456_789)


def test_json_has_a_scope_as_text_too() -> None:
    report = Report("budgets", ["budget", "scope", "unit"], [["each", {"agent": "a", "model": "m"}, "calls"]])
    (row,) = json.loads(show.write(report, "json"))["rows"]
    assert (row["scope"], row["scope_text"]) == ({"agent": "a", "model": "m"}, "agent=a model=m")


@pytest.mark.parametrize(
    ("span", "text"),
    [(840_000, "840 µs"), (12_340_000, "12.3 ms"), (999_900_000, "1.00 s"), (1_240_000_000, "1.24 s"), (200_000_000_000, "3 min 20 s")],
)
def test_spans_are_for_people(span: int, text: str) -> None:
    assert show.write_span(span) == text


def test_a_table_without_rows_is_a_table() -> None:
    assert show.write_table(Report("calls", ["agent"], [], "cut")).splitlines() == ["agent", "─────", "0 rows; cut"]


def test_a_table_leaves_out_what_a_terminal_has_no_room_for_and_csv_keeps_it():
    columns = ["started_ns", "id", "agent", "task", "session", "cost_nano_usd"]
    report = Report("calls", columns, [[0, "call-1", "a", "t", None, None], [0, "call-2", "b", None, None, None]])
    head = show.write_table(report).splitlines()[0].split()
    assert head == ["started", "agent", "task", "cost"], "no row has a session; an unknown cost is a figure all the same"
    assert "call-1" in show.write_csv(report) and "session" in show.write_csv(report)


def test_a_name_that_is_empty_is_a_dash_and_no_gap() -> None:
    assert show.write_table(Report("report", ["upstream", "calls"], [["", 2]])).splitlines()[2].split() == ["-", "2"]


@pytest.mark.parametrize(
    ("amount", "unit", "text"),
    [
        (12_419_999_999, "usd", "$12.41"),
        (0, "usd", "$0.00"),
        (1_234_567, "usd", "$0.00123"),
        (999_999_999, "usd", "$0.999"),
        (120_000_000, "usd", "$0.12"),
        (1, "usd", "$0.000000001"),
        (-5_500_000_000, "usd", "-$5.50"),
        (9999, "tokens", "9999"),
        (10_000, "tokens", "10k"),
        (1_239_999, "tokens", "1.23M"),
        (-2_000_000_000, "tokens", "-2G"),
        (812, "calls", "812"),
    ],
)
def test_amounts_of_budgets_are_short_and_never_rounded_up(amount: int, unit: str, text: str) -> None:
    assert show.write_amount(amount, unit) == text


@pytest.mark.parametrize(("minutes", "text"), [(119, "119 min 0 s"), (120, "2 h 0 min"), (2879, "47 h 59 min"), (2880, "2 d 0 h")])
def test_long_spans_have_hours_or_days(minutes: int, text: str) -> None:
    assert show.write_span(minutes * 60 * 10**9) == text
