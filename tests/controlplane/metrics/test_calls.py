"""Counters and histograms of calls: both are bounded, and no counter goes down at its bound."""

from __future__ import annotations

from proxy.controlplane.metrics.calls import CallCounts
from proxy.observing import Shown


def test_histograms_have_a_bound_of_their_own_and_lose_no_call(weigh, read) -> None:
    counts = CallCounts(["demo"], Shown(models=5, histograms=2))
    before: dict[str, float] = {}
    for number in range(40):
        counts.observe([weigh(number, model=f"m-{number % 8}", finish="stop", waited_ns=10**9 * (number % 2))])
        after = read(counts.collect())
        assert all(after[name] >= value for name, value in before.items() if not name.endswith("_seconds_bucket")), "nothing goes down or away"
        before = after
    calls = [value for name, value in after.items() if name.startswith("calls_total")]
    counted = [value for name, value in after.items() if name.startswith("gen_ai_client_operation_duration_seconds_count")]
    assert (len(calls), sum(calls)) == (6, 40) and (len(counted), sum(counted)) == (3, 40)
    assert sum(value for name, value in after.items() if name.startswith("finishes_total") and "finish=stop" in name) == 40
    assert after["waited_seconds_count{}"] == 20


def test_words_of_callers_and_providers_are_bounded(weigh, read) -> None:
    counts = CallCounts(["demo"], Shown(models=3, histograms=2))
    outcomes = ("upstream_cut", "upstream_error", "caller_gone", "upstream_timeout", "policy_killed", "upstream_open")
    counts.observe([weigh(one, model=f"m-{one}", finish=f"f-{one}", outcome=outcomes[one % 6], operation=f"op-{one}") for one in range(500)])
    found = read(counts.collect())
    assert len({name for name in found if name.startswith("finishes_total")}) <= 41 * 8
    assert len({name for name in found if name.startswith("gen_ai_client_operation_duration_seconds_count")}) <= 2 * 2 + 3
    assert sum(value for name, value in found.items() if name.startswith("calls_total")) == 500


def test_how_long_a_reviewer_took_is_no_duration_of_the_provider(weigh, read) -> None:
    counts = CallCounts(["demo"], Shown())
    counts.observe([weigh(1, duration_ns=301 * 10**9, held_ns=300 * 10**9, trace_id="ab" * 16)])
    found = read(counts.collect())
    assert [value for name, value in found.items() if name.startswith("gen_ai_client_operation_duration_seconds_sum")] == [1.0]
