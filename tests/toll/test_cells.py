"""Cells: ids that can be read back, and sums over the buckets of rolling windows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.toll.cells import CellName, Cells, read_cell_id, read_scope, write_cell_id, write_scope

MINUTE_NS = 60 * 10**9  # a bucket of a rolling window of an hour


@given(
    scope=st.dictionaries(st.sampled_from(("agent", "model", "tag:a=b&c?")), st.text(st.characters(exclude_categories=["Cs"])), max_size=3),
    window=st.sampled_from(("", "2026-11", "2026-W47", "2026-11-21", "2026-11-21T07", "24h:29384")),
)
def test_an_id_says_all_and_can_be_read_back(scope: dict[str, str], window: str) -> None:
    name = CellName("agent-day", "usd", window, scope)
    id = write_cell_id(name)
    assert read_cell_id(id) == name
    assert read_scope(write_scope(scope)) == scope
    assert id.isascii() and " " not in id


def test_ids_as_the_journal_shows_them() -> None:
    name = CellName("day", "usd", "2026-11-21", {"agent": "a b/ü", "tag:x": "1"})
    assert write_cell_id(name) == "day.usd@2026-11-21?agent=a%20b%2F%C3%BC&tag%3Ax=1"
    assert write_cell_id(CellName("all", "tokens", "", {})) == "all.tokens@"
    assert write_scope({"agent": "\ud800"}) == "?agent=%3F", "half a character is none"


@pytest.mark.parametrize("id", ["", "x", "usd@2026-11", ".usd@2026-11", "a.eur@2026-11", "a.usd", "a.usd@2026-99", "a.usd@tomorrow?agent=x"])
def test_what_is_no_id(id: str) -> None:
    with pytest.raises(ValueError):
        read_cell_id(id)
    with pytest.raises(ValueError):
        Cells().find(id)


def test_a_cell_is_the_same_however_it_is_asked_for() -> None:
    cells = Cells()
    cell = cells.find("day.usd@2026-11-21?agent=x")
    assert cells.take("day.usd@2026-11-21", "?agent=x") is cell and cell.unit == 0
    assert cells.find("day.tokens@2026-11-21?agent=x") is not cell
    assert [one.id for one in cells] == ["day.usd@2026-11-21?agent=x", "day.tokens@2026-11-21?agent=x"]


def test_a_rolling_account_is_the_sum_of_the_buckets_that_count() -> None:
    cells = Cells()
    for bucket, spent, reserved in ((100, 1, 10), (101, 2, 20), (160, 4, 40)):
        cells.find(f"r.usd@1h:{bucket}?agent=x").add(spent, reserved)
    series = cells.families["r.usd@1h"].series["?agent=x"]
    assert (series.spent, series.reserved) == (7, 70)
    cells.advance("r.usd@1h", 161 * MINUTE_NS)  # of bucket 100 nothing is less than an hour old
    assert (series.spent, series.reserved) == (6, 60)
    old = cells.find("r.usd@1h:100?agent=x")
    old.add(8, -10)  # a call of long ago ends
    assert (series.spent, series.reserved) == (6, 60) and old.spent == 9
    cells.advance("r.usd@1h", 160 * MINUTE_NS)  # the clock is set back
    assert (series.spent, series.reserved) == (15, 60)
    cells.advance("r.usd@1h", 900 * MINUTE_NS)
    assert (series.spent, series.reserved) == (0, 0)
    cells.advance("unknown", 1)


def test_a_cell_made_in_a_bucket_that_does_not_count_is_in_no_sum() -> None:
    cells = Cells()
    cells.find("r.usd@1h:500").add(1, 0)
    cells.advance("r.usd@1h", 501 * MINUTE_NS)
    cells.find("r.usd@1h:100").add(2, 0)
    assert cells.families["r.usd@1h"].series[""].spent == 1


def test_what_is_long_past_is_forgotten_unless_something_is_reserved() -> None:
    cells = Cells()
    kept = cells.find("day.usd@2026-11-20?agent=x")
    kept.add(1, 1)
    cells.find("day.usd@2026-11-19?agent=x").add(1, 0)
    cells.find("all.usd@").add(1, 0)
    now_s = 1_795_179_600  # 2026-11-20T13:00:00Z
    bucket = now_s // 60
    for each in (bucket - 300, bucket):
        cells.find(f"r.usd@1h:{each}?agent={each}").add(1, 0)
    now_ns = now_s * 10**9
    assert cells.sweep(now_ns)
    assert "day.usd@2026-11-19" in cells.pages, "in the westernmost zone that day has ended an hour ago"
    assert not cells.sweep(now_ns)
    assert cells.sweep(now_ns + 24 * 60 * MINUTE_NS)
    assert {cell.id for cell in cells} == {"day.usd@2026-11-20?agent=x", "all.usd@"}
    assert not cells.families["r.usd@1h"].pages and not cells.families["r.usd@1h"].series
    kept.add(1, -1)
    assert cells.sweep(now_ns + 48 * 60 * MINUTE_NS)
    assert {cell.id for cell in cells} == {"all.usd@"}


def test_accounts_of_a_budget_are_dropped_but_for_those_to_keep_and_those_that_run() -> None:
    cells = Cells()
    for name, reserved in (("a", 0), ("b", 0), ("c", 5)):
        cells.find(f"task.usd@?task={name}").add(1, reserved)
    cells.find("other.usd@?task=a").add(1, 0)
    cells.drop_scopes("task", frozenset({"?task=b"}))
    assert {cell.id for cell in cells} == {"task.usd@?task=b", "task.usd@?task=c", "other.usd@?task=a"}
