"""How accounts stand: those known before a call, those used, and those whose budget is gone."""

from __future__ import annotations

from proxy.orders import TaskBudget
from proxy.rules import Budget, Key
from proxy.toll.ledger import Ledger
from proxy.toll.subject import Subject
from proxy.toll.terms import Balance, Weight

NOW_NS = 1_795_251_600 * 10**9  # 2026-11-21T09:00:00Z
HOUR_NS = 3600 * 10**9
MIDNIGHT_NS = NOW_NS - 9 * HOUR_NS


def standing(ledger: Ledger, now_ns: int = NOW_NS) -> dict[tuple, tuple]:
    return {
        (one.budget, one.unit, *one.scope.values()): (one.mode, one.limit, one.spent, one.reserved) for one in ledger.balances(now_ns)
    }


def test_an_account_with_all_that_is_said_of_it() -> None:
    ledger = Ledger([Budget("day", usd=1.0, tokens=5, per="day", each=["agent"], mode="strict")])
    ledger.reserve("1", Subject("x", "up"), Weight(30, 2), None, NOW_NS)
    assert ledger.balances(NOW_NS)[0] == Balance(
        budget="day", unit="usd", mode="strict", per="day", scope={"agent": "x"}, limit=10**9, spent=0, reserved=30, starts_ns=MIDNIGHT_NS,
        resets_at_ns=MIDNIGHT_NS + 24 * HOUR_NS,
    )  # fmt: skip
    assert [one.unit for one in ledger.balances(NOW_NS)] == ["usd", "tokens"]
    assert ledger.balances(NOW_NS + 24 * HOUR_NS) == [], "nobody has used the new day"


def test_accounts_that_nobody_has_used() -> None:
    ledger = Ledger([Budget("all", usd=1.0), Budget("agent", usd=1.0, each=["agent"]), Budget("one", usd=1.0, per="call")])
    ledger.set_tasks({"t": TaskBudget(calls=3)})
    ledger.set_keys([Key("0" * 64, id="k", usd=2.0, per="24h")])
    assert standing(ledger) == {
        ("key", "usd", "k"): ("enforce", 2 * 10**9, 0, 0),
        ("task", "calls", "t"): ("enforce", 3, 0, 0),
        ("all", "usd"): ("enforce", 10**9, 0, 0),
    }


def test_a_rolling_account_begins_a_window_ago_and_resets_when_all_has_left() -> None:
    ledger = Ledger([Budget("roll", usd=1.0, per="1h")])
    (balance,) = ledger.balances(NOW_NS)
    assert (balance.starts_ns, balance.resets_at_ns) == (NOW_NS - HOUR_NS, None)
    ledger.reserve("1", Subject("x", "up"), Weight(30), None, NOW_NS)
    (balance,) = ledger.balances(NOW_NS + 1)
    assert (balance.reserved, balance.resets_at_ns) == (30, NOW_NS + HOUR_NS + 60 * 10**9)
    ledger.settle("1", Weight(20))
    assert standing(ledger, NOW_NS + HOUR_NS) == {("roll", "usd"): ("enforce", 10**9, 20, 0)}
    assert standing(ledger, NOW_NS + HOUR_NS + 60 * 10**9) == {("roll", "usd"): ("enforce", 10**9, 0, 0)}


def test_accounts_whose_budget_is_gone_are_shown_while_their_window_lasts() -> None:
    budgets = [Budget("day", usd=1.0, per="day"), Budget("life", tokens=9), Budget("roll", usd=1.0, per="1h", each=["agent"])]
    ledger = Ledger(budgets)
    ledger.set_tasks({"t": TaskBudget(calls=3)})
    ledger.reserve("1", Subject("x", "up", task="t"), Weight(30, 5), None, NOW_NS)
    ledger.configure([Budget("day", tokens=5, per="day")])
    ledger.set_tasks({"u": TaskBudget(calls=1)})
    gone = {(one.budget, one.unit): (one.per, one.limit, one.reserved) for one in ledger.balances(NOW_NS) if one.mode == "gone"}
    assert gone == {
        ("day", "usd"): ("day", None, 30),
        ("life", "tokens"): ("lifetime", None, 5),
        ("roll", "usd"): ("1h", None, 30),
        ("task", "calls"): ("lifetime", None, 1),
    }
    ledger.settle("1", Weight(30, 5))
    ledger.set_tasks({})
    later = {(one.budget, one.unit) for one in ledger.balances(NOW_NS + 48 * HOUR_NS) if one.mode == "gone"}
    assert later == {("life", "tokens")}
