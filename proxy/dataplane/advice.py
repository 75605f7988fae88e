"""What a caller is told of its budgets: which has not enough left, how much, until when, and what would fit; and what was changed of its request."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from urllib.parse import quote

from proxy.call import Call, Toll
from proxy.errors import Refusal
from proxy.toll.terms import Shortage

_SOON_S = 60.0  # a window that resets within this time is worth waiting for; SDKs wait this long at most between attempts
_BUSY_S = 2.0  # after which running calls may have given back what they did not use


def make_refusal(call: Call, shortage: Shortage, now_ns: int, affordable_tokens: int | None) -> Refusal:
    """The refusal of a call that a budget cannot pay.

    Its details: {budget, scope, unit, limit, spent, reserved, asked, resets_at, affordable_max_tokens}; amounts in dollars where the
    unit is `usd`. 429 only where waiting helps soon: running calls hold the rest, or the window ends within a minute.
    """
    if shortage.unit == "calls":  # of which no shorter answer takes fewer
        affordable_tokens = None
    resets_s = None if shortage.resets_at_ns is None else max(0.0, (shortage.resets_at_ns - now_ns) / 1e9)
    details = {
        "budget": shortage.budget,
        "scope": shortage.scope,
        "unit": shortage.unit,
        "limit": _amount(shortage, shortage.limit),
        "spent": _amount(shortage, shortage.spent),
        "reserved": _amount(shortage, shortage.reserved),
        "asked": _amount(shortage, shortage.asked),
        "resets_at": None if shortage.resets_at_ns is None else _write_moment(shortage.resets_at_ns),
        "affordable_max_tokens": affordable_tokens,
    }
    call.toll.budget, call.toll.act = shortage.budget, "refused"
    whose = ", ".join(f"{dimension} {name}" for dimension, name in shortage.scope.items())
    name = f"The budget {shortage.budget}" + (f" of {whose}" if whose else "")
    needs = f"this call needs up to {_words(shortage, shortage.asked)}"
    fits = f" With a maximum of {affordable_tokens} output tokens it would fit." if affordable_tokens else ""
    if shortage.asked > shortage.limit and shortage.limit > 0:
        text = f"{name} allows {_words(shortage, shortage.limit)} in all, and {needs}.{fits}"
        return Refusal("policy_call_too_costly", text, details)
    state = f"{_words(shortage, shortage.spent)} of {_words(shortage, shortage.limit)} are spent, {_words(shortage, shortage.reserved)} reserved"
    if shortage.busy:
        return Refusal("policy_budget_busy", f"{name} is held by running calls: {state}, and {needs}. Try again shortly.", details, _BUSY_S)
    resets = f" It resets at {details['resets_at']}." if details["resets_at"] else ""
    text = f"{name} is used up: {state}, and {needs}.{fits}{resets}"
    if resets_s is not None and resets_s <= _SOON_S:
        return Refusal("policy_budget_busy", text, details, resets_s)
    return Refusal("policy_budget_exhausted", text, details)


def suit_client(refusal: Refusal, user_agent: str | None, fields: dict[str, str]) -> None:
    """Give a refusal that is final the status that its client takes for the end.

    Codex (0.169) repeats a 402 or 403 five times, and takes a 400 for the end; a socket it opens seven times, and goes over to HTTP at a 426.
    """
    if not refusal.retryable and (user_agent or "").startswith("codex"):
        refusal.status = 426 if "upgrade" in fields else 400


def _amount(shortage: Shortage, number: int) -> float | int:
    return number / 1e9 if shortage.unit == "usd" else number


def _words(shortage: Shortage, number: int) -> str:
    if shortage.unit != "usd":
        return f"{number:,} {shortage.unit}"
    usd = number / 1e9
    return f"${usd:,.2f}" if usd >= 1 or usd == 0 else f"${Decimal(f'{usd:.3g}'):f}"


def _write_moment(at_ns: int) -> str:
    return datetime.fromtimestamp(at_ns / 1e9, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def tell_toll(toll: Toll) -> list[bytes]:
    """The header lines that tell a caller what its budgets did: warnings, and what was changed of its request."""
    lines = []
    if toll.warnings:
        lines.append(b"x-weighbridge-budget: " + ", ".join(toll.warnings).encode())
    if toll.capped_tokens is not None:
        lines.append(b"x-weighbridge-max-tokens: %d" % toll.capped_tokens)
    if toll.asked_model is not None:
        lines.append(b"x-weighbridge-model-asked: " + quote(toll.asked_model, safe="/:@").encode())
    return lines
