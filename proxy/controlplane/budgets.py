"""The report on budgets: how every account stands, what it will have spent at the end of its window, and when it will be used up.

What is spent and reserved is the ledger's word, also while the database is away; only the forecast by the last hour needs the database.
Amounts are integers in the unit of their row: nano-USD, tokens or calls.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import duckdb

from proxy.controlplane.forecast import HOUR_NS, look_ahead
from proxy.controlplane.reports import BadQuestion, Query, Report
from proxy.controlplane.store import QueryTooLong, StoreAway
from proxy.rules import is_dimension
from proxy.toll.cells import read_cell_id
from proxy.toll.terms import Balance

COLUMNS = [
    "budget", "scope", "unit", "mode", "per", "limit_amount", "spent_amount", "reserved_amount", "left_amount", "used_percent", "starts_ns",
    "resets_at_ns", "resets_in_ns", "forecast_amount", "by_last_hour_amount", "used_up_ns", "used_up_in_ns",
]  # fmt: skip
_SPENT = (
    "SELECT cell, sum(amount)::BIGINT FROM (SELECT unnest(map_keys(charged)) AS cell, unnest(map_values(charged)) AS amount FROM calls_now "
    "WHERE started_ns >= ? AND cardinality(charged) > 0) GROUP BY cell"
)
Account = tuple[str, str, frozenset[tuple[str, str]]]


def budgets(query: Query, balances: Sequence[Balance], filters: Mapping[str, str], last: int, now_ns: int) -> Report:
    """Every account that matches, the most used first. `filters`: `budget`, `unit`, or a dimension of the account. Raises `BadQuestion`."""
    wanted = [one for one in balances if _matches(one, filters)]
    spent, note = _spend_of_last_hour(query, now_ns) if wanted else ({}, "")
    shown = sorted(wanted, key=lambda one: (-_share(one), one.budget, sorted(one.scope.items()), one.unit))[:last]
    if len(shown) < len(wanted):
        note = "; ".join(part for part in (f"the most used of {len(wanted)}", note) if part)
    return Report("budgets", COLUMNS, [_make_row(one, None if spent is None else spent.get(account_of(one), 0), now_ns) for one in shown], note)


def account_of(balance: Balance) -> Account:
    """What tells an account from all others, in any of its windows."""
    return balance.budget, balance.unit, frozenset(balance.scope.items())


def _matches(balance: Balance, filters: Mapping[str, str]) -> bool:
    for name, value in filters.items():
        if name in ("budget", "unit"):
            found = getattr(balance, name)
        elif is_dimension(name):
            found = balance.scope.get(name)
        else:
            raise BadQuestion(f"{name[:40]!r} is nothing to filter budgets by; choose from budget, unit, agent, task and the other dimensions")
        if found != value:
            return False
    return True


def _spend_of_last_hour(query: Query, now_ns: int) -> tuple[dict[Account, int] | None, str]:
    """(what each account was charged for calls begun in the last hour, or None, why not)."""
    try:
        _, rows = query(_SPENT, [now_ns - HOUR_NS])
    except (StoreAway, QueryTooLong, duckdb.Error):
        return None, "without the forecast by the last hour: the database cannot be asked"
    spent: dict[Account, int] = {}
    for text, amount in rows:
        try:
            cell = read_cell_id(text)
        except ValueError:  # no ledger of ours has written it
            continue
        account = (cell.budget, cell.unit, frozenset(cell.scope.items()))
        spent[account] = spent.get(account, 0) + amount
    return spent, ""


def _share(balance: Balance) -> float:
    """How much of the limit is used, 1.0 for all."""
    used = balance.spent + balance.reserved
    if balance.limit:
        return used / balance.limit
    return 0.0 if balance.limit is None else 1.0


def _make_row(balance: Balance, last_hour: int | None, now_ns: int) -> list[Any]:
    forecast = look_ahead(balance, last_hour, now_ns)
    return [
        balance.budget,
        balance.scope,
        balance.unit,
        balance.mode,
        balance.per,
        balance.limit,
        balance.spent,
        balance.reserved,
        None if balance.limit is None else balance.limit - balance.spent - balance.reserved,
        None if balance.limit is None else round(_share(balance) * 100, 1),
        balance.starts_ns,
        balance.resets_at_ns,
        _span(balance.resets_at_ns, now_ns),
        forecast.at_end,
        forecast.by_last_hour,
        forecast.used_up_ns,
        _span(forecast.used_up_ns, now_ns),
    ]


def _span(moment_ns: int | None, now_ns: int) -> int | None:
    return None if moment_ns is None else max(0, moment_ns - now_ns)
