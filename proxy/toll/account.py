"""Accounts: budgets made ready to be asked whom they concern, with the cells of their current windows at hand.

A rule is a budget compiled. A slot is one unit of one of its accounts, now: the cell that is charged, and what is held against
the limit: the cell itself, or the sum over the buckets of a rolling window. Slots are made anew with each window.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import msgspec

from proxy.orders import TaskBudget
from proxy.rules import Budget, Key
from proxy.toll.cells import Cell, Cells, Series, write_scope
from proxy.toll.subject import Picker, Subject, make_picker
from proxy.toll.terms import UNITS, Weight
from proxy.toll.windows import Windows

HARD = frozenset({"enforce", "strict"})
_ORDER = ("strict", "enforce", "downgrade", "warn", "observe")  # what may refuse is asked first
_NEVER = 1 << 63
UNLIMITED = 1 << 62  # nano-USD, tokens or calls
Limits = tuple[int | None, int | None, int | None]  # in the order of UNITS; None: not counted


def to_nano_usd(usd: float) -> int:
    """US dollars as they were written, in nano-USD."""
    return int(Decimal(repr(usd)) * 1_000_000_000)


def read_limits(rule: Budget | Key | TaskBudget) -> Limits:
    """The limits of all units."""
    return (None if rule.usd is None else to_nano_usd(rule.usd), rule.tokens, rule.calls)


def amount_of(weight: Weight, unit: int) -> int:
    """What a call takes in one unit; an unknown price takes nothing."""
    return (weight.nano_usd or 0) if unit == 0 else weight.tokens if unit == 1 else weight.calls


class Standing:
    """What is spent and reserved in an account over all data planes."""

    __slots__ = ("reserved", "spent", "used")

    def __init__(self, spent: int, reserved: int, used: list[list[int]] | None = None) -> None:
        self.spent = spent
        self.reserved = reserved
        self.used = used or []  # of a rolling window: [bucket, spent and reserved], oldest first


class Slot:
    """One unit of one account in the current window."""

    __slots__ = ("cell", "half", "limit", "names", "rule", "total", "unit")

    def __init__(self, rule: Rule, names: tuple[str, ...], unit: int, limit: int, cell: Cell) -> None:
        self.rule = rule
        self.names = names
        self.unit = unit
        self.limit = limit
        self.half = (limit + 1) // 2  # the first amount that is worth a warning
        self.cell = cell
        self.total: Cell | Series | Standing = cell if cell.series is None else cell.series

    def fits(self, amount: int) -> bool:
        """Whether so much can be reserved; nothing always can."""
        return not amount or self.total.spent + self.total.reserved + amount <= self.limit

    @property
    def scope(self) -> dict[str, str]:
        return dict(zip(self.rule.each, self.names, strict=True))


class Rule:
    """A budget, ready to be asked. Its limits may differ from account to account (keys, tasks)."""

    def __init__(
        self, name: str, mode: str, windows: Windows, each: list[str], pick: Picker, limits_of: Callable[[tuple[str, ...]], Limits], cells: Cells
    ) -> None:
        self.name = name
        self.mode = mode
        self.each = each
        self.pick = pick
        self.limits_of = limits_of
        self.windows = windows
        self.is_per_call = windows.per == "call"
        self.is_strict = mode == "strict"
        self.is_hard = mode in HARD
        self.may_refuse = self.is_hard or mode == "downgrade"
        self.refuses_unpriced = True
        self.unbounded_nano_usd: int | None = None  # what is reserved where no bound can be told
        self.warns = mode != "observe" and not self.is_per_call
        self.slots: dict[tuple[str, ...], tuple[Slot, ...]] = {}
        self.starts_ns = self.ends_ns = 0  # of the window of these slots
        self.window = ""
        self.accounts: tuple[tuple[str, ...], ...] = () if each else ((),)  # known before a call comes
        self._cells = cells

    @property
    def key(self) -> tuple[str, str]:
        """Tells rules apart: the budgets of keys share a name, and differ in their windows."""
        return (self.name, self.windows.per)

    def roll(self, now_ns: int) -> None:
        """Go to the window of this moment."""
        window = self.windows.at(now_ns)
        self.window = window.name
        self.starts_ns = -_NEVER if window.starts_ns is None else window.starts_ns
        self.ends_ns = _NEVER if window.ends_ns is None else window.ends_ns
        self.slots = {}
        if self.windows.length_ns is not None:
            for unit in UNITS:
                self._cells.advance(f"{self.name}.{unit}@{self.windows.per}", now_ns)

    def forget(self) -> None:
        """Find the cells anew before the next call."""
        self.starts_ns = self.ends_ns = 0

    def open(self, names: tuple[str, ...]) -> tuple[Slot, ...]:
        """The slots of an account, one for each unit that is counted."""
        scope = write_scope(dict(zip(self.each, names, strict=True)))
        made = []
        for unit, limit in enumerate(self.limits_of(names)):
            if limit is not None:
                cell = Cell("", unit) if self.is_per_call else self._cells.take(f"{self.name}.{UNITS[unit]}@{self.window}", scope)
                made.append(Slot(self, names, unit, limit, cell))
        slots = self.slots[names] = tuple(made)
        return slots

    def slots_at(self, names: tuple[str, ...], now_ns: int) -> tuple[Slot, ...]:
        """The slots of an account at a moment."""
        if not self.starts_ns <= now_ns < self.ends_ns:
            self.roll(now_ns)
        return self.slots.get(names) or self.open(names)


def compile_budgets(budgets: list[Budget], cells: Cells) -> list[Rule]:
    """The rules of the config's budgets, those that may refuse a call first."""
    rules = []
    for budget in budgets:
        limits = read_limits(budget)
        windows = Windows(budget.per, budget.timezone)
        rule = Rule(budget.name, budget.mode, windows, budget.each, make_picker(budget.each, budget.match), _always(limits), cells)
        rule.refuses_unpriced = budget.unpriced == "refuse"
        rule.unbounded_nano_usd = None if budget.unbounded_usd is None else to_nano_usd(budget.unbounded_usd)
        rules.append(rule)
    return sorted(rules, key=lambda rule: _ORDER.index(rule.mode))


def compile_tasks(tasks: dict[str, TaskBudget], cells: Cells) -> list[Rule]:
    """The rule of the tasks that have a budget of their own: for life, enforced."""
    limits = {(task,): read_limits(budget) for task, budget in tasks.items()}
    return [_compile_named("task", "task", "lifetime", limits, cells)] if limits else []


def compile_keys(keys: list[Key], cells: Cells) -> list[Rule]:
    """The rules of the keys that have a budget of their own, one for each length of window; enforced."""
    by_per: dict[str, dict[tuple[str, ...], Limits]] = {}
    for key in keys:
        limits = read_limits(key)
        if limits != (None, None, None):
            by_per.setdefault(key.per, {})[(key.name,)] = limits
    return [_compile_named("key", "key", per, limits, cells) for per, limits in by_per.items()]


def _always(limits: Limits) -> Callable[[tuple[str, ...]], Limits]:
    return lambda names: limits


def _compile_named(name: str, dimension: str, per: str, limits: dict[tuple[str, ...], Limits], cells: Cells) -> Rule:
    def pick(subject: Subject) -> tuple[str, ...] | None:
        names = (getattr(subject, dimension),)
        return names if names in limits else None

    rule = Rule(name, "enforce", Windows(per), [dimension], pick, lambda names: limits.get(names, (None, None, None)), cells)
    rule.accounts = tuple(limits)
    return rule


class Concern(msgspec.Struct, frozen=True, gc=False):
    """What the budgets that concern a call make of it, before anything is counted."""

    has_usd: bool = False
    has_tokens: bool = False
    is_hard: bool = False  # a budget of mode enforce or strict: the call may be refused, capped and cut
    is_strict: bool = False
    is_any: bool = False  # any budget at all
    has_downgrade: bool = False
    refuses_unpriced: str | None = None  # the budget that refuses calls of models without a price
    refuses_unbounded: str | None = None  # the strict budget that refuses calls whose cost has no bound
    unbounded_nano_usd: int | None = None  # what strict budgets reserve for such a call, where they all take it


def make_concern(rules: list[tuple[Rule, Limits]]) -> Concern:
    """The concern of a call under these rules and the limits of its accounts in them."""
    strict = [rule for rule, _ in rules if rule.is_strict]
    unbounded = [rule.unbounded_nano_usd for rule in strict if rule.unbounded_nano_usd is not None]
    return Concern(
        has_usd=any(limits[0] is not None for _, limits in rules),
        has_tokens=any(limits[1] is not None for _, limits in rules),
        is_hard=any(rule.is_hard for rule, _ in rules),
        is_strict=bool(strict),
        is_any=bool(rules),
        has_downgrade=any(rule.mode == "downgrade" for rule, _ in rules),
        refuses_unpriced=next((rule.name for rule, limits in rules if rule.may_refuse and rule.refuses_unpriced and limits[0] is not None), None),
        refuses_unbounded=next((rule.name for rule in strict if rule.unbounded_nano_usd is None), None),
        unbounded_nano_usd=max(unbounded, default=None),
    )
