"""What a caller is told when a budget has not enough left."""

from __future__ import annotations

import pytest

from proxy.call import Call
from proxy.dataplane.advice import make_refusal
from proxy.toll.terms import Shortage

NOW_NS = 1_790_000_000 * 10**9
HOUR_NS = 3600 * 10**9


def refuse(affordable: int | None = None, **changes: object):
    given = {
        "budget": "agent-day", "mode": "enforce", "unit": "usd", "scope": {"agent": "researcher"}, "limit": 5 * 10**9, "spent": 4_990_000_000,
        "reserved": 0, "asked": 25_000_000, "resets_at_ns": NOW_NS + HOUR_NS, "busy": False,
    }  # fmt: skip
    call = Call(id="c", started_ns=NOW_NS, method="POST", path="/")
    refusal = make_refusal(call, Shortage(**{**given, **changes}), NOW_NS, affordable)
    assert (call.toll.act, call.toll.budget) == ("refused", "agent-day")
    return refusal


def test_a_used_up_budget_is_the_end_of_it() -> None:
    refusal = refuse(affordable=40)
    assert (refusal.name, refusal.status, refusal.retryable, refusal.retry_after_s) == ("policy_budget_exhausted", 402, False, None)
    assert refusal.message == (
        "The budget agent-day of agent researcher is used up: $4.99 of $5.00 are spent, $0.00 reserved, and this call needs up to $0.025. "
        "With a maximum of 40 output tokens it would fit. It resets at 2026-09-21T15:13:20Z."
    )
    assert refusal.details == {
        "budget": "agent-day", "scope": {"agent": "researcher"}, "unit": "usd", "limit": 5.0, "spent": 4.99, "reserved": 0.0, "asked": 0.025,
        "resets_at": "2026-09-21T15:13:20Z", "affordable_max_tokens": 40,
    }  # fmt: skip


def test_what_running_calls_hold_may_come_back() -> None:
    refusal = refuse(spent=10**9, reserved=3_990_000_000, busy=True)
    assert (refusal.name, refusal.status, refusal.retryable) == ("policy_budget_busy", 429, True)
    assert refusal.retry_after_s == 2
    assert "is held by running calls" in refusal.message and refusal.message.endswith("Try again shortly.")


def test_a_window_that_ends_soon_is_worth_the_wait() -> None:
    refusal = refuse(resets_at_ns=NOW_NS + 30 * 10**9)
    assert (refusal.name, refusal.retry_after_s) == ("policy_budget_busy", 30)
    assert refuse(resets_at_ns=NOW_NS + 61 * 10**9).status == 402


def test_a_budget_for_life_never_resets() -> None:
    refusal = refuse(resets_at_ns=None, scope={}, unit="tokens", limit=1_000_000, spent=999_000, asked=2_000)
    assert refusal.message == (
        "The budget agent-day is used up: 999,000 tokens of 1,000,000 tokens are spent, 0 tokens reserved, and this call needs up to 2,000 tokens."
    )
    assert refusal.details["resets_at"] is None


def test_small_sums_are_written_out() -> None:
    assert "$0.0000806 of $0.0001 are spent" in refuse(limit=100_000, spent=80_550, asked=66_000).message


def test_no_maximum_makes_a_call_no_call() -> None:
    refusal = refuse(affordable=86, unit="calls", limit=2, spent=2, asked=1, resets_at_ns=None, scope={})
    assert refusal.message == "The budget agent-day is used up: 2 calls of 2 calls are spent, 0 calls reserved, and this call needs up to 1 calls."
    assert refusal.details["affordable_max_tokens"] is None


@pytest.mark.parametrize("busy", [False, True])
def test_a_call_larger_than_the_whole_budget_never_fits(busy: bool) -> None:
    refusal = refuse(affordable=100, asked=6 * 10**9, busy=busy)
    assert (refusal.name, refusal.status) == ("policy_call_too_costly", 402)
    assert "allows $5.00 in all, and this call needs up to $6.00. With a maximum of 100 output tokens it would fit." in refusal.message
