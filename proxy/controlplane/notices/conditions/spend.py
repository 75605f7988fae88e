"""What may be wrong with money: a budget is or will be used up, or calls have no price."""

from __future__ import annotations

from collections.abc import Iterable

from proxy.controlplane.notices.conditions.condition import Condition, Finding, divide, label, write_share
from proxy.controlplane.notices.window import Figure, Labels, Window
from proxy.notify import Thresholds
from proxy.toll.terms import UNITS

_ACCOUNT: Labels = ("budget", "scope")
_MODEL: Labels = ("upstream", "gen_ai_request_model")
_UNPRICED = "weighbridge_unpriced_calls_total"
FIGURES = (
    *(Figure(f"weighbridge_budget_{figure}_{unit}", _ACCOUNT) for figure in ("limit", "spent", "forecast") for unit in UNITS),
    Figure(_UNPRICED, _MODEL),
)
_SPENT_SHARE = 0.98
_LEAST_SHARE = 0.05  # of a budget that has hardly begun no forecast is worth anything


def _share(window: Window, figure: str) -> dict[Labels, float]:
    """What share of each budget is spent, or will be: by (budget, scope, unit)."""
    found: dict[Labels, float] = {}
    for unit in UNITS:
        limits, amounts = window.read(f"weighbridge_budget_limit_{unit}", _ACCOUNT), window.read(f"weighbridge_budget_{figure}_{unit}", _ACCOUNT)
        known = {account: limit for account, limit in limits.items() if account in amounts}
        found |= {(*account, unit): share for account, share in divide(amounts, known, 0).items()}
    return found


def find_nearly_spent(window: Window, thresholds: Thresholds) -> Iterable[Finding]:
    return _label({account: share for account, share in _share(window, "spent").items() if thresholds.budget_share <= share < _SPENT_SHARE})


def find_spent(window: Window, _: Thresholds) -> Iterable[Finding]:
    return _label({account: share for account, share in _share(window, "spent").items() if share >= _SPENT_SHARE})


def find_breach(window: Window, _: Thresholds) -> Iterable[Finding]:
    spent = {account for account, share in _share(window, "spent").items() if _LEAST_SHARE <= share < _SPENT_SHARE}
    return _label({account: share for account, share in _share(window, "forecast").items() if share > 1 and account in spent})


def _label(shares: dict[Labels, float]) -> list[Finding]:
    return label((*_ACCOUNT, "unit"), shares)


def find_unpriced(window: Window, _: Thresholds) -> Iterable[Finding]:
    return label(_MODEL, {model: calls for model, calls in window.measure(_UNPRICED, 3600, _MODEL).items() if calls > 0})


CONDITIONS = (
    Condition(
        name="WeighbridgeBudgetNearlySpent",
        severity="warning",
        find=find_nearly_spent,
        for_s=120,
        write=write_share,
        summary="Budget {budget} ({scope}) is nearly spent",
        description="{value} of its {unit} are spent in this window.",
    ),
    Condition(
        name="WeighbridgeBudgetSpent",
        severity="critical",
        find=find_spent,
        for_s=60,
        write=write_share,
        summary="Budget {budget} ({scope}) is spent",
        description="{value} of its {unit} are spent: where it is enforced, calls are refused or cut.",
    ),
    Condition(
        name="WeighbridgeBudgetForecastBreach",
        severity="warning",
        find=find_breach,
        for_s=1800,
        write=write_share,
        summary="Budget {budget} ({scope}) will not last",
        description="If calls go on as they did, {value} of its {unit} will have been spent when the window ends.",
    ),
    Condition(
        name="WeighbridgeUnpricedSpend",
        severity="warning",
        find=find_unpriced,
        for_s=300,
        needs_s=3600,
        summary="Calls of {gen_ai_request_model} at {upstream} have no price",
        description="{value} calls of the last hour are in no sum of money.",
    ),
)
