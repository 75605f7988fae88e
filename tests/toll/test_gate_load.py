"""At ten times what a limit allows, what is let in over any minute is the limit, within two parts in a hundred."""

from __future__ import annotations

import asyncio
import random
from bisect import bisect_left
from itertools import accumulate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.rules import Headroom, RateLimit
from proxy.toll.gate import Gate
from proxy.toll.subject import Subject
from tests.toll.virtual import S, clock, run_virtually

MINUTE = 60 * S


async def offer(gate: Gate, rate: float, seconds: float, ran_s: float, estimate: int, actual: int, seed: int) -> list[tuple[int, int]]:
    """Calls at random moments; (moment, tokens used) of those let in. What a call uses is half to one and a half times `actual`."""
    chance, tasks, entered = random.Random(seed), [], []
    ends_ns = clock() + int(seconds * S)

    async def end(id: str, used: int) -> None:
        await asyncio.sleep(ran_s * chance.uniform(0.5, 1.5))
        gate.leave(id, 0, used, clock())

    number = 0
    while clock() < ends_ns:
        number += 1
        subject = Subject(agent=f"a{number % 7}", upstream="p")
        if gate.try_enter(str(number), subject, None, 0, estimate, clock()) is None:
            used = int(actual * chance.uniform(0.5, 1.5))
            entered.append((clock(), used))
            tasks.append(asyncio.create_task(end(str(number), used)))
        await asyncio.sleep(chance.expovariate(rate))
    await asyncio.gather(*tasks)
    return entered


def sums_of_minutes(entered: list[tuple[int, int]], from_s: float) -> list[int]:
    """The sum over every minute that begins when a call came in, from some moment on."""
    moments = [at_ns for at_ns, _ in entered]
    before = [0, *accumulate(amount for _, amount in entered)]
    first = bisect_left(moments, moments[0] + int(from_s * S))
    spans = ((index, bisect_left(moments, moments[index] + MINUTE)) for index in range(first, len(moments)) if moments[index] + MINUTE <= moments[-1])
    return [before[end] - before[begin] for begin, end in spans]


@settings(max_examples=12)
@given(rate=st.sampled_from([60.0, 100.0, 600.0]), burst_s=st.sampled_from([0.5, 1.0]), seed=st.integers(0, 1000))
def test_requests(rate: float, burst_s: float, seed: int) -> None:
    async def main() -> list[tuple[int, int]]:
        gate = Gate([RateLimit(name="x", requests_per_minute=rate, burst_s=burst_s)], Headroom(), clock)
        return [(at_ns, 1) for at_ns, _ in await offer(gate, rate / 6, 130, 1.0, 1, 1, seed)]

    sums = sums_of_minutes(run_virtually(main()), 0)
    assert max(sums) <= 1.02 * rate
    assert min(sums) >= 0.98 * rate - 1


@pytest.mark.parametrize(
    "estimate, actual, ran_s", [(500, 500, 2.0), (500, 500, 10.0), (16_384, 500, 3.0), (200, 500, 5.0)], ids=["right", "long", "high", "low"]
)
def test_tokens_whose_estimate_is_not_what_came(estimate: int, actual: int, ran_s: float) -> None:
    limit = 600_000

    async def main() -> list[tuple[int, int]]:
        gate = Gate([RateLimit(name="x", output_tokens_per_minute=limit)], Headroom(), clock)
        return await offer(gate, 10 * limit / 60 / actual, 240, ran_s, estimate, actual, 1)

    sums = sums_of_minutes(run_virtually(main()), 60)
    assert 0.98 * limit <= min(sums) and max(sums) <= 1.02 * limit
