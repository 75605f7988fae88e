"""Budgets made ready: their limits in integers, their order, their slots in the window that is now."""

from __future__ import annotations

import pytest

from proxy.orders import TaskBudget
from proxy.rules import Budget, Key
from proxy.toll.account import Concern, Rule, amount_of, compile_budgets, compile_keys, compile_tasks, make_concern, read_limits, to_nano_usd
from proxy.toll.cells import Cells
from proxy.toll.subject import Subject
from proxy.toll.terms import Weight

CALL = Subject("researcher", "openai", "m", task="t1", key="k1")
DAY_NS = 86400 * 10**9


@pytest.mark.parametrize(
    ("usd", "nano"), [(0.1, 100_000_000), (0.29, 290_000_000), (1e-9, 1), (999999999.0, 999999999 * 10**9), (0.0, 0), (5, 5 * 10**9)]
)
def test_dollars_are_taken_as_they_were_written(usd: float, nano: int) -> None:
    assert to_nano_usd(usd) == nano


def test_limits_and_amounts_in_the_order_of_the_units() -> None:
    assert read_limits(Budget("b", usd=1.5, calls=3)) == (1_500_000_000, None, 3)
    assert [amount_of(Weight(5, 6, 7), unit) for unit in range(3)] == [5, 6, 7]
    assert amount_of(Weight(None, 6, 7), 0) == 0


def test_budgets_that_may_refuse_come_first() -> None:
    modes = ["observe", "enforce", "warn", "strict", "downgrade"]
    rules = compile_budgets([Budget(mode, usd=1.0, mode=mode, downgrade={"a": "b"} if mode == "downgrade" else {}) for mode in modes], Cells())  # type: ignore[arg-type]
    assert [rule.mode for rule in rules] == ["strict", "enforce", "downgrade", "warn", "observe"]
    assert [rule.is_hard for rule in rules] == [True, True, False, False, False]
    assert [rule.may_refuse for rule in rules] == [True, True, True, False, False]


def test_slots_are_those_of_the_window_that_is_now() -> None:
    (rule,) = compile_budgets([Budget("day", usd=1.0, tokens=5, per="day", each=["agent"])], Cells())
    usd, tokens = rule.slots_at(("x",), DAY_NS)
    assert (usd.cell.id, tokens.cell.id) == ("day.usd@1970-01-02?agent=x", "day.tokens@1970-01-02?agent=x")
    assert (usd.limit, tokens.limit, usd.scope) == (10**9, 5, {"agent": "x"})
    assert rule.slots_at(("x",), 2 * DAY_NS - 1)[0] is usd
    assert rule.slots_at(("x",), 2 * DAY_NS)[0].cell.id == "day.usd@1970-01-03?agent=x"
    assert rule.slots_at(("x",), DAY_NS)[0].cell is usd.cell, "the clock was set back"


def test_what_is_held_against_a_rolling_limit_is_the_sum() -> None:
    cells = Cells()
    (rule,) = compile_budgets([Budget("r", usd=1.0, per="1h")], cells)
    cells.find("r.usd@1h:5").add(3, 4)
    (slot,) = rule.slots_at((), 10 * 60 * 10**9)
    assert slot.cell.id == "r.usd@1h:10" and (slot.total.spent, slot.total.reserved) == (3, 4)
    (slot,) = rule.slots_at((), 90 * 60 * 10**9)
    assert (slot.total.spent, slot.total.reserved) == (0, 0)


def test_the_budget_of_one_call_has_no_cell() -> None:
    cells = Cells()
    (rule,) = compile_budgets([Budget("one", usd=1.0, per="call")], cells)
    assert rule.is_per_call and rule.slots_at((), 5)[0].limit == 10**9 and not list(cells)


def test_tasks_and_keys_have_budgets_of_their_own() -> None:
    cells = Cells()
    (tasks,) = compile_tasks({"t1": TaskBudget(usd=1.0), "t2": TaskBudget(calls=3)}, cells)
    assert (tasks.pick(CALL), tasks.pick(Subject("a", "u")), tasks.pick(Subject("a", "u", task="t9"))) == (("t1",), None, None)
    assert [slot.cell.id for slot in tasks.slots_at(("t2",), 5)] == ["task.calls@?task=t2"]
    keys = compile_keys([Key("0" * 64, id="k1", usd=1.0, per="day"), Key("1" * 64, id="k2", tokens=5), Key("2" * 64, id="k3")], cells)
    assert [(rule.name, rule.windows.per, rule.pick(CALL)) for rule in keys] == [("key", "day", ("k1",)), ("key", "lifetime", None)]
    assert [slot.cell.id for slot in keys[0].slots_at(("k1",), 5)] == ["key.usd@1970-01-01?key=k1"]
    assert compile_tasks({}, cells) == [] == compile_keys([Key("2" * 64, id="k3")], cells)


def concern(*budgets: Budget) -> Concern:
    rules: list[Rule] = compile_budgets(list(budgets), Cells())
    return make_concern([(rule, rule.limits_of(())) for rule in rules])


def test_what_budgets_make_of_a_call() -> None:
    assert concern(Budget("a", calls=1)) == Concern(is_any=True, is_hard=True)
    assert concern(Budget("a", usd=1.0, mode="observe")) == Concern(is_any=True, has_usd=True)
    assert concern(Budget("a", usd=1.0), Budget("b", tokens=1, mode="warn")) == Concern(
        is_any=True, is_hard=True, has_usd=True, has_tokens=True, refuses_unpriced="a"
    )
    assert concern(Budget("a", usd=1.0, unpriced="allow")).refuses_unpriced is None
    assert concern(Budget("a", usd=1.0, mode="downgrade", downgrade={"m": "n"})) == Concern(
        is_any=True, has_usd=True, has_downgrade=True, refuses_unpriced="a"
    )
    strict = concern(Budget("a", usd=1.0, mode="strict", unbounded_usd=0.5), Budget("b", usd=1.0, mode="strict", unbounded_usd=0.7))
    assert (strict.is_strict, strict.refuses_unbounded, strict.unbounded_nano_usd) == (True, None, 700_000_000)
    assert concern(Budget("a", usd=1.0, mode="strict", unbounded_usd=0.5), Budget("b", usd=1.0, mode="strict")).refuses_unbounded == "b"
