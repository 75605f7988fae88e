"""Headroom: at three times what a provider gives, it refuses next to nothing, and gives nearly all it can."""

from __future__ import annotations

import asyncio

import pytest

from proxy.call import RateLimits
from proxy.rules import Headroom as Rule
from proxy.toll.headroom import Headroom
from tests.toll.limited_provider import Bucket, Crowd, Window
from tests.toll.virtual import START_NS, S, run_virtually

NAME = ("p", "k", "m")
PLENTY = 10**9
CASES = {
    "requests": (300, PLENTY, 100, 100, 2.0),
    "requests, long calls": (300, PLENTY, 100, 100, 30.0),
    "few requests": (60, PLENTY, 10, 10, 2.0),
    "tokens": (PLENTY, 80_000, 400, 400, 3.0),
    "tokens, far too high an estimate": (PLENTY, 100_000, 16_384, 400, 3.0),
    "tokens, too low an estimate": (PLENTY, 100_000, 100, 400, 6.0),
    "both": (250, 100_000, 500, 400, 4.0),
}


@pytest.mark.parametrize("kind", [Bucket, Window])
@pytest.mark.parametrize("case", CASES)
def test_the_provider_refuses_next_to_nothing_and_is_used_well(kind: type[Bucket], case: str) -> None:
    requests, tokens, estimate, actual, ran_s = CASES[case]

    async def main() -> tuple[Crowd, float]:
        crowd = Crowd(kind(requests, tokens), estimate, actual, ran_s)
        rate = 3 * min(requests, tokens / actual) / 60
        await crowd.offer({f"agent-{number}": rate / 8 for number in range(8)}, 360)
        return crowd, crowd.provider.utilisation

    crowd, utilisation = run_virtually(main())
    provider = crowd.provider
    assert provider.refused < 0.01 * (provider.accepted + provider.refused)
    assert utilisation > 0.9
    assert all(refusal.name == "policy_upstream_limited" and refusal.retry_after_s for refusal in crowd.refused)
    assert max(crowd.entered.values()) < 1.35 * min(crowd.entered.values())


def test_a_flooder_does_not_take_the_headroom_of_others() -> None:
    async def main() -> Crowd:
        crowd = Crowd(Bucket(600, PLENTY), 10, 10, 1.0)
        await crowd.offer({"flood": 50.0} | {f"quiet-{number}": 0.4 for number in range(15)}, 120)
        return crowd

    crowd = run_virtually(main())
    assert not [refusal for refusal in crowd.refused if refusal.name != "policy_upstream_limited"]
    offered = 0.4 * 120
    assert all(crowd.entered[f"quiet-{number}"] > 0.7 * offered for number in range(15))
    assert sum(crowd.entered[f"quiet-{number}"] for number in range(15)) > 0.97 * 15 * offered


def test_a_provider_that_tells_nothing_but_a_wait_is_not_hammered() -> None:
    async def main() -> Crowd:
        crowd = Crowd(Bucket(600, PLENTY), 10, 10, 2.0, tells=False)
        await crowd.offer({"a": 15.0, "b": 15.0}, 240)
        return crowd

    provider = run_virtually(main()).provider
    assert provider.refused < 0.35 * provider.accepted  # without the gate: two of three calls
    assert provider.accepted > 0.8 * 600 * 4


def learned(limits: RateLimits, status: int = 200, sent_ns: int = START_NS, came_ns: int = START_NS) -> Headroom:
    headroom = Headroom(Rule(share=True))
    headroom.learn(NAME, limits, status, sent_ns, came_ns, came_ns)
    return headroom


def fill(headroom: Headroom, now_ns: int = START_NS, tokens: int = 1, most: int = 2000) -> int:
    for number in range(most):
        if headroom.take(f"{now_ns}-{number}", NAME, tokens, now_ns) is not None:
            return number
    return most


def test_no_more_go_than_the_headers_said_remained() -> None:
    assert fill(learned(RateLimits(limit_requests=50, remaining_requests=30, reset_requests_s=24.0))) == 29
    assert fill(learned(RateLimits(limit_tokens=50_000, remaining_tokens=30_000, reset_tokens_s=24.0)), tokens=1000) == 25
    assert fill(learned(RateLimits(limit_tokens=50_000, remaining_tokens=50_000, reset_tokens_s=0.0)), tokens=90_000) == 1  # the provider's word


def test_older_headers_say_nothing_new() -> None:
    headroom = learned(RateLimits(limit_requests=50, remaining_requests=3, reset_requests_s=56.4), sent_ns=START_NS, came_ns=START_NS + S)
    headroom.learn(NAME, RateLimits(limit_requests=50, remaining_requests=40, reset_requests_s=12.0), 200, START_NS - S, START_NS + S, START_NS + S)
    assert fill(headroom, START_NS + S) == 2


def test_calls_on_their_way_are_counted_against_what_remains() -> None:
    headroom = learned(RateLimits(limit_requests=50, remaining_requests=40, reset_requests_s=12.0))
    now_ns = START_NS + S
    for number in range(20):
        assert headroom.take(str(number), NAME, 1, now_ns) is None
    headroom.learn(NAME, RateLimits(limit_requests=50, remaining_requests=37, reset_requests_s=15.6), 200, START_NS, now_ns + S // 2, now_ns + S // 2)
    assert 16 <= fill(headroom, now_ns + S // 2) <= 20


def test_other_models_and_credentials_are_not_held() -> None:
    headroom = learned(RateLimits(retry_after_s=9.0), 429)
    assert headroom.take("a", ("p", "k", "other"), 1, START_NS) is None
    assert headroom.take("b", ("p", "other", "m"), 1, START_NS) is None
    assert headroom.take("c", NAME, 1, START_NS) is not None


def test_a_429_without_a_wait_holds_for_a_little_longer_each_time() -> None:
    headroom, now_ns, waits = Headroom(Rule(share=True)), START_NS, []
    for _ in range(7):
        headroom.learn(NAME, RateLimits(), 429, now_ns, now_ns, now_ns)
        wait = headroom.take("x", NAME, 1, now_ns)
        assert wait is not None
        waits.append(wait.after_s)
        now_ns += int(wait.after_s * S)
    assert waits == [1, 2, 4, 8, 16, 16, 16]
    now_ns += 60 * S
    headroom.learn(NAME, RateLimits(), 429, now_ns, now_ns, now_ns)
    wait = headroom.take("x", NAME, 1, now_ns)
    assert wait is not None and wait.after_s == 1


def test_a_late_429_does_not_begin_its_wait_anew() -> None:
    headroom = learned(RateLimits(retry_after_s=10.0), 429, START_NS, START_NS)
    wait = headroom.take("x", NAME, 1, START_NS + 4 * S)
    assert wait is not None and wait.after_s == pytest.approx(6)
    headroom.learn(NAME, RateLimits(retry_after_s=1.0), 429, START_NS, START_NS + S, START_NS + 4 * S)
    wait = headroom.take("x", NAME, 1, START_NS + 4 * S)
    assert wait is not None and wait.after_s == pytest.approx(6)


def test_a_429_that_is_told_late_counts_from_when_it_came() -> None:
    headroom = Headroom(Rule(share=True))
    headroom.learn(NAME, RateLimits(retry_after_s=10.0), 429, START_NS, START_NS, START_NS + 4 * S)
    wait = headroom.take("x", NAME, 1, START_NS + 4 * S)
    assert wait is not None and wait.after_s == pytest.approx(6)


@pytest.mark.parametrize("is_withdrawn", [False, True])
def test_a_call_is_not_given_back_to_headers_that_did_not_count_it(is_withdrawn: bool) -> None:
    headroom = learned(RateLimits(limit_requests=50, remaining_requests=40, reset_requests_s=50.0))
    assert headroom.take("early", NAME, 1, START_NS) is None
    now_ns = START_NS + S
    headroom.learn(NAME, RateLimits(limit_requests=50, remaining_requests=30, reset_requests_s=49.0), 200, now_ns, now_ns, now_ns)
    if is_withdrawn:
        headroom.withdraw("early")
    assert fill(headroom, now_ns, most=10) == 10
    headroom.learn(NAME, RateLimits(limit_requests=50, remaining_requests=20, reset_requests_s=49.0), 200, now_ns, now_ns, now_ns)
    headroom.learn(NAME, RateLimits(limit_requests=50, remaining_requests=40, reset_requests_s=49.0), 200, now_ns, now_ns, now_ns)
    wait = headroom.take("many", NAME, 1, now_ns)
    assert wait is None and headroom._known.get(NAME).requests.level == 30


def test_calls_that_are_in_come_to_their_end_after_sharing_was_turned_off() -> None:
    headroom = learned(RateLimits(limit_requests=50, remaining_requests=40, reset_requests_s=50.0))
    assert headroom.take("a", NAME, 1, START_NS) is None
    headroom.configure(Rule(share=False))
    assert not headroom.is_empty
    headroom.settle("a", 5)
    assert headroom.is_empty


def test_after_a_429_without_figures_fewer_run_at_once_for_a_while() -> None:
    headroom = learned(RateLimits(retry_after_s=1.0), 429)
    now_ns = START_NS + 10 * S
    assert fill(headroom, now_ns, most=20) == 20
    headroom.learn(NAME, RateLimits(retry_after_s=1.0), 429, now_ns, now_ns, now_ns)
    now_ns += 2 * S
    wait = headroom.take("more", NAME, 1, now_ns)
    assert wait is not None and wait.after_s == 1
    for number in range(8):
        headroom.settle(f"{START_NS + 10 * S}-{number}", None)
    assert 1 <= fill(headroom, now_ns) <= 4
    for number in range(8, 20):
        headroom.settle(f"{START_NS + 10 * S}-{number}", None)
    assert fill(headroom, now_ns + S) >= 12


def test_what_is_not_needed_is_forgotten() -> None:
    headroom = Headroom(Rule(share=True))
    for number in range(500):
        headroom.learn(("p", "k", str(number)), RateLimits(limit_requests=9, remaining_requests=8, reset_requests_s=7.0), 200, 1, START_NS, START_NS)
    assert headroom.take("running", ("p", "k", "7"), 1, START_NS) is None
    for second in range(400):
        headroom.sweep(START_NS + second * S)
    headroom.settle("running", 5)
    headroom.settle("running", 5)
    assert not headroom.is_empty
    for second in range(400, 800):
        headroom.sweep(START_NS + second * S)
    assert headroom.is_empty


def test_calls_wait_no_longer_than_they_may() -> None:
    async def main() -> Crowd:
        crowd = Crowd(Bucket(6, PLENTY), 1, 1, 1.0)
        loop = asyncio.get_running_loop()
        began = loop.time()
        await crowd.offer({"a": 20.0}, 5)
        assert loop.time() - began < 5 + 20 + 5
        return crowd

    crowd = run_virtually(main())
    assert crowd.refused
    assert all(refusal.retry_after_s >= 1 for refusal in crowd.refused if refusal.retry_after_s)
