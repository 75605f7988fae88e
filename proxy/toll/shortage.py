"""Why a call does not fit: the account that is short, and when it will be less so."""

from __future__ import annotations

from proxy.toll.account import Slot, Standing
from proxy.toll.cells import Cells
from proxy.toll.terms import UNITS, Room, Shortage
from proxy.toll.windows import read_name


def find_shortage(claims: list[tuple[Slot, int]], now_ns: int, past: frozenset[str], cells: Cells) -> Shortage:
    """Of all accounts that refuse a call, the one that will do so longest; a downgrade only where no other one is short.

    `claims` holds at least one that refuses; `past` are the downgrade budgets that do not any more.
    """
    short = [(slot, amount) for slot, amount in claims if slot.rule.may_refuse and slot.rule.name not in past and not slot.fits(amount)]
    hard = [(slot, amount) for slot, amount in short if slot.rule.is_hard]
    found = [_make_shortage(slot, amount, cells) for slot, amount in hard or short]
    return max(found, key=lambda one: (not one.busy, one.resets_at_ns is None, one.resets_at_ns or 0))


def find_room(claims: list[tuple[Slot, int]]) -> Room:
    """What is left in the tightest of the accounts that may refuse a call outright."""
    least: list[int | None] = [None, None, None]
    for slot, _ in claims:
        if slot.rule.is_hard:
            left = max(0, slot.limit - slot.total.spent - slot.total.reserved)
            known = least[slot.unit]
            least[slot.unit] = left if known is None else min(left, known)
    return Room(nano_usd=least[0], tokens=least[1])


def _make_shortage(slot: Slot, amount: int, cells: Cells) -> Shortage:
    rule, spent, reserved = slot.rule, slot.total.spent, slot.total.reserved
    return Shortage(
        budget=rule.name, mode=rule.mode, unit=UNITS[slot.unit], scope=slot.scope, limit=slot.limit, spent=spent, reserved=reserved,
        asked=amount, resets_at_ns=_find_reset(slot, amount, cells), busy=spent + amount <= slot.limit,
    )  # fmt: skip


def _find_reset(slot: Slot, amount: int, cells: Cells) -> int | None:
    """When the amount will fit by itself; None: never."""
    rule = slot.rule
    if amount > slot.limit or rule.windows.per in ("lifetime", "call"):
        return None
    if rule.windows.length_ns is None:
        return rule.ends_ns
    rest = slot.total.spent + slot.total.reserved
    for bucket, used in _list_used(slot, cells):
        rest -= used
        if rest + amount <= slot.limit:
            return rule.windows.leaves_ns(bucket)
    return rule.windows.leaves_ns(read_name(rule.window).bucket)  # what was spent before is less than nothing, by corrections


def _list_used(slot: Slot, cells: Cells) -> list[tuple[int, int]] | list[list[int]]:
    """(bucket, spent and reserved) of those that count in a rolling window, oldest first."""
    if isinstance(slot.total, Standing):
        return slot.total.used
    family = cells.families[f"{slot.rule.name}.{UNITS[slot.unit]}@{slot.rule.windows.per}"]
    _, mark, scope = slot.cell.id.partition("?")
    pages = [family.pages[bucket] for bucket in sorted(family.pages) if family.pages[bucket].is_live]
    found = [(page.bucket, page.cells.get(mark + scope)) for page in pages]
    return [(bucket, cell.spent + cell.reserved) for bucket, cell in found if cell is not None]
