"""The report on budgets: every account, the most used first, with and without a database."""

from __future__ import annotations

import msgspec
import pytest

from proxy.controlplane import show
from proxy.controlplane.budgets import budgets
from proxy.controlplane.forecast import HOUR_NS
from proxy.controlplane.reports import BadQuestion, Report
from proxy.controlplane.store import Loaded, Store, StoreAway
from proxy.toll.terms import Balance
from tests.controlplane.conftest import START_NS, call

NOW_NS = START_NS + 6 * HOUR_NS
DAY = {"per": "day", "starts_ns": START_NS, "resets_at_ns": START_NS + 24 * HOUR_NS}


def balance(name: str, scope: dict[str, str], limit: int | None, spent: int, reserved: int = 0, unit: str = "usd", **other: object) -> Balance:
    fields = {"mode": "enforce", "per": "lifetime", "starts_ns": None, "resets_at_ns": None} | other
    return Balance(budget=name, scope=scope, unit=unit, limit=limit, spent=spent, reserved=reserved, **fields)


BALANCES = [
    balance("all", {}, 100 * 10**9, 10**9),
    balance("agent-day", {"agent": "research er"}, 20 * 10**9, 12 * 10**9, 3 * 10**9, **DAY),
    balance("agent-day", {"agent": "writer", "model": "m"}, 2_000_000, 1_234_567, unit="tokens", **DAY),
    balance("gone", {}, None, 7, unit="calls", mode="gone", per="2026-09-21"),
    balance("none", {}, 0, 0, unit="calls"),
]


def rows(report: Report) -> list[dict]:
    return [dict(zip(report.columns, row, strict=True)) for row in report.rows]


def fill(store: Store) -> None:
    cell = "agent-day.usd@{}?agent=research%20er"
    calls = [
        call(1, charged={cell.format("2026-09-21"): 999}, started_ns=NOW_NS - HOUR_NS - 1),
        call(2, charged={cell.format("2026-09-21"): 10**9, "all.usd@": 5, "no cell": 3}, started_ns=NOW_NS - HOUR_NS),
        call(3, charged={cell.format("2026-09-22"): 10**9}, started_ns=NOW_NS - 1),
    ]
    store.load(Loaded(rows={"calls": [one[8:-2] for one in calls]}))


def test_every_account_has_what_is_left_and_a_forecast_the_most_used_first(store: Store) -> None:
    fill(store)
    made = rows(budgets(store.query, BALANCES, {}, 100, NOW_NS))
    assert [row["budget"] for row in made] == ["none", "agent-day", "agent-day", "all", "gone"]
    assert [row["used_percent"] for row in made] == [100.0, 75.0, 61.7, 1.0, None]
    day = made[1]
    assert (day["limit_amount"], day["spent_amount"], day["reserved_amount"], day["left_amount"]) == (20 * 10**9, 12 * 10**9, 3 * 10**9, 5 * 10**9)
    assert (day["resets_in_ns"], day["forecast_amount"], day["by_last_hour_amount"]) == (18 * HOUR_NS, 48 * 10**9, 48 * 10**9)
    assert (day["used_up_in_ns"], day["used_up_ns"]) == (HOUR_NS * 5 // 2, NOW_NS + HOUR_NS * 5 // 2)
    assert (made[0]["used_up_in_ns"], made[4]["left_amount"], made[4]["used_up_ns"]) == (0, None, None)


def test_without_the_database_only_the_last_hour_is_missing() -> None:
    def query(sql: str, values: object) -> tuple:
        raise StoreAway("being made again")

    made = budgets(query, BALANCES, {}, 100, NOW_NS)
    day = rows(made)[1]
    assert (day["by_last_hour_amount"], day["forecast_amount"], day["used_up_in_ns"]) == (None, 48 * 10**9, HOUR_NS * 5 // 2)
    assert "without the forecast by the last hour" in made.note


def test_accounts_are_picked_by_budget_unit_and_dimension(store: Store) -> None:
    for filters, found in (
        ({"budget": "all"}, ["all"]),
        ({"agent": "writer"}, ["agent-day"]),
        ({"unit": "calls"}, ["none", "gone"]),
        ({"budget": "agent-day", "tag:x": "y"}, []),
    ):
        assert [row["budget"] for row in rows(budgets(store.query, BALANCES, filters, 100, NOW_NS))] == found
    with pytest.raises(BadQuestion, match="choose from budget"):
        budgets(store.query, BALANCES, {"outcome": "ok"}, 100, NOW_NS)
    made = budgets(store.query, BALANCES, {}, 2, NOW_NS)
    assert (len(made.rows), made.note) == (2, "the most used of 5")


def test_the_table_fits_a_terminal_and_json_and_csv_are_exact(store: Store) -> None:
    fill(store)
    made = budgets(store.query, BALANCES, {}, 100, NOW_NS)
    lines = show.write_table(made).splitlines()
    assert max(map(len, lines)) <= 120
    assert [" ".join(lines[place].split()) for place in (0, 3, 4)] == [
        "budget scope unit limit spent reserved left resets in forecast by hour used up in",
        "agent-day agent=research er usd $20.00 $12.00 $3.00 $5.00 18 h 0 min $48.00 $48.00 2 h 30 min",
        "agent-day agent=writer model=m tokens 2M 1.23M 0 765.43k 18 h 0 min 4.93M 1.23M -",
    ]
    assert lines[2].split()[-1] == "now"
    item = msgspec.json.decode(show.write(made, "json"))["rows"][1]
    assert (item["limit_amount"], item["limit_usd"], item["scope"], item["resets_at"]) == (
        20 * 10**9,
        "20.00",
        {"agent": "research er"},
        "2026-09-22T14:13:20.000Z",
    )
    assert "limit_usd" not in msgspec.json.decode(show.write(made, "json"))["rows"][2]
    csv = show.write(made, "csv").splitlines()
    assert csv[0] == (
        "budget,scope,unit,mode,per,limit,spent,reserved,left,used_percent,starts,resets_at,resets_in_ns,forecast,by_last_hour,used_up,used_up_in_ns"
    )
    assert csv[2].startswith("agent-day,agent=research er,usd,enforce,day,20.00,12.00,3.00,5.00,75.0,")
