"""A ledger that several data planes share: what it decides, what it waits for, and what it does without Redis."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from proxy.rules import Budget
from proxy.rules import Ledger as Settings
from proxy.toll import arbiter, talk
from proxy.toll.central import Central
from proxy.toll.ledger import Ledger
from proxy.toll.question import Question
from proxy.toll.terms import Away, Grant, Room, Shortage, Weight
from tests.toll.planes import ALL, CALL, PATIENT, planes, reserve, spend, until
from tests.toll.redis_server import RedisServer


def test_planes_share_what_is_left_to_the_last_nano_dollar(server: RedisServer) -> None:
    async def scenario() -> None:
        async with planes(server, 2) as (one, two):
            await spend(one, "1", 60)
            await until(lambda: server.read_totals() == {"all.usd@": (60, 0)})
            refused = await reserve(two, "2", 41)
            assert refused == Shortage("all", "enforce", "usd", {}, 100, 60, 0, 41, None, False)
            assert await two.room(CALL, time.time_ns()) == Room(nano_usd=40)
            assert isinstance(await reserve(two, "3", 40), Grant)
            assert (await reserve(one, "4", 1)).busy
            await until(lambda: [(each.spent, each.reserved) for each in one.balances(time.time_ns())] == [(60, 40)])
            assert two.ledger.checkpoint()["cells"] == {"all.usd@": [0, 40]}, "of its own ledger, what is its own"

    asyncio.run(scenario())


def test_a_call_costs_one_round_trip_to_reserve_and_none_that_it_waits_for_to_settle(server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arbiter, "BEAT_S", 60)

    async def scenario() -> None:
        async with planes(server, budgets=[Budget(name, usd=1.0, each=["agent"]) for name in "abcde"]) as central:
            before = int(server.call("INFO", "commandstats")["cmdstat_evalsha"]["calls"])
            for number in range(50):
                await spend(central, str(number), 10)
            await until(lambda: server.read_totals()["a.usd@?agent=x"] == (500, 0))
            after = int(server.call("INFO", "commandstats")["cmdstat_evalsha"]["calls"])
            assert after - before == 100

    asyncio.run(scenario())


def test_budgets_that_only_look_are_not_waited_for(server: RedisServer) -> None:
    async def scenario() -> None:
        budgets = [Budget("seen", usd=50 / 1e9, mode="observe"), Budget("one", usd=90 / 1e9, per="call")]
        async with planes(server, 2, budgets) as (one, two):
            assert (await reserve(one, "1", 60)).observed == "seen"
            await until(lambda: one.settle("1", Weight(60)) or server.read_totals() == {"seen.usd@": (60, 0)})
            await until(lambda: two.balances(time.time_ns())[0].spent == 60)
            server.freeze()
            assert await reserve(two, "2", 10) == Grant({"seen.usd@": 10}, observed="seen", warnings=())
            assert (await reserve(two, "3", 91)).budget == "one"

    asyncio.run(scenario())


def test_a_call_alone_too_costly_is_told_and_reserves_nothing(server: RedisServer) -> None:
    async def scenario() -> None:
        async with planes(server, budgets=[ALL, Budget("one", usd=50 / 1e9, per="call")]) as central:
            assert (await reserve(central, "1", 51)).budget == "one"
            assert (await reserve(central, "2", 101)).budget in ("one", "all")
            assert server.read_totals() == {}
            assert isinstance(await reserve(central, "3", 50), Grant)

    asyncio.run(scenario())


def test_a_rolling_limit_tells_when_enough_of_it_will_have_left_over_all_planes(server: RedisServer) -> None:
    async def scenario() -> None:
        async with planes(server, 2, [Budget("rolling", usd=100 / 1e9, per="1h")]) as (one, two):
            await spend(one, "1", 70)
            await until(lambda: server.read_totals())
            short = await reserve(two, "2", 31)
            assert isinstance(short, Shortage) and (short.spent, short.busy) == (70, False)
            assert 3600 * 10**9 <= short.resets_at_ns - time.time_ns() <= 3661 * 10**9

    asyncio.run(scenario())


def test_a_caller_that_leaves_while_it_waits_reserves_nothing(server: RedisServer) -> None:
    async def scenario() -> None:
        async with planes(server) as central:
            for turns in range(12):  # whichever step it has come to
                asked = asyncio.create_task(reserve(central, str(turns), 10))
                for _ in range(turns):
                    await asyncio.sleep(0)
                asked.cancel()
                await asyncio.wait([asked])
                if asked.cancelled():
                    assert central.reserved_of(str(turns)) == {}
                else:
                    central.settle(str(turns), Weight(0, 0, 0))
            server.freeze()
            asked = asyncio.create_task(reserve(central, "late", 10))
            await asyncio.sleep(0.01)
            asked.cancel()
            await asyncio.wait([asked])
            server.thaw()
            await until(lambda: server.read_totals() == {})
            assert isinstance(await reserve(central, "all", 100), Grant)

    asyncio.run(scenario())


def test_a_caller_that_leaves_in_the_very_turn_in_which_it_is_granted_gives_it_back(server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    hear = Question.hear

    def hear_and_leave(question: Question, answer: list) -> bool:
        came = hear(question, answer)
        asked.cancel()
        return came

    async def scenario() -> None:
        nonlocal asked
        async with planes(server) as central:
            asked = asyncio.create_task(reserve(central, "1", 10))
            await asyncio.wait([asked])
            assert asked.cancelled() and central.ledger.open_ids == []
            await until(lambda: server.check_sums() == {})

    asked: asyncio.Task = None  # type: ignore[assignment]
    monkeypatch.setattr(Question, "hear", hear_and_leave)
    asyncio.run(scenario())


def test_an_extension_is_decided_over_all_planes(server: RedisServer) -> None:
    async def scenario() -> None:
        async with planes(server, 2) as (one, two):
            await reserve(one, "1", 30)
            await reserve(two, "2", 40)
            assert await one.extend("1", Weight(30, 0, 0), time.time_ns()) == {"all.usd@": 60}
            assert await two.extend("2", Weight(1, 0, 0), time.time_ns()) is None
            assert await two.extend("unknown", Weight(1, 0, 0), time.time_ns()) is None
            extending = asyncio.create_task(one.extend("1", Weight(0, 9, 0), time.time_ns()))
            one.settle("1", Weight(25))
            assert await extending is None
            await until(lambda: server.check_sums() == {"all.usd@": (25, 40)})
            assert await two.extend("2", Weight(35, 0, 0), time.time_ns()) == {"all.usd@": 75}
            server.freeze()
            central = Central(two.ledger, Settings(timeout_s=0.01), server.url, "nobody")
            assert await central.extend("2", Weight(0, 0, 0), time.time_ns()) == {"all.usd@": 75}, "nothing is asked for"
            assert await central.extend("2", Weight(1, 0, 0), time.time_ns()) is None

    asyncio.run(scenario())


def test_corrections_are_told(server: RedisServer) -> None:
    async def scenario() -> None:
        async with planes(server, 2) as (one, two):
            await spend(one, "1", 60)
            one.ledger.fold_adjusted({"all.usd@": -50})
            await until(lambda: server.read_totals() == {"all.usd@": (10, 0)})
            assert isinstance(await reserve(two, "2", 90), Grant)

    asyncio.run(scenario())


def test_without_redis_at_the_start(tmp_path: Path) -> None:
    async def scenario() -> None:
        central = Central(Ledger([ALL]), Settings(timeout_s=0.01), f"unix://{tmp_path}/none.sock", "one")
        await central.start(0.05)
        assert central.is_away
        assert isinstance(await reserve(central, "1", 10), Away)
        assert isinstance(await reserve(central, "2", 101), Shortage), "it would never fit"
        await central.stop()

    asyncio.run(scenario())


def test_the_extra_is_asked_for_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(talk, "ConnectionPool", None)
    with pytest.raises(talk.RedisMissing, match="requirements/redis.txt"):
        Central(Ledger([ALL]), PATIENT, "redis://127.0.0.1:1", "one")
