"""Attempts: each is counted once, at the upstream it was made at, with the reason why there was another."""

from __future__ import annotations

import pytest

from proxy.controlplane.metrics.attempts import AttemptCounts
from proxy.routes import CONDITIONS

CASES = {
    "one attempt": ([{}], {"attempts_total{outcome=ok,upstream=a}": 1}),
    "refused before any": ([{"attempts": 0, "outcome": "policy_paused"}], {}),
    "again, and then well": (
        [{"attempts": 2, "tried": "a overloaded"}],
        {
            "attempts_total{outcome=upstream_error,upstream=a}": 1,
            "attempts_total{outcome=ok,upstream=a}": 1,
            "retries_total{reason=overloaded,upstream=a}": 1,
        },
    ),
    "another key, then another upstream": (
        [{"attempts": 3, "tried": "a/K1 rate_limited, a/K2 timeout", "upstream": "b"}],
        {
            "attempts_total{outcome=upstream_error,upstream=a}": 1,
            "attempts_total{outcome=upstream_timeout,upstream=a}": 1,
            "attempts_total{outcome=ok,upstream=b}": 1,
            "retries_total{reason=rate_limited,upstream=a}": 1,
            "fallbacks_total{reason=timeout,upstream=a}": 1,
        },
    ),
    "the breaker was open": (
        [{"attempts": 1, "tried": "a open", "upstream": "b"}],
        {"attempts_total{outcome=ok,upstream=b}": 1, "fallbacks_total{reason=open,upstream=a}": 1},
    ),
    "the next one could not be made": (
        [{"attempts": 1, "tried": "a unreachable", "outcome": "upstream_unreachable"}],
        {"attempts_total{outcome=upstream_unreachable,upstream=a}": 1},
    ),
    "given up, with a record of its own": (
        [{"attempt_of": "call-1", "outcome": "upstream_discarded"}, {"attempts": 2, "tried": "a empty"}],
        {
            "attempts_total{outcome=upstream_discarded,upstream=a}": 1,
            "attempts_total{outcome=ok,upstream=a}": 1,
            "retries_total{reason=empty,upstream=a}": 1,
        },
    ),
    "a hedge that won": (
        [{"attempt_of": "call-1", "outcome": "upstream_discarded"}, {"attempts": 2, "tried": "a/K1 slow", "upstream_key": "K2"}],
        {
            "attempts_total{outcome=upstream_discarded,upstream=a}": 1,
            "attempts_total{outcome=ok,upstream=a}": 1,
            "hedges_total{result=won,upstream=a}": 1,
        },
    ),
    "a hedge elsewhere that lost": (
        [{"attempt_of": "call-1", "outcome": "upstream_cut", "upstream": "b"}, {"attempts": 2, "tried": "a slow"}],
        {
            "attempts_total{outcome=upstream_cut,upstream=b}": 1,
            "attempts_total{outcome=ok,upstream=a}": 1,
            "hedges_total{result=lost,upstream=a}": 1,
        },
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_every_attempt_is_counted_once(name: str, weigh, read) -> None:
    calls, expected = CASES[name]
    counts = AttemptCounts(["a", "b"])
    counts.observe([weigh(1 if "attempt_of" not in one else 2, **{"upstream": "a", **one}) for one in calls])
    assert read(counts.collect()) == expected


@pytest.mark.parametrize("word", CONDITIONS)
def test_every_condition_is_an_outcome_of_an_attempt(word: str, weigh, read) -> None:
    counts = AttemptCounts(["a"])
    counts.observe([weigh(1, upstream="a", attempts=2, tried=f"a {word}")])
    assert not any("outcome=other" in name for name in read(counts.collect()))


def test_names_and_what_waits_for_its_call_are_bounded(weigh, read) -> None:
    counts = AttemptCounts(["a"])
    counts.observe([weigh(one, upstream=f"u{one}", attempt_of=f"never-{one}") for one in range(2000)])
    assert len(counts._apart) <= 1000
    counts.observe([weigh(one, upstream=f"u{one}", outcome=f"o{one}", remaining_requests=1) for one in range(50)])
    assert read(counts.collect()) == {"attempts_total{outcome=other,upstream=other}": 50}


def test_a_providers_limits_are_its_newest_words(weigh, read) -> None:
    counts = AttemptCounts(["a"])
    counts.observe([weigh(1, upstream="a", limit_requests=10, remaining_requests=9, limit_tokens=1000, remaining_tokens=400), weigh(2, upstream="a")])
    counts.observe([weigh(3, upstream="a", limit_requests=10, remaining_requests=8, remaining_tokens=300)])
    found = {name: value for name, value in read(counts.collect()).items() if name.startswith("upstream_")}
    assert found == {
        "upstream_limit{kind=requests,upstream=a}": 10,
        "upstream_remaining{kind=requests,upstream=a}": 8,
        "upstream_remaining{kind=tokens,upstream=a}": 300,
    }
