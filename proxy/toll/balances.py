"""How the accounts of a ledger stand: limits, spent and reserved of the windows that are now."""

from __future__ import annotations

from proxy.toll.account import Rule
from proxy.toll.cells import Cells, Page, read_prefix, read_scope, write_scope
from proxy.toll.terms import UNITS, Balance, Unit
from proxy.toll.windows import Windows

GONE = "gone"  # the mode of an account whose budget is in no config any more


def list_balances(rules: list[Rule], cells: Cells, now_ns: int) -> list[Balance]:
    """All accounts that are known before a call comes and all that were used, budget by budget; then those of budgets that are gone.

    The sums of rolling windows must have been advanced to this moment.
    """
    found: list[Balance] = []
    for rule in rules:
        if not rule.is_per_call:
            for unit, word in enumerate(UNITS):
                name = f"{rule.name}.{word}@{rule.windows.per if rule.windows.length_ns else rule.windows.at(now_ns).name}"
                found += _list_rule(rule, unit, name, cells, now_ns)
    counted = {rule.key for rule in rules}
    for name, page in cells.pages.items():
        if page.family is None and (page.budget, page.per) not in counted and page.window == Windows(page.per).at(now_ns).name:
            found += _list_gone(name, page.per, _read_page(page))
    for name, family in cells.families.items():
        if (name.partition(".")[0], family.windows.per) not in counted:
            found += _list_gone(name, family.windows.per, _read_standing(cells, name))
    return found


_Standing = dict[str, tuple[int, int]]  # scope → (spent, reserved)


def _read_standing(cells: Cells, name: str) -> _Standing:
    family = cells.families.get(name)
    if family is not None:
        return {scope: (series.spent, series.reserved) for scope, series in family.series.items()}
    page = cells.pages.get(name)
    return {} if page is None else _read_page(page)


def _read_page(page: Page) -> _Standing:
    return {scope: (cell.spent, cell.reserved) for scope, cell in page.cells.items()}


def _list_rule(rule: Rule, unit: int, name: str, cells: Cells, now_ns: int) -> list[Balance]:
    known = {write_scope(dict(zip(rule.each, names, strict=True))): names for names in rule.accounts if rule.limits_of(names)[unit] is not None}
    standing = _read_standing(cells, name)
    starts_ns, resets_ns = _read_bounds(rule, name, cells, now_ns)
    found = []
    for text in {**known, **standing}:
        scope = read_scope(text)
        limit = rule.limits_of(known.get(text) or tuple(scope.values()))[unit]
        spent, reserved = standing.get(text, (0, 0))
        if limit is not None or spent or reserved:
            found.append(
                Balance(
                    budget=rule.name, unit=UNITS[unit], mode=rule.mode if limit is not None else GONE, per=rule.windows.per, scope=scope,
                    limit=limit, spent=spent, reserved=reserved, starts_ns=starts_ns, resets_at_ns=resets_ns,
                )
            )  # fmt: skip
    return found


def _read_bounds(rule: Rule, name: str, cells: Cells, now_ns: int) -> tuple[int | None, int | None]:
    """When the window begins, and when all that counts now will have left it."""
    if rule.windows.length_ns is None:
        window = rule.windows.at(now_ns)
        return window.starts_ns, window.ends_ns
    family = cells.families.get(name)
    newest = max((bucket for bucket, page in family.pages.items() if page.is_live), default=None) if family is not None else None
    return now_ns - rule.windows.length_ns, None if newest is None else rule.windows.leaves_ns(newest)


def _list_gone(name: str, per: str, standing: _Standing) -> list[Balance]:
    """Accounts that no budget counts any more. Their time zone is forgotten: windows are taken for those of UTC."""
    budget, unit, _ = read_prefix(name)
    return [_make_gone(budget, unit, per, read_scope(scope), *amounts) for scope, amounts in standing.items() if any(amounts)]


def _make_gone(budget: str, unit: Unit, per: str, scope: dict[str, str], spent: int, reserved: int) -> Balance:
    return Balance(
        budget=budget, unit=unit, mode=GONE, per=per, scope=scope, limit=None, spent=spent, reserved=reserved, starts_ns=None, resets_at_ns=None
    )
