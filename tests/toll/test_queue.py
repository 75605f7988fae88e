"""The queue: nobody overtakes, turns are fair, waits are bounded, and who leaves is gone."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from proxy.errors import Refusal
from proxy.rules import Headroom, Queue, RateLimit
from proxy.toll.gate import Gate
from proxy.toll.subject import Subject
from tests.toll.virtual import S, clock, run_virtually

QUEUE = Queue(length=100, wait_s=10)


def make_gate(*limits: RateLimit) -> Gate:
    return Gate(list(limits), Headroom(), clock)


async def enter(gate: Gate, id: str, agent: str = "ann", tokens: int = 0, done: list[str] | None = None) -> int:
    """Go through the gate; nanoseconds waited."""
    ask = (id, Subject(agent=agent, upstream="p"), None, tokens, 0)
    found = gate.try_enter(*ask, clock())
    waited = 0 if found is None else await gate.wait(*ask, found)
    if done is not None:
        done.append(id)
    return waited


async def start(gate: Gate, *ids: str, agent: str = "ann", tokens: int = 0, done: list[str] | None = None) -> list[asyncio.Task[int]]:
    """Tasks that go through the gate, each begun before the next."""
    tasks = []
    for id in ids:
        tasks.append(asyncio.create_task(enter(gate, id, agent, tokens, done)))
        await asyncio.sleep(0)
    return tasks


def test_calls_wait_for_the_rate_and_enter_in_order() -> None:
    async def main() -> None:
        gate, done = make_gate(RateLimit(name="x", requests_per_minute=60, burst_s=0, queue=QUEUE)), []
        waits = await asyncio.gather(*(enter(gate, str(number), done=done) for number in range(8)))
        assert done == list("01234567")
        assert [round(wait / S) for wait in waits] == list(range(8))
        assert gate.waiting == 0

    run_virtually(main())


def test_a_new_call_does_not_overtake_one_that_waits() -> None:
    async def main() -> None:
        gate, done = make_gate(RateLimit(name="x", input_tokens_per_minute=6000, burst_s=1, queue=QUEUE)), []
        await enter(gate, "0", tokens=300)  # three seconds' worth
        larger = await start(gate, "larger", tokens=50, done=done)
        await asyncio.sleep(2.2)  # now a small one would fit, and the larger one does not yet
        small = await start(gate, "small", agent="bob", tokens=1, done=done)
        assert done == []
        await asyncio.gather(*larger, *small)
        assert done == ["larger", "small"]

    run_virtually(main())


def test_when_the_first_leaves_the_next_need_not_wait_for_what_that_one_needed() -> None:
    async def main() -> None:
        gate, done = make_gate(RateLimit(name="x", input_tokens_per_minute=6000, burst_s=1, queue=QUEUE)), []
        await enter(gate, "0", tokens=300)
        [larger] = await start(gate, "larger", tokens=50)
        [small] = await start(gate, "small", agent="bob", tokens=1, done=done)
        await asyncio.sleep(2.2)
        larger.cancel()
        await asyncio.sleep(0.001)
        assert done == ["small"]
        await small

    run_virtually(main())


def test_without_a_queue_the_refusal_is_immediate_and_says_when() -> None:
    async def main() -> None:
        gate = make_gate(RateLimit(name="x", requests_per_minute=6, burst_s=0, each=["agent"]))
        await enter(gate, "0")
        before = clock()
        with pytest.raises(Refusal) as caught:
            await enter(gate, "1")
        assert clock() == before
        assert (caught.value.name, caught.value.status, caught.value.retry_after_s) == ("policy_rate_limited", 429, pytest.approx(10))
        assert caught.value.details == {
            "limit": "x", "unit": "requests", "allowed": pytest.approx(6), "scope": {"agent": "ann"}, "waiting": 0,
        }  # fmt: skip

    run_virtually(main())


def test_a_wait_that_cannot_end_in_time_does_not_begin_and_one_that_may_does() -> None:
    async def main() -> None:
        gate = make_gate(RateLimit(name="x", requests_per_minute=1, queue=QUEUE), RateLimit(name="y", output_tokens_per_minute=60, queue=QUEUE))
        await enter(gate, "0")
        before = clock()
        with pytest.raises(Refusal):
            await enter(gate, "1")
        assert clock() == before
        gate.configure([RateLimit(name="z", input_tokens_per_minute=60, queue=QUEUE)], Headroom())
        await enter(gate, "2", tokens=1000)
        [task] = await start(gate, "3", tokens=1)  # the running call may give back most of it
        await asyncio.sleep(3)
        gate.leave("2", 1, 0, clock())
        assert round(await task / S) == 3

    run_virtually(main())


def test_a_wait_ends_with_a_refusal_when_it_was_long_enough() -> None:
    async def main() -> None:
        gate = make_gate(RateLimit(name="x", concurrent=1, queue=Queue(length=5, wait_s=2.5)))
        await enter(gate, "0")
        before = clock()
        [task] = await start(gate, "1")
        with pytest.raises(Refusal) as caught:
            await task
        assert (clock() - before) / S == pytest.approx(2.5, abs=0.01)
        assert caught.value.name == "policy_too_many_running" and caught.value.retry_after_s
        assert gate.waiting == 0
        gate.leave("0", 1, 1, clock())
        assert await enter(gate, "2") == 0

    run_virtually(main())


def test_a_cancelled_call_leaves_the_line_and_is_not_in() -> None:
    async def main() -> None:
        gate, done = make_gate(RateLimit(name="x", concurrent=1, queue=QUEUE)), []
        await enter(gate, "0")
        first, second = await start(gate, "1", "2", done=done)
        first.cancel()
        await asyncio.sleep(0)
        gate.leave("0", 1, 1, clock())
        await second
        assert done == ["2"] and first.cancelled()

    run_virtually(main())


def test_a_call_cancelled_at_the_moment_it_gets_in_gives_its_place_back() -> None:
    async def main() -> None:
        gate, done = make_gate(RateLimit(name="x", concurrent=1, queue=QUEUE)), []
        await enter(gate, "0")
        first, second = await start(gate, "1", "2", done=done)
        gate.leave("0", 1, 1, clock())  # lets the first one in
        first.cancel()
        await second
        assert done == ["2"] and first.cancelled()
        gate.leave("2", 1, 1, clock())
        assert gate.states(clock())[0].running == 0

    run_virtually(main())


def test_two_cancelled_at_once_do_not_get_in_nor_hold_others() -> None:
    async def main() -> None:
        gate, done = make_gate(RateLimit(name="x", concurrent=1, queue=QUEUE)), []
        await enter(gate, "0")
        tasks = await start(gate, "1", "2", "3", done=done)
        tasks[0].cancel()
        tasks[1].cancel()
        gate.leave("0", 1, 1, clock())  # before the cancelled tasks have run
        await tasks[2]
        assert done == ["3"] and gate.states(clock())[0].running == 1

    run_virtually(main())


def test_a_full_line_refuses_the_flooder_and_makes_room_for_others() -> None:
    async def main() -> None:
        gate, done = make_gate(RateLimit(name="x", concurrent=1, queue=Queue(length=4, wait_s=10))), []
        await enter(gate, "0")
        flood = await start(gate, *(f"f{number}" for number in range(6)), agent="flood", done=done)
        await asyncio.sleep(0)
        assert [task.done() for task in flood] == [False] * 4 + [True] * 2
        others = await start(gate, "b", agent="bob", done=done) + await start(gate, "c", agent="cid", done=done)
        await asyncio.sleep(0)
        assert [task.done() for task in flood] == [False, False] + [True] * 4
        for leaving in ("0", "f0", "b", "c", "f1"):
            gate.leave(leaving, 1, 1, clock())
            await asyncio.sleep(0.1)
        assert done == ["f0", "b", "c", "f1"]
        for task in flood[2:]:
            assert isinstance(task.exception(), Refusal)
        await asyncio.gather(*others)

    run_virtually(main())


def test_a_call_that_two_limits_hold_waits_for_both_and_holds_nobody_else() -> None:
    async def main() -> None:
        own = RateLimit(name="own", requests_per_minute=20, burst_s=0, each=["agent"], queue=QUEUE)
        shared = RateLimit(name="shared", requests_per_minute=60, burst_s=0, queue=QUEUE)
        for limits in ((own, shared), (shared, own)):
            gate, done = make_gate(*limits), []
            began = clock()
            tasks = await start(gate, "a0", "a1", "a2", agent="ann", done=done) + await start(gate, "b0", "b1", agent="bob", done=done)
            await asyncio.gather(*tasks)
            assert done[:2] == ["a0", "b0"]  # ann's own limit holds her second call, which does not stand in bob's way
            assert set(done[2:4]) == {"a1", "b1"} and done[4] == "a2"
            assert (clock() - began) / S == pytest.approx(6, abs=0.05)

    run_virtually(main())


def test_a_reload_lets_those_in_who_fit_now() -> None:
    async def main() -> None:
        gate, done = make_gate(RateLimit(name="x", concurrent=1, queue=QUEUE)), []
        await enter(gate, "0")
        tasks = await start(gate, "1", "2", "3", done=done)
        gate.configure([RateLimit(name="x", concurrent=3, queue=QUEUE)], Headroom())
        await asyncio.sleep(0)
        assert done == ["1", "2"]
        gate.configure([], Headroom())
        await asyncio.gather(*tasks)
        assert done == ["1", "2", "3"]

    run_virtually(main())


def test_a_flooder_leaves_twenty_agents_their_share() -> None:
    async def main() -> None:
        gate = make_gate(RateLimit(name="x", requests_per_minute=600, queue=Queue(length=60, wait_s=10)))
        entered: Counter[str] = Counter()
        ends_ns = clock() + 120 * S

        async def call(agent: str, id: str) -> None:
            try:
                await enter(gate, id, agent)
            except Refusal:
                return
            if clock() < ends_ns:
                entered[agent] += 1
            await asyncio.sleep(1)
            gate.leave(id, 1, 1, clock())

        async def offer(agent: str, gap_s: float, calls: int) -> None:
            tasks = []
            for number in range(calls):
                tasks.append(asyncio.create_task(call(agent, f"{agent}-{number}")))
                await asyncio.sleep(gap_s)
            await asyncio.gather(*tasks)

        quiet = [f"quiet-{number}" for number in range(19)]
        await asyncio.gather(offer("flood", 0.01, 12_000), *(offer(agent, 2.5, 47) for agent in quiet))  # two minutes
        assert [entered[agent] for agent in quiet] == [47] * 19  # 7.6 of 10 calls a second: each asks for less than its share
        assert sum(entered.values()) == pytest.approx(1200, rel=0.02)
        assert entered["flood"] == pytest.approx(1200 - 19 * 47, rel=0.1)

        entered.clear()
        ends_ns = clock() + 120 * S
        busy = [f"busy-{number}" for number in range(19)]
        await asyncio.gather(offer("flood", 0.01, 12_000), *(offer(agent, 0.5, 240) for agent in busy))  # all want more than there is
        shares = [entered[agent] for agent in [*busy, "flood"]]
        assert min(shares) >= 0.9 * 1200 / 20 and max(shares) <= 1.15 * 1200 / 20

    run_virtually(main())
