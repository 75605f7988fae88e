"""The fleet: silence as configured or as learned, open tasks that are stuck, and what a restart brings back."""

from __future__ import annotations

from collections.abc import Sequence

import duckdb
import msgspec
import pytest

from proxy.controlplane.events import Batch, Weighed, parse
from proxy.controlplane.fleet import Fleet, Standing, add_silence
from proxy.controlplane.reports import Report
from proxy.controlplane.store import Loaded, Store
from proxy.observing import Fleet as Settings
from proxy.record import TaskEvent
from tests.controlplane.conftest import START_NS, call

START_S = START_NS / 1e9
DAY_S = 86400


class Clock:
    """Seconds since the start."""

    now_s = 0.0

    def __call__(self) -> float:
        return START_S + self.now_s


ONE: Weighed = parse(call(0, duration_ns=10**9)[:-1], Batch())[1]


def weigh(second: float, **other: object) -> Weighed:
    return msgspec.structs.replace(ONE, started_ns=START_NS + int(second * 1e9), **other)


def make_fleet(**settings: object) -> tuple[Fleet, Clock]:
    clock = Clock()
    return Fleet(Settings(**settings), clock), clock


def empty(sql: str, values: Sequence[object]) -> tuple[list[str], list[tuple]]:
    return [], []


def test_what_the_config_says_comes_first_and_the_first_that_fits() -> None:
    fleet, clock = make_fleet(silence={"bot-special": 5, "bot-*": 60, "adhoc-*": 0})
    fleet.observe([weigh(0, agent=name, team="t") for name in ("bot-special", "bot-1", "adhoc-1", "else")])
    clock.now_s = 31
    found = {name: fleet.find(name) for name in ("bot-special", "bot-1", "adhoc-1", "else")}
    assert {name: (one.limit_s, one.is_silent) for name, one in found.items()} == {
        "bot-special": (5, True), "bot-1": (60, False), "adhoc-1": (None, False), "else": (None, False),
    }  # fmt: skip
    assert (found["bot-1"].last_s, found["bot-1"].team) == (START_S + 1, "t") and fleet.find("never seen") is None and fleet.known == 4
    fleet.configure(Settings(silence={"bot-*": 20}))
    assert fleet.find("bot-1").is_silent


def test_what_was_learned_holds_after_some_days_and_until_the_agent_has_left() -> None:
    fleet, clock = make_fleet(learn_days=1)
    fleet.observe([weigh(second, agent="a") for second in range(0, DAY_S // 2, 600)])
    clock.now_s = DAY_S // 2 + 60
    assert fleet.find("a").limit_s is None
    fleet.observe([weigh(second, agent="a") for second in range(DAY_S // 2, 3 * DAY_S, 600)])
    clock.now_s = 3 * DAY_S + 60
    assert fleet.find("a").limit_s == pytest.approx(2 * 599) and not fleet.find("a").is_silent
    clock.now_s += 1800
    assert fleet.find("a").is_silent
    clock.now_s += 29 * DAY_S
    assert fleet.find("a").limit_s is None


def test_the_limit_grows_while_quiet_hours_pass() -> None:
    fleet, clock = make_fleet()
    hours = [second for second in range(0, 10 * DAY_S, 600) if (START_S + second) % DAY_S < DAY_S / 2]
    fleet.observe([weigh(second, agent="mornings") for second in hours])
    last_s = fleet.find("mornings").last_s - START_S
    clock.now_s = last_s + 1
    base_s = fleet.find("mornings").limit_s
    clock.now_s = last_s + DAY_S / 2
    assert fleet.find("mornings").limit_s > DAY_S / 4 + base_s and not fleet.find("mornings").is_silent
    clock.now_s = last_s + 2.4 * DAY_S
    assert fleet.find("mornings").is_silent


def test_of_very_many_agents_those_seen_last_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.controlplane.fleet._MOST_AGENTS", 20)
    fleet, _ = make_fleet()
    fleet.observe([weigh(number, agent=f"agent-{number}") for number in range(21)])
    assert fleet.find("agent-4") is None and fleet.find("agent-5") is not None and fleet.known == 21


def tell(task: str, second: int, **other: object) -> bytes:
    return msgspec.json.encode(TaskEvent(task=task, at_ns=START_NS + second * 10**9, by="jo", **other))


def test_an_open_task_without_calls_is_stuck_and_a_closed_one_is_not(store: Store) -> None:
    fleet, clock = make_fleet(silence={"quick": 60})
    calls = [call(0, agent="quick", task="busy"), call(1, agent="quick", task="closed")]
    told = [tell("busy", 0), tell("closed", 0), tell("closed", 50, outcome="succeeded"), tell("untouched", 30, agent="slow")]
    store.load(Loaded(rows={"calls": [one[8:-2] for one in calls], "tasks": told}))
    fleet.look(store.query)
    clock.now_s = 50
    assert fleet.open_tasks == 2 and fleet.list_stuck() == []
    fleet.observe([weigh(40, agent="quick", task="busy")])
    clock.now_s = 90
    assert fleet.list_stuck() == []
    clock.now_s = 110
    assert fleet.list_stuck() == [("quick", "busy")]
    clock.now_s = 3700
    assert sorted(fleet.list_stuck()) == [("quick", "busy"), ("slow", "untouched")]
    store.load(Loaded(rows={"tasks": [tell("busy", 120, outcome="failed")]}))
    fleet.look(store.query)
    assert fleet.list_stuck() == [("slow", "untouched")]


def test_a_task_that_goes_round_in_a_circle_is_stuck_while_it_does() -> None:
    fleet, clock = make_fleet()
    same = {"agent": "a", "task": "t", "request_bytes": 5000}
    fleet.observe([weigh(second, **same) for second in range(19)])
    clock.now_s = 20
    assert fleet.list_stuck() == []
    fleet.observe([weigh(19, **same)])
    assert fleet.list_stuck() == [("a", "t")]
    fleet.observe([weigh(20, **{**same, "request_bytes": 5001})])
    assert fleet.list_stuck() == []
    fleet.observe([weigh(21 + second, **{**same, "operation": "embeddings"}) for second in range(40)])
    assert fleet.list_stuck() == []
    fleet.observe([weigh(100 + second, **same) for second in range(20)])
    clock.now_s = 130
    assert fleet.list_stuck() == [("a", "t")]
    clock.now_s = 800
    assert fleet.list_stuck() == [], "it has ended"


def test_a_restart_brings_back_what_was_known(store: Store) -> None:
    seconds = [second for second in range(0, 10 * DAY_S, 600) if (START_S + second) % DAY_S < DAY_S / 2]
    lines = [call(0, id=f"c{second}", started_ns=START_NS + second * 10**9, duration_ns=10**9, agent="a", team="t") for second in seconds]
    store.load(Loaded(rows={"calls": [one[8:-2] for one in [*lines, call(1, id="b", agent="b", team=None)]]}))
    before, _ = make_fleet()
    before.observe([weigh(second, agent="a", team="t") for second in seconds])
    after, clock = make_fleet()
    clock.now_s = 10 * DAY_S
    found = after.restore(store.query)
    assert [(agent, team) for agent, team, _ in found] == [("a", "t"), ("b", "")] and after.known == 2
    old, new = before._agents["a"].cadence, after._agents["a"].cadence
    assert (new.cells, new.since_day, new.calls, new.first_s, new.last_s) == (old.cells, old.since_day, old.calls, old.first_s, old.last_s)
    assert [moment for pause in new.pauses for moment in pause] == pytest.approx([moment for pause in old.pauses for moment in pause])
    after.observe([weigh(10 * DAY_S, agent="a")])
    assert after.find("a").limit_s == pytest.approx(2 * 599, rel=0.01)


def test_a_database_that_fails_costs_the_memory_only() -> None:
    fleet, _ = make_fleet()

    def fail(sql: str, values: Sequence[object]) -> tuple[list[str], list[tuple]]:
        raise duckdb.InternalException("broken")

    assert fleet.restore(fail) == []
    fleet.look(fail)
    assert fleet.failures == 2
    fleet.look(empty)
    fleet.observe([weigh(0, agent="a")])
    assert fleet.known == 1


def test_the_inventory_tells_how_long_each_has_been_silent() -> None:
    standings = {"a": Standing("a", "", 0.0, 70.0, 20.0, True), "b": Standing("b", "", 0.0, 99.0, None, False)}
    made = add_silence(Report("agents", ["agent", "calls"], [["a", 1], ["b", 2], ["c", 3]]), standings.get, 100 * 10**9)
    assert made.columns == ["agent", "calls", "silence_ns", "silence_limit_ns", "is_silent"]
    assert made.rows == [["a", 1, 30 * 10**9, 20 * 10**9, True], ["b", 2, 10**9, None, None], ["c", 3, None, None, None]]
