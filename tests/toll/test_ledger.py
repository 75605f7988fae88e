"""The ledger's decisions: all or nothing, in which mode, with which words, charged once."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from proxy.orders import TaskBudget
from proxy.rules import Budget, Key
from proxy.toll.ledger import Ledger
from proxy.toll.subject import Subject
from proxy.toll.terms import Grant, Room, Shortage, Weight
from tests.toll.redis_server import RedisServer
from tests.toll.shared_ledger import SharedLedger, share_ledgers

NOW_NS = 1_795_251_600 * 10**9  # 2026-11-21T09:00:00Z
HOUR_NS = 3600 * 10**9
CALL = Subject("x", "openai", "m", team="red", task="t1", key="k1")


@pytest.fixture(params=["alone", "shared"], autouse=True)
def ledger_class(request: pytest.FixtureRequest, redis: RedisServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Everything here holds for a ledger that decides alone, and for one that asks the arbiter."""
    with share_ledgers(redis):
        if request.param == "shared":
            monkeypatch.setattr(sys.modules[__name__], "Ledger", SharedLedger)
        yield


def usd(name: str, nano: int, **other: object) -> Budget:
    return Budget(name, usd=nano / 1e9, **other)  # type: ignore[arg-type]


def weigh(nano: int | None, tokens: int = 0) -> Weight:
    return Weight(nano, tokens)


def grant(ledger: Ledger, id: str, nano: int | None, tokens: int = 0, subject: Subject = CALL, now_ns: int = NOW_NS) -> Grant:
    granted = ledger.reserve(id, subject, weigh(nano, tokens), None, now_ns)
    assert isinstance(granted, Grant), granted
    return granted


def refuse(ledger: Ledger, nano: int | None, tokens: int = 0, subject: Subject = CALL, now_ns: int = NOW_NS) -> Shortage:
    before = ledger.checkpoint()
    refused = ledger.reserve("refused", subject, weigh(nano, tokens), None, now_ns)
    assert isinstance(refused, Shortage), refused
    assert ledger.checkpoint() == before, "a refusal reserves nothing"
    return refused


def test_a_call_is_reserved_in_all_its_accounts_and_charged_once() -> None:
    ledger = Ledger([usd("all", 100), usd("agent", 50, each=["agent"]), Budget("month", tokens=1000, calls=9, per="month", match={"team": "red"})])
    granted = grant(ledger, "1", 30, 200)
    assert granted == Grant({"all.usd@": 30, "agent.usd@?agent=x": 30, "month.tokens@2026-11": 200, "month.calls@2026-11": 1})
    assert ledger.reserved_of("1") == granted.reserved and ledger.open_ids == ["1"]
    assert ledger.settle("1", Weight(20, 150)) == {"all.usd@": 20, "agent.usd@?agent=x": 20, "month.tokens@2026-11": 150, "month.calls@2026-11": 1}
    assert ledger.settle("1", Weight(20, 150)) == {} == ledger.settle("unknown", None)
    assert ledger.reserved_of("1") == {} and ledger.open_ids == []
    assert ledger.checkpoint()["cells"]["all.usd@"] == [20, 0]


def test_the_last_nano_dollar_can_be_spent_and_not_one_more() -> None:
    ledger = Ledger([usd("all", 100)])
    grant(ledger, "1", 60)
    assert refuse(ledger, 41) == Shortage("all", "enforce", "usd", {}, 100, 0, 60, 41, None, True)
    grant(ledger, "2", 40)
    ledger.settle("1", Weight(60))
    ledger.settle("2", Weight(40))
    short = refuse(ledger, 1)
    assert (short.spent, short.reserved, short.busy, short.room) == (100, 0, False, 0)


def test_what_takes_nothing_is_not_refused_and_nothing_may_be_spent_of_a_limit_of_zero() -> None:
    ledger = Ledger([usd("all", 0)])
    assert refuse(ledger, 1).busy is False
    assert grant(ledger, "1", 0) == Grant({"all.usd@": 0}, warnings=("all 100%",))
    assert grant(ledger, "2", None).reserved == {"all.usd@": 0}, "no price: the caller has refused it where it is to be"
    ledger.settle("2", Weight(7))
    assert grant(ledger, "3", 0), "spent by more than the limit, and still nothing is asked"


def test_an_unknown_or_absurd_figure_charges_what_was_reserved() -> None:
    ledger = Ledger([Budget("all", usd=1.0, tokens=1000)])
    for id, actual in (("1", None), ("2", Weight(None, 5)), ("3", Weight(-1, -1))):
        grant(ledger, id, 50, 10)
        charged = ledger.settle(id, actual)
        assert charged["all.usd@"] == 50
        assert charged["all.tokens@"] == (5 if id == "2" else 10)


def test_an_id_is_reserved_once() -> None:
    ledger = Ledger([usd("all", 100)])
    grant(ledger, "1", 1)
    with pytest.raises(ValueError, match="1"):
        ledger.reserve("1", CALL, weigh(1), None, NOW_NS)


def test_strict_budgets_reserve_the_bound_and_the_others_the_estimate() -> None:
    ledger = Ledger([usd("strict", 100, mode="strict"), usd("all", 100)])
    granted = ledger.reserve("1", CALL, weigh(20), weigh(80), NOW_NS)
    assert isinstance(granted, Grant) and granted.reserved == {"strict.usd@": 80, "all.usd@": 20}
    refused = ledger.reserve("2", CALL, weigh(5), weigh(21), NOW_NS)
    assert isinstance(refused, Shortage) and (refused.budget, refused.mode, refused.asked) == ("strict", "strict", 21)


def test_budgets_that_only_look_never_refuse() -> None:
    ledger = Ledger([usd("seen", 10, mode="observe"), usd("told", 20, mode="warn")])
    assert grant(ledger, "1", 15) == Grant({"told.usd@": 15, "seen.usd@": 15}, observed="seen")
    ledger.settle("1", Weight(15))
    assert grant(ledger, "2", 15) == Grant({"told.usd@": 15, "seen.usd@": 15}, warnings=("told 50%",), observed="told")
    assert ledger.room(CALL, NOW_NS) == Room()


@pytest.mark.parametrize(("spent", "percent"), [(49, 0), (50, 50), (79, 50), (80, 80), (99, 80), (100, 100), (120, 100)])
def test_warnings_tell_what_is_spent(spent: int, percent: int) -> None:
    ledger = Ledger([Budget("all", usd=100 / 1e9, tokens=1000)])
    ledger.fold_adjusted({"all.usd@": spent, "all.tokens@": spent})
    assert grant(ledger, "1", 0).warnings == ((f"all {percent}%",) if percent else ())


def test_of_several_units_the_one_spent_most_is_told() -> None:
    ledger = Ledger([Budget("all", usd=100 / 1e9, tokens=1000, calls=2), usd("other", 10)])
    ledger.fold_adjusted({"all.usd@": 50, "all.tokens@": 900, "all.calls@": 1, "other.usd@": 5})
    assert grant(ledger, "1", 0).warnings == ("all 80%", "other 50%")


def test_a_cheaper_model_is_asked_for_only_where_nothing_else_refuses() -> None:
    ledger = Ledger([usd("cheap", 10, mode="downgrade", downgrade={"m": "n"}), usd("all", 100)])
    assert ledger.concerns(CALL).has_downgrade
    short = refuse(ledger, 20)
    assert (short.budget, short.mode) == ("cheap", "downgrade")
    assert refuse(ledger, 200).budget == "all"
    granted = ledger.reserve("1", CALL, weigh(20), None, NOW_NS, frozenset({"cheap"}))
    assert isinstance(granted, Grant) and granted.reserved == {"all.usd@": 20, "cheap.usd@": 20} and granted.observed is None


def test_of_several_that_refuse_the_one_that_does_so_longest_is_told() -> None:
    ledger = Ledger([usd("hour", 10, per="hour"), usd("day", 10, per="day"), usd("busy", 10, per="month")])
    ledger.fold_adjusted({"hour.usd@2026-11-21T09": 10, "day.usd@2026-11-21": 10})
    ledger.fold_opened("0", {"busy.usd@2026-11": 10})
    short = refuse(ledger, 5)
    assert (short.budget, short.resets_at_ns, short.busy) == ("day", NOW_NS + 15 * HOUR_NS, False)
    short = refuse(ledger, 11)
    assert short.resets_at_ns is None, "what is larger than the whole limit never fits"


def test_the_budget_of_one_call_compares_and_counts_nothing() -> None:
    ledger = Ledger([usd("one", 10, per="call"), usd("look", 5, per="call", mode="observe"), usd("all", 100)])
    assert grant(ledger, "1", 10) == Grant({"all.usd@": 10}, observed="look")
    assert refuse(ledger, 11) == Shortage("one", "enforce", "usd", {}, 10, 0, 0, 11, None, False)
    assert ledger.room(CALL, NOW_NS) == Room(nano_usd=10)
    only = Ledger([usd("one", 10, per="call")])
    assert grant(only, "1", 10).reserved == {} == only.settle("1", Weight(10))


def test_room_is_that_of_the_tightest_account_that_may_refuse() -> None:
    ledger = Ledger([usd("all", 100), usd("agent", 50, each=["agent"], mode="strict"), Budget("t", tokens=500), usd("seen", 1, mode="warn")])
    grant(ledger, "1", 30, 200)
    assert ledger.room(CALL, NOW_NS) == Room(20, 300)
    assert ledger.room(Subject("y", "up"), NOW_NS) == Room(50, 300)
    ledger.settle("1", Weight(90, 600))
    assert ledger.room(CALL, NOW_NS) == Room(0, 0)


def test_an_extension_is_all_or_nothing() -> None:
    ledger = Ledger([usd("all", 100), usd("agent", 50, each=["agent"])])
    grant(ledger, "1", 30)
    assert ledger.extend("1", weigh(10), NOW_NS) == {"all.usd@": 40, "agent.usd@?agent=x": 40}
    assert ledger.extend("1", weigh(11), NOW_NS) is None
    assert ledger.reserved_of("1") == {"all.usd@": 40, "agent.usd@?agent=x": 40}
    assert ledger.extend("unknown", weigh(1), NOW_NS) is None
    assert ledger.settle("1", None) == {"all.usd@": 40, "agent.usd@?agent=x": 40}


def test_an_extension_within_the_bound_asks_nothing_of_a_strict_budget_and_observers_never_refuse_one() -> None:
    ledger = Ledger([usd("strict", 100, mode="strict"), usd("seen", 5, mode="observe")])
    ledger.reserve("1", CALL, weigh(30), weigh(90), NOW_NS)
    assert ledger.extend("1", weigh(60), NOW_NS) == {"strict.usd@": 90, "seen.usd@": 90}
    assert ledger.extend("1", weigh(10), NOW_NS) == {"strict.usd@": 100, "seen.usd@": 100}
    assert ledger.extend("1", weigh(1), NOW_NS) is None


def test_an_extension_obeys_the_limits_that_hold_now_in_the_window_of_its_admission() -> None:
    ledger = Ledger([usd("day", 100, per="day"), usd("rolling", 100, per="1h")])
    grant(ledger, "1", 30)
    ledger.configure([usd("day", 40, per="day"), usd("rolling", 100, per="1h")])
    assert ledger.extend("1", weigh(20), NOW_NS) is None
    tomorrow = NOW_NS + 24 * HOUR_NS
    grant(ledger, "2", 40, now_ns=tomorrow)
    ledger.configure([usd("rolling", 100, per="1h")])
    extended = ledger.extend("1", weigh(60), tomorrow)
    assert extended is not None and extended["day.usd@2026-11-21"] == 90, "no budget, no limit"
    assert ledger.extend("1", weigh(20), tomorrow) is None, "its bucket counts for nobody any more, and still has a limit"


def test_new_limits_touch_nothing_that_was_spent_or_reserved() -> None:
    ledger = Ledger([usd("all", 100), usd("gone", 100)])
    grant(ledger, "1", 30)
    ledger.configure([usd("all", 20)])
    short = refuse(ledger, 1)
    assert (short.limit, short.reserved) == (20, 30)
    assert ledger.settle("1", Weight(25)) == {"all.usd@": 25, "gone.usd@": 25}
    ledger.configure([usd("all", 30), usd("gone", 100)])
    assert refuse(ledger, 6).room == 5
    assert ledger.checkpoint()["cells"]["gone.usd@"] == [25, 0]


def test_tasks_and_keys() -> None:
    ledger = Ledger([])
    assert ledger.is_empty
    assert not ledger.concerns(CALL).is_any
    ledger.set_tasks({"t1": TaskBudget(usd=50 / 1e9)})
    ledger.set_keys([Key("0" * 64, id="k1", usd=40 / 1e9, per="day")])
    assert not ledger.is_empty
    assert ledger.concerns(CALL).is_hard and not ledger.concerns(Subject("x", "up", task="t2")).is_any
    assert grant(ledger, "1", 30).reserved == {"key.usd@2026-11-21?key=k1": 30, "task.usd@?task=t1": 30}
    assert refuse(ledger, 15).scope == {"key": "k1"}
    assert grant(ledger, "2", 15, subject=Subject("x", "up", task="t2", key="k2")).reserved == {}
    ledger.set_tasks({})
    assert ledger.settle("1", Weight(10)) == {"key.usd@2026-11-21?key=k1": 10, "task.usd@?task=t1": 10}
    ledger.set_tasks({"t3": TaskBudget(calls=1)})
    assert list(ledger.checkpoint()["cells"]) == ["key.usd@2026-11-21?key=k1"], "a task that has ended is forgotten"


def test_a_call_is_charged_to_the_window_of_its_admission() -> None:
    ledger = Ledger([usd("day", 100, per="day"), usd("rolling", 100, per="2h")])
    grant(ledger, "1", 60)
    assert (refuse(ledger, 50).budget, refuse(ledger, 50, now_ns=NOW_NS + HOUR_NS).busy) == ("day", True)
    tomorrow = NOW_NS + 24 * HOUR_NS
    grant(ledger, "2", 100, now_ns=tomorrow)
    bucket = NOW_NS // (2 * 60 * 10**9)
    assert ledger.settle("1", Weight(55)) == {"day.usd@2026-11-21": 55, f"rolling.usd@2h:{bucket}": 55}
    assert refuse(ledger, 1, now_ns=tomorrow).reserved == 100


def test_a_rolling_limit_tells_when_enough_of_it_will_have_left() -> None:
    ledger = Ledger([usd("rolling", 100, per="1h")])
    minute = 60 * 10**9
    for index, nano in enumerate((50, 30, 20)):
        grant(ledger, str(index), nano, now_ns=NOW_NS + index * 10 * minute)
        ledger.settle(str(index), Weight(nano))
    short = refuse(ledger, 60, now_ns=NOW_NS + 25 * minute)
    assert short.resets_at_ns == NOW_NS + 71 * minute, "the first two are needed"
    assert isinstance(ledger.reserve("a", CALL, weigh(60), None, short.resets_at_ns - 1), Shortage)
    grant(ledger, "b", 60, now_ns=short.resets_at_ns)


def test_cells_of_windows_long_past_are_forgotten_by_themselves() -> None:
    ledger = Ledger([usd("hour", 10**9, per="hour", each=["agent"])])
    for hour in range(200):
        now_ns = NOW_NS + hour * HOUR_NS
        grant(ledger, str(hour), 1, subject=Subject(f"agent-{hour}", "up"), now_ns=now_ns)
        ledger.settle(str(hour), Weight(1))
    assert len(list(ledger.cells)) <= 17
