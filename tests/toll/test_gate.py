"""The gate as a whole: rate limits and headroom together, and its clock."""

from __future__ import annotations

import asyncio

import pytest

from proxy.call import RateLimits
from proxy.errors import Refusal
from proxy.pulse import LimitState
from proxy.rules import Headroom, Queue, RateLimit
from proxy.toll.gate import Gate
from proxy.toll.subject import Subject
from tests.toll.virtual import START_NS, S, clock, run_virtually

ANN = Subject(agent="ann", upstream="p", model="m")
SHARED = Headroom(share=True)


def test_a_gate_with_nothing_to_hold_is_idle_until_a_provider_told_its_limits() -> None:
    now_ns = START_NS
    gate = Gate([], SHARED, lambda: now_ns)
    assert gate.is_idle
    assert gate.try_enter("a", ANN, "k", 10, 10, now_ns) is None
    gate.learn("p", "k", "m", RateLimits(), 200, now_ns, now_ns)
    assert gate.is_idle
    gate.learn("p", "k", "m", RateLimits(limit_requests=10, remaining_requests=9, reset_requests_s=6.0), 200, now_ns, now_ns)
    assert not gate.is_idle
    for second in range(600):
        gate.tick(now_ns + second * S)
    assert gate.is_idle  # idle long enough that all has come back
    assert not Gate([RateLimit(name="x", concurrent=1)], Headroom(share=False), lambda: now_ns).is_idle


def test_a_gate_that_must_not_share_learns_nothing() -> None:
    gate = Gate([], Headroom(share=False), lambda: START_NS)
    gate.learn("p", "k", "m", RateLimits(retry_after_s=60), 429, START_NS, START_NS)
    assert gate.is_idle and gate.try_enter("a", ANN, "k", 1, 1, START_NS) is None


def test_what_the_provider_holds_back_takes_nothing_of_the_rate_limits() -> None:
    now_ns = START_NS
    gate = Gate([RateLimit(name="x", requests_per_minute=60, concurrent=1)], SHARED, lambda: now_ns)
    gate.learn("p", "k", "m", RateLimits(retry_after_s=5), 429, now_ns, now_ns)
    for number in range(3):
        wait = gate.try_enter(str(number), ANN, "k", 1, 1, now_ns)
        assert wait is not None and wait.refusal == "policy_upstream_limited" and wait.after_s == pytest.approx(5)
    other = Subject(agent="ann", upstream="q", model="m")
    assert gate.try_enter("other", other, "k", 1, 1, now_ns) is None


def test_withdrawn_and_left_calls_free_both() -> None:
    now_ns = START_NS
    gate = Gate([RateLimit(name="x", concurrent=1)], SHARED, lambda: now_ns)
    gate.learn("p", "k", "m", RateLimits(limit_requests=100, remaining_requests=30, reset_requests_s=50.0), 200, now_ns, now_ns)
    for number in range(200):
        assert gate.try_enter(str(number), ANN, "k", 1, 1, now_ns) is None
        gate.withdraw(str(number), now_ns)
        gate.leave(str(number), 1, 1, now_ns)
    assert gate.try_enter("last", ANN, "k", 1, 1, now_ns) is None
    gate.leave("last", None, None, now_ns)
    assert gate.try_enter("next", ANN, "k", 1, 1, now_ns) is None


def test_a_provider_that_asks_for_longer_than_a_call_may_wait_is_refused_at_once() -> None:
    async def main() -> None:
        gate = Gate([], Headroom(share=True, wait_s=20), clock)
        gate.learn("p", "k", "m", RateLimits(retry_after_s=300), 429, clock(), clock())
        found = gate.try_enter("a", ANN, "k", 1, 1, clock())
        assert found is not None
        before = clock()
        with pytest.raises(Refusal) as caught:
            await gate.wait("a", ANN, "k", 1, 1, found)
        assert clock() == before and caught.value.name == "policy_upstream_limited" and caught.value.retry_after_s == pytest.approx(300)
        assert caught.value.details is not None and caught.value.details["scope"] == {"upstream": "p", "model": "m"}

    run_virtually(main())


def test_nobody_is_sent_until_the_provider_wants_it_then_all_are() -> None:
    async def main() -> None:
        gate = Gate([], SHARED, clock)
        gate.learn("p", "k", "m", RateLimits(retry_after_s=7.5), 429, clock(), clock())
        began = clock()

        async def call(id: str) -> float:
            found = gate.try_enter(id, ANN, "k", 1, 1, clock())
            assert found is not None
            await gate.wait(id, ANN, "k", 1, 1, found)
            return (clock() - began) / S

        assert await asyncio.gather(*(call(str(number)) for number in range(5))) == [pytest.approx(7.5, abs=0.01)] * 5

    run_virtually(main())


def test_headroom_turned_off_lets_everybody_go() -> None:
    async def main() -> None:
        gate = Gate([], SHARED, clock)
        gate.learn("p", "k", "m", RateLimits(retry_after_s=15), 429, clock(), clock())
        found = gate.try_enter("a", ANN, "k", 1, 1, clock())
        assert found is not None
        task = asyncio.create_task(gate.wait("a", ANN, "k", 1, 1, found))
        await asyncio.sleep(1)
        gate.configure([], Headroom(share=False))
        assert await task == pytest.approx(S, rel=0.01)

    run_virtually(main())


def test_a_clock_that_is_set_back_holds_nobody_for_that_long() -> None:
    moment = [START_NS]
    gate = Gate([RateLimit(name="x", requests_per_minute=60, burst_s=0)], SHARED, lambda: moment[0])
    assert gate.try_enter("a", ANN, "k", 1, 1, START_NS) is None
    back_ns = START_NS - 3600 * S
    wait = gate.try_enter("b", ANN, "k", 1, 1, back_ns)
    assert wait is not None and wait.after_s == pytest.approx(1)
    assert gate.try_enter("b", ANN, "k", 1, 1, back_ns + S) is None
    assert gate.try_enter("c", ANN, "k", 1, 1, back_ns + S - 1_000_000) is not None  # a little late is not set back
    moment[0] = back_ns + 2 * S
    gate.learn("p", "k", "m", RateLimits(retry_after_s=5), 429, back_ns + 2 * S, back_ns + 2 * S)
    wait = gate.try_enter("d", ANN, "k", 1, 1, back_ns + 4 * S)
    assert wait is not None and wait.after_s == pytest.approx(3)


def test_running_and_waiting_calls_are_counted_by_their_limit() -> None:
    async def main() -> None:
        limits = [RateLimit(name="one", concurrent=1, each=["agent"], queue=Queue(length=5, wait_s=60)), RateLimit(name="many", concurrent=9)]
        gate = Gate(limits, SHARED, clock)
        assert gate.counts() == [LimitState(name="many", running=0, waiting=0), LimitState(name="one", running=0, waiting=0)]
        gate.learn("p", "k", "m", RateLimits(limit_requests=9, remaining_requests=8, reset_requests_s=1.0), 200, clock(), clock())
        assert gate.try_enter("a", ANN, "k", 1, 1, clock()) is None
        found = gate.try_enter("b", ANN, "k", 1, 1, clock())
        assert found is not None
        task = asyncio.create_task(gate.wait("b", ANN, "k", 1, 1, found))
        await asyncio.sleep(0.1)
        assert gate.counts() == [
            LimitState(name="headroom/p", running=1, waiting=0), LimitState(name="many", running=1, waiting=0),
            LimitState(name="one", running=1, waiting=1),
        ]  # fmt: skip
        gate.leave("a", 1, 1, clock())
        await task
        assert [one.waiting for one in gate.counts()] == [0, 0, 0]
        gate.learn("p", "k", "m", RateLimits(retry_after_s=15), 429, clock(), clock())
        found = gate.try_enter("c", Subject(agent="bob", upstream="p", model="m"), "k", 1, 1, clock())
        assert found is not None
        task = asyncio.create_task(gate.wait("c", ANN, "k", 1, 1, found))
        await asyncio.sleep(0.1)
        assert gate.counts()[0] == LimitState(name="headroom/p", running=1, waiting=1)
        task.cancel()

    run_virtually(main())
