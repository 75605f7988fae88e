"""The machine catches a ledger that is broken: each of these has one fault, and a run of the machine finds it.

The first seven are those that ledgers were found to have elsewhere; the others are faults that this one could have.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from proxy.dataplane.journal import JournalWriter
from proxy.record import Extended, Opened, Record
from proxy.toll.cells import Cell
from proxy.toll.fold import Reservation
from proxy.toll.follow import Follower
from proxy.toll.ledger import Ledger
from proxy.toll.shortage import find_shortage
from proxy.toll.subject import Subject
from proxy.toll.terms import Grant, Shortage, Weight
from tests.toll.machine import LedgerMachine


class LateJournal(JournalWriter):
    """1: what was reserved is on file only when the call has ended."""

    def opened(self, event: Opened) -> None:
        self.__dict__.setdefault("late", {})[event.id] = event

    def extended(self, event: Extended) -> None:
        pass

    def settled(self, record: Record) -> None:
        event = self.__dict__.get("late", {}).pop(record.id, None)
        if event is not None:
            super().opened(event)
        super().settled(record)


class ReleasingLedger(Ledger):
    """2: after a crash, what was reserved is given back."""

    def presume(self) -> None:
        for reservation in self._open.values():
            for cell, amount in reservation.amounts.items():
                self._charge(cell, amount, 0)
        self._open = {}


class TwiceLedger(Ledger):
    """3: who settles twice pays twice."""

    def settle(self, id: str, actual: Weight | None) -> dict[str, int]:
        charged = super().settle(id, actual)
        paid = self.__dict__.setdefault("paid", {})
        if not charged:
            self.fold_adjusted(paid.get(id, {}))
        return paid.setdefault(id, charged) if charged else {}


class LeafLedger(Ledger):
    """4: only the accounts of the agent are asked."""

    def reserve(self, id: str, subject: Subject, estimate: Weight, bound: Weight | None, now_ns: int, past: Any = frozenset()) -> Grant | Shortage:
        claims = self.claim(subject, estimate, bound, now_ns)
        leaves = [(slot, amount) for slot, amount in claims if "agent" in slot.rule.each]
        for slot, amount in leaves:
            if slot.rule.may_refuse and slot.total.spent + slot.total.reserved + amount > slot.limit:
                return find_shortage(claims, now_ns, past, self.cells)
        return self._grant(id, claims, estimate, None)


class SpentLedger(Ledger):
    """5: what is reserved does not count."""

    def reserve(self, id: str, subject: Subject, estimate: Weight, bound: Weight | None, now_ns: int, past: Any = frozenset()) -> Grant | Shortage:
        claims = self.claim(subject, estimate, bound, now_ns)
        for slot, amount in claims:
            if slot.rule.may_refuse and slot.total.spent + amount > slot.limit:
                return find_shortage(claims, now_ns, past, self.cells)
        return self._grant(id, claims, estimate, None)


class KeepingLedger(Ledger):
    """6: settling charges, and leaves what was reserved."""

    def _charge(self, cell: Cell, reserved: int, spent: int) -> None:
        super()._charge(cell, 0, spent)


class OneLevelLedger(Ledger):
    """7: what was reserved is freed for the agent only, not above."""

    def _charge(self, cell: Cell, reserved: int, spent: int) -> None:
        super()._charge(cell, reserved if "?" in cell.id else 0, spent)


class PartialLedger(Ledger):
    """What fits in the first accounts is reserved there, though a later one refuses."""

    def reserve(self, id: str, subject: Subject, estimate: Weight, bound: Weight | None, now_ns: int, past: Any = frozenset()) -> Grant | Shortage:
        decision = super().reserve(id, subject, estimate, bound, now_ns, past)
        if isinstance(decision, Shortage):
            slot, amount = self.claim(subject, estimate, bound, now_ns)[0]
            self._take(slot.cell, amount)
        return decision


class ForgetfulLedger(Ledger):
    """A change of limits begins all accounts anew."""

    def configure(self, budgets: Any) -> None:
        self.cells.pages, self.cells.families = {}, {}
        super().configure(budgets)


class ShrinkingLedger(Ledger):
    """An extension is the difference to one who reads the journal, and the whole to one who writes it."""

    def fold_extended(self, id: str, reserved: dict[str, int]) -> None:
        reservation = self._open.get(id, Reservation({}, [], Weight()))
        for cell, amount in reserved.items():
            self._take(self.cells.find(cell), amount)
            reservation.amounts[self.cells.find(cell)] = reservation.amounts.get(self.cells.find(cell), 0) + amount


class RepeatingFollower(Follower):
    """Corrections that a checkpoint holds are counted again."""

    def checkpoint(self) -> dict[str, Any]:
        return {**super().checkpoint(), "read": {}}


class SkippingFollower(Follower):
    """Corrections that no checkpoint knows of are taken for counted."""

    def _follow_corrections(self, names: list[tuple[str, str]]) -> None:
        if not self.__dict__.setdefault("begun", False):
            self.begun = True
            self._read = {name: (self._folder / name).stat().st_size for name, writer in names if writer == "c"} | self._read
        super()._follow_corrections(names)


class EagerJournal(JournalWriter):
    """A segment is begun while lines wait to be written: its checkpoint holds what they say, and they follow it."""

    def flush(self) -> None:
        if self._pending and self._size + 1500 >= self._most:
            self._change_segment()
        super().flush()


JOURNALS = [LateJournal, EagerJournal]
LEDGERS = [
    ReleasingLedger, TwiceLedger, LeafLedger, SpentLedger, KeepingLedger, OneLevelLedger, PartialLedger, ForgetfulLedger, ShrinkingLedger,
]  # fmt: skip
FOLLOWERS = [RepeatingFollower, SkippingFollower]


@pytest.mark.parametrize("mutant", [*JOURNALS, *LEDGERS, *FOLLOWERS], ids=lambda mutant: mutant.__name__)
def test_every_mutant_is_caught(mutant: type) -> None:
    part = "journal_class" if mutant in JOURNALS else "ledger_class" if mutant in LEDGERS else "follower_class"
    machine = type("MutantMachine", (LedgerMachine,), {part: mutant})
    bounded = settings(
        max_examples=400, stateful_step_count=40, deadline=None, derandomize=True, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck), report_multiple_bugs=False, print_blob=False,
    )  # fmt: skip
    with pytest.raises(AssertionError, match="I[1-6]"):
        run_state_machine_as_test(machine, settings=bounded)
