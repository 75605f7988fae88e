"""The ledger of one data plane: what calls may spend is reserved before they go, and charged once when they have ended.

Nothing here waits, so nothing comes between a check and its reservation. What is kept, and how it is made again of the
journal's lines, stands in `proxy.toll.fold`; here are the budgets and the decisions.
"""

from __future__ import annotations

from typing import Any

from proxy.orders import TaskBudget
from proxy.rules import Budget, Key
from proxy.toll.account import UNLIMITED, Concern, Limits, Rule, Slot, amount_of, compile_budgets, compile_keys, compile_tasks, make_concern
from proxy.toll.balances import list_balances
from proxy.toll.cells import Cell, write_scope
from proxy.toll.fold import Fold, Reservation
from proxy.toll.shortage import find_room, find_shortage
from proxy.toll.subject import Subject
from proxy.toll.terms import Balance, Grant, Room, Shortage, Weight

_SWEEP_NS = 60_000_000_000
_MOST_CONCERNS = 10_000
_NONE: frozenset[str] = frozenset()
_FREE = Concern()


class Ledger(Fold):
    """All accounts of the budgets, with what is spent and reserved in each. Belongs to one thread."""

    def __init__(self, budgets: list[Budget]) -> None:
        super().__init__()
        self._by_config: list[Rule] = []
        self._by_task: list[Rule] = []
        self._by_key: list[Rule] = []
        self._tasks: frozenset[str] | None = None  # the scopes of the tasks that have budgets
        self._rules: list[Rule] = []
        self._named: dict[tuple[str, str], Rule] = {}
        self._concerns: dict[tuple[int, ...], Concern] = {}
        self._sweep_ns = 0
        self.configure(budgets)

    # --- the rules --------------------------------------------------------------------------------------------------

    def configure(self, budgets: list[Budget]) -> None:
        """Take new limits; what was spent and reserved stays. A budget that is gone keeps its cells until their windows are past."""
        self._by_config = compile_budgets(budgets, self.cells)
        self._arrange()

    def set_tasks(self, tasks: dict[str, TaskBudget]) -> None:
        """Take the budgets of tasks. A task that has none any more is forgotten when nothing is reserved for it."""
        self._by_task = compile_tasks(tasks, self.cells)
        self._tasks = frozenset(write_scope({"task": task}) for task in tasks)
        self.cells.drop_scopes("task", self._tasks)
        self._arrange()

    def set_keys(self, keys: list[Key]) -> None:
        """Take the budgets of keys."""
        self._by_key = compile_keys(keys, self.cells)
        self._arrange()

    def _arrange(self) -> None:
        named = [*self._by_key, *self._by_task]
        self._rules = sorted([*self._by_config, *named], key=lambda rule: not rule.is_hard)  # stable: the rest keeps its order
        self._named = {rule.key: rule for rule in self._rules}
        self._concerns = {}

    @property
    def is_empty(self) -> bool:
        """Whether there is no budget at all."""
        return not self._rules

    @property
    def rules(self) -> list[Rule]:
        """All budgets, compiled; those that may refuse a call first."""
        return self._rules

    def concerns(self, subject: Subject) -> Concern:
        """What the budgets that concern a call make of it."""
        found: list[tuple[Rule, Limits]] = []
        codes = []
        for index, rule in enumerate(self._rules):
            names = rule.pick(subject)
            if names is not None:
                limits = rule.limits_of(names)
                found.append((rule, limits))
                codes.append(index * 4 + (limits[0] is not None) * 2 + (limits[1] is not None))
        if not found:
            return _FREE
        key = tuple(codes)
        concern = self._concerns.get(key)
        if concern is None:
            if len(self._concerns) >= _MOST_CONCERNS:
                self._concerns = {}
            concern = self._concerns[key] = make_concern(found)
        return concern

    # --- a call -----------------------------------------------------------------------------------------------------

    def claim(self, subject: Subject, estimate: Weight, bound: Weight | None, now_ns: int) -> list[tuple[Slot, int]]:
        """What a call would reserve: (slot, amount) of every account that concerns it, those that may refuse it first.

        Strict budgets reserve `bound`, or `estimate` where there is none; all others `estimate`.
        """
        if now_ns >= self._sweep_ns:
            self._sweep(now_ns)
        strict = estimate if bound is None else bound
        claims = []
        for rule in self._rules:
            names = rule.pick(subject)
            if names is None:
                continue
            if not rule.starts_ns <= now_ns < rule.ends_ns:
                rule.roll(now_ns)
            slots = rule.slots.get(names)
            if slots is None:
                slots = rule.open(names)
            weight = strict if rule.is_strict else estimate
            for slot in slots:
                unit = slot.unit
                claims.append((slot, (weight.nano_usd or 0) if unit == 0 else weight.tokens if unit == 1 else weight.calls))
        return claims

    def reserve(
        self, id: str, subject: Subject, estimate: Weight, bound: Weight | None, now_ns: int, past: frozenset[str] = _NONE
    ) -> Grant | Shortage:
        """Reserve for a call in all of its accounts, or in none. An id is reserved once; raises ValueError the second time.

        What takes nothing of an account is never refused by it. Budgets of mode observe and warn never refuse, nor do those of
        mode downgrade that stand in `past`: the cheaper model has already been taken for them.
        """
        if id in self._open:
            raise ValueError(f"call {id} has a reservation already")
        claims = self.claim(subject, estimate, bound, now_ns)
        observed = None
        for slot, amount in claims:
            total = slot.total
            if amount and total.spent + total.reserved + amount > slot.limit:
                rule = slot.rule
                if rule.may_refuse and rule.name not in past:
                    return find_shortage(claims, now_ns, past, self.cells)
                if observed is None and not rule.may_refuse:
                    observed = rule.name
        return self._grant(id, claims, estimate, observed)

    def grant(self, id: str, claims: list[tuple[Slot, int]], estimate: Weight, observed: str | None) -> Grant:
        """Reserve what `claim` said, without a look at limits: another ledger has granted it.

        The slots are the caller's own. Their cells are found anew, for they may have been forgotten since.
        """
        for slot, _ in claims:
            if not slot.rule.is_per_call:
                slot.cell = self.cells.find(slot.cell.id)
        return self._grant(id, claims, estimate, observed)

    def _grant(self, id: str, claims: list[tuple[Slot, int]], estimate: Weight, observed: str | None) -> Grant:
        amounts: dict[Cell, int] = {}
        reserved: dict[str, int] = {}
        slots = []
        warnings: tuple[str, ...] = ()
        for slot, amount in claims:
            rule = slot.rule
            if rule.is_per_call:
                continue
            cell = slot.cell
            if slot.total.spent >= slot.half and rule.warns:
                warnings = _warn(warnings, slot)
            self._take(cell, amount)
            amounts[cell] = amount
            reserved[cell.id] = amount
            slots.append(slot)
        if amounts:
            self._open[id] = Reservation(amounts, slots, estimate)
        return Grant(reserved, warnings, observed)

    def room(self, subject: Subject, now_ns: int) -> Room:
        """What could be reserved now over all accounts that may refuse the call outright (enforce, strict)."""
        return find_room(self.claim(subject, Weight(0, 0, 0), None, now_ns))

    def extend(self, id: str, more: Weight, now_ns: int) -> dict[str, int] | None:
        """Reserve more for a running call: the new whole of what it has reserved, or None where not enough is left (nothing changed then).

        A budget that reserved an upper bound has more only where the estimate outgrows the bound. Limits are those that hold now.
        """
        claims = self.claim_more(id, more, now_ns)
        if not all(slot.fits(extra) for slot, extra in claims):
            return None
        return self.grant_more(id, more, claims)

    def claim_more(self, id: str, more: Weight, now_ns: int) -> list[tuple[Slot, int]]:
        """What an extension would reserve: (slot, amount), without a limit where none refuses it. Nothing for a call that is not known."""
        reservation = self._open.get(id)
        if reservation is None:
            return []
        covered = _add(reservation.covered, more)
        claims = []
        for slot in reservation.slots:
            cell = slot.cell
            extra = max(0, amount_of(covered, slot.unit) - reservation.amounts[cell])
            rule = self._named.get(slot.rule.key)
            limit = rule.limits_of(slot.names)[slot.unit] if rule is not None and rule.is_hard else None
            if limit is not None and cell.series is not None and rule is not None and not rule.starts_ns <= now_ns < rule.ends_ns:
                rule.roll(now_ns)
            claims.append((Slot(slot.rule, slot.names, slot.unit, UNLIMITED if limit is None else limit, cell), extra))
        return claims

    def grant_more(self, id: str, more: Weight, claims: list[tuple[Slot, int]]) -> dict[str, int] | None:
        """Reserve what `claim_more` said, without a look at limits: the new whole. None for a call that is not known."""
        reservation = self._open.get(id)
        if reservation is None or not claims:
            return None
        for slot, extra in claims:
            self._take(slot.cell, extra)
            reservation.amounts[slot.cell] += extra
        reservation.covered = _add(reservation.covered, more)
        return {cell.id: amount for cell, amount in reservation.amounts.items()}

    # --- the whole --------------------------------------------------------------------------------------------------

    def balances(self, now_ns: int) -> list[Balance]:
        """How all accounts stand in their current windows: those of budgets without dimensions, of tasks and keys, and all that were used."""
        self._sweep(now_ns)
        return list_balances(self._rules, self.cells, now_ns)

    def restore(self, checkpoint: dict[str, Any]) -> None:
        """Take the state of a checkpoint for the whole truth. Raises ValueError for a cell that is none."""
        super().restore(checkpoint)
        self._forget()

    def _forget(self) -> None:
        for rule in self._rules:
            rule.forget()

    def _sweep(self, now_ns: int) -> None:
        self._sweep_ns = now_ns + _SWEEP_NS
        if self.cells.sweep(now_ns):
            self._forget()


def _add(covered: Weight, more: Weight) -> Weight:
    return Weight((covered.nano_usd or 0) + (more.nano_usd or 0), covered.tokens + more.tokens, covered.calls)


def _warn(warnings: tuple[str, ...], slot: Slot) -> tuple[str, ...]:
    """Add how much of an account is spent: of its units the one that is spent most."""
    spent, limit, name = slot.total.spent, slot.limit, slot.rule.name
    percent = 100 if spent >= limit else 80 if spent * 100 >= limit * 80 else 50
    others = tuple(each for each in warnings if not each.startswith(f"{name} "))
    said = max((int(each.rpartition(" ")[2][:-1]) for each in warnings if each.startswith(f"{name} ")), default=0)
    return (*others, f"{name} {max(percent, said)}%")
