"""The laws of money hold over several data planes and a Redis that forgets, hangs up and comes back, whatever happens in whatever order."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from proxy.toll import talk
from proxy.toll.subject import Subject
from proxy.toll.terms import Grant, Weight
from tests.toll.bill import ACTUAL, Call, check_bills, expect_cells, make_budgets
from tests.toll.machine import LIMITS, START_NS, LedgerMachine
from tests.toll.redis_server import RedisServer
from tests.toll.shared_ledger import SharedLedger, leave_all, share_ledgers

PLANES = ("one", "two", "three")
RUNS = int(os.environ.get("LEDGER_RUNS", "25"))


@pytest.fixture(autouse=True)
def sharing(redis: RedisServer) -> Iterator[None]:
    with share_ledgers(redis):
        yield


def run_machine(machine: type[RuleBasedStateMachine], **how: Any) -> None:
    how = {"max_examples": RUNS, "stateful_step_count": 30, "deadline": None, "suppress_health_check": list(HealthCheck), "database": None} | how
    run_state_machine_as_test(machine, settings=settings(**how))


class OnePlane(LedgerMachine):
    """Whatever a ledger alone goes through, with another one deciding."""

    ledger_class = SharedLedger

    def __init__(self) -> None:
        SharedLedger.server.flush()
        super().__init__()

    def start(self) -> None:
        leave_all()
        super().start()


def test_the_laws_of_one_plane_hold_with_the_arbiter() -> None:
    run_machine(OnePlane)


class ThreePlanes(RuleBasedStateMachine):
    """Three planes under the same budgets."""

    def __init__(self) -> None:
        super().__init__()
        SharedLedger.server.flush()
        self.numbers = itertools.count(1)
        self.limits = LIMITS[0]
        self.calls: dict[str, tuple[str, Call]] = {}
        self.ledgers: dict[str, SharedLedger] = {}
        for name in PLANES:
            self.ledgers[name] = SharedLedger(make_budgets(*self.limits), name)
            self.ledgers[name].join()

    def teardown(self) -> None:
        leave_all()

    @property
    def up(self) -> list[str]:
        return [name for name in PLANES if self.ledgers[name].central]

    @property
    def down(self) -> list[str]:
        return [name for name in PLANES if not self.ledgers[name].central]

    def running(self) -> list[tuple[str, Call]]:
        return [(plane, call) for plane, call in self.calls.values() if call.is_running and self.ledgers[plane].central]

    @precondition(lambda self: self.up)
    @rule(plane=st.integers(0, 2), agent=st.integers(0, 1), model=st.integers(0, 1), estimate=st.integers(0, 250))
    def reserve(self, plane: int, agent: int, model: int, estimate: int) -> None:
        name = self.up[plane % len(self.up)]
        id, subject = f"c{next(self.numbers)}", Subject(f"a{agent}", "up", f"m{model}")
        granted = self.ledgers[name].reserve(id, subject, Weight(estimate, estimate // 10), Weight(estimate * 4, estimate), START_NS)
        if isinstance(granted, Grant):
            self.calls[id] = (name, Call(id, subject, START_NS, estimate, granted.reserved))

    @precondition(lambda self: self.running())
    @rule(index=st.integers(0, 9), more=st.integers(1, 100))
    def extend(self, index: int, more: int) -> None:
        plane, call = self.running()[index % len(self.running())]
        call.reserved = self.ledgers[plane].extend(call.id, Weight(more, more // 10, 0), START_NS) or call.reserved

    @precondition(lambda self: self.running())
    @rule(index=st.integers(0, 9), kind=st.sampled_from(ACTUAL))
    def finish(self, index: int, kind: str) -> None:
        plane, call = self.running()[index % len(self.running())]
        call.billed = call.cost(kind)
        call.end(self.ledgers[plane].settle(call.id, call.billed))

    @rule(plane=st.integers(0, 2), cell=st.sampled_from(("all.usd@", "agent.usd@?agent=a0")), amount=st.integers(-3, 3))
    def correct(self, plane: int, cell: str, amount: int) -> None:
        """Up and down again: the bills are as they were, and what was told is to be exact."""
        for sign in (1, -1):
            self.ledgers[PLANES[plane]].fold_adjusted({cell: sign * amount})

    @rule(plane=st.integers(0, 2))
    def start(self, plane: int) -> None:
        self.ledgers[PLANES[plane]].join()

    @precondition(lambda self: len(self.up) > 1)  # somebody hears of it
    @rule(plane=st.integers(0, 2), kinds=st.lists(st.sampled_from(ACTUAL), min_size=1, max_size=3))
    def crash(self, plane: int, kinds: list[str]) -> None:
        """A plane dies. Its calls are billed whatever they are; when it comes back, it presumes them spent."""
        name = self.up[plane % len(self.up)]
        self.listen()
        self.ledgers[name].leave()
        self.ledgers[name].presume()
        for (owner, call), kind in zip(self.calls.values(), itertools.cycle(kinds), strict=False):
            if owner == name and call.is_running:
                call.billed = call.cost(kind)
                call.end(call.reserved)

    @rule()
    def lose_everything(self) -> None:
        """Redis forgets all. Whoever is up says anew what it has, and what the others had when it last heard of them."""
        self.listen()
        self.expect_rejoining("FLUSHALL")

    @rule()
    def hang_up(self) -> None:
        self.expect_rejoining("CLIENT", "KILL", "TYPE", "normal")

    @precondition(lambda self: self.up)
    @rule(plane=st.integers(0, 2), estimate=st.integers(1, 250))
    def lose_an_answer(self, plane: int, estimate: int) -> None:
        """Something is reserved for a call that never hears of it."""
        self.ledgers[self.up[plane % len(self.up)]].ask_in_vain(Subject("a1", "up", "m9"), Weight(estimate, 0), START_NS)
        self.hang_up()

    def listen(self) -> None:
        for name in self.up:
            self.ledgers[name].hear_news()

    def expect_rejoining(self, *command: str) -> None:
        before = {name: self.ledgers[name].conversations for name in self.up}
        SharedLedger.server.call(*command)
        for name, conversations in before.items():
            self.ledgers[name].rejoin(conversations)

    @invariant()
    def bills(self) -> None:
        check_bills([call for _, call in self.calls.values()], self.limits, START_NS, False)

    @invariant()
    def sums(self) -> None:
        """What Redis has is what the planes have, also of those that are down."""
        for name in self.up:
            self.ledgers[name].room(Subject("a0", "up", "m0"), START_NS)  # answers come in order: all was heard
        wanted = expect_cells([call for _, call in self.calls.values()], [])
        found = SharedLedger.server.check_sums()
        if self.down:  # what they presume spent is reserved until they say so
            assert _add_up(found) == _add_up(wanted)
        else:
            assert found == {cell: amounts for cell, amounts in wanted.items() if any(amounts)}


def _add_up(cells: dict[str, tuple[int, int]]) -> dict[str, int]:
    return {cell: sum(amounts) for cell, amounts in cells.items() if sum(amounts)}


def test_the_laws_hold_over_three_planes() -> None:
    run_machine(ThreePlanes)


# One fault each, put into the script.
MUTANTS = {
    "what is reserved does not count": ("tonumber(spent) + tonumber(reserved) + tonumber(amount) >", "tonumber(spent) + tonumber(amount) >"),
    "what fits is taken, and the rest is not": ("if fits and ARGV[5] ~= 'look'", "if ARGV[5] ~= 'look'"),
    "only the first account is asked": ("            fits = false", "            fits = #claims > 0"),
    "settling leaves the reservation": ("add(own, plane, cell, spent, reserved, kept)", "add(own, plane, cell, spent, '0', kept)"),
    "what nobody knows of stays reserved": ("        remove(old, cell)\n        drop_empty_total", "        drop_empty_total"),
    "a plane that is down is forgotten": ("HGET', state, 'spoke:' .. who) == epoch", "HGET', state, 'era') == era"),
    "rolling windows forget": ("spent, reserved = spent + one, reserved + other", "spent, reserved = one, other"),
    "the sums of rolling windows stand still": ("if first and bucket >= tonumber(first) then", "if false then"),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_fault_in_the_script_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    right, wrong = MUTANTS[name]
    assert talk.SCRIPT.count(right) == 1
    monkeypatch.setattr(talk, "SCRIPT", talk.SCRIPT.replace(right, wrong))
    with pytest.raises(AssertionError):
        run_machine(ThreePlanes, max_examples=1000, derandomize=True, phases=[Phase.generate], report_multiple_bugs=False)
