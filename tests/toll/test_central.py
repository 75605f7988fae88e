"""Several data planes on one Redis, and what becomes of budgets when it freezes, forgets, dies, comes back older or answers late."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from proxy.rules import Budget
from proxy.rules import Ledger as Settings
from proxy.toll import arbiter, talk
from proxy.toll.central import Central
from proxy.toll.ledger import Ledger
from proxy.toll.subject import Subject
from proxy.toll.terms import Away, Grant, Room, Shortage, Weight
from tests.toll.redis_server import RedisServer

CALL = Subject("x", "openai", "m")
ALL = Budget("all", usd=100 / 1e9)
PATIENT = Settings(timeout_s=5)  # the machine may be busy


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arbiter, "CLOSED_S", 0.2)
    monkeypatch.setattr(arbiter, "BEAT_S", 0.02)
    monkeypatch.setattr(arbiter, "DEAD_S", 0.3)
    monkeypatch.setattr(arbiter, "_RETRY_S", 0.02)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path)
    yield server
    if server.process.poll() is None:
        server.thaw()
        server.kill()


@contextlib.asynccontextmanager
async def planes(server: RedisServer, count: int = 1, budgets: list[Budget] | None = None, settings: Settings = PATIENT) -> AsyncIterator[Any]:
    """So many planes under the same budgets."""
    made = [Central(Ledger(budgets or [ALL]), settings, server.url, f"plane-{number}") for number in range(count)]
    await asyncio.gather(*(central.start(10) for central in made))
    try:
        yield made if count > 1 else made[0]
    finally:
        await asyncio.gather(*(central.stop() for central in made))


async def reserve(central: Central, id: str, nano: int, subject: Subject = CALL) -> Grant | Shortage | Away:
    return await central.reserve(id, subject, Weight(nano), None, time.time_ns())


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.005)


async def spend(central: Central, id: str, nano: int) -> None:
    assert isinstance(await reserve(central, id, nano), Grant)
    central.settle(id, Weight(nano))


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


# --- Redis freezes ------------------------------------------------------------------------------------------------------


def test_while_redis_is_frozen_calls_are_refused_at_once_and_late_grants_are_given_back(server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arbiter, "DEAD_S", 60)  # the connection stays

    async def scenario() -> None:
        async with planes(server, settings=Settings(timeout_s=0.05)) as central:
            await until(lambda: not central.is_away)
            server.freeze()
            began = time.monotonic()
            for number in range(200):
                assert isinstance(away := await reserve(central, str(number), 10), Away) and away.reason == "silent"
            assert time.monotonic() - began < 1.5, "three waited, and nobody else"
            assert central.counts["timeouts"] == 3 and central.is_away
            server.thaw()
            await until(lambda: central.counts["late"] == 3)
            await until(lambda: server.read_totals() == {})
            await until(lambda: not central.is_away)
            assert central.counts["conversations"] == 1
            assert isinstance(await reserve(central, "after", 100), Grant)

    asyncio.run(scenario())


def test_a_long_freeze_ends_the_conversation_and_its_late_commands_do_no_harm(server: RedisServer) -> None:
    async def scenario() -> None:
        async with planes(server, settings=Settings(timeout_s=0.05)) as central:
            await until(lambda: not central.is_away)
            assert isinstance(await reserve(central, "1", 50), Grant)
            server.freeze()
            for number in range(5):
                assert isinstance(await reserve(central, f"f{number}", 10), Away)
            central.settle("1", Weight(40))
            await until(lambda: central._arbiter._talk is None)
            server.thaw()
            await until(lambda: not central.is_away)
            assert server.check_sums() == {"all.usd@": (40, 0)}
            assert isinstance(await reserve(central, "2", 60), Grant)

    asyncio.run(scenario())


def test_a_share_of_what_was_left_can_be_spent_while_redis_is_away(server: RedisServer) -> None:
    async def scenario() -> None:
        async with planes(server, 2, settings=Settings(timeout_s=0.05, away="share", share=0.25)) as (one, two):
            await until(lambda: not (one.is_away or two.is_away))
            await spend(one, "1", 20)
            await until(lambda: two.balances(time.time_ns())[0].spent == 20)
            server.freeze()
            granted = [await reserve(two, f"f{number}", 5) for number in range(20)]
            assert [type(each) for each in granted] == [Grant] * 4 + [Away] * 16, "a quarter of 80"
            assert isinstance(await reserve(two, "much", 81), Shortage), "that much was not left in any case"
            two.settle("f0", Weight(1))
            assert isinstance(await reserve(two, "f99", 4), Grant)
            server.thaw()
            await until(lambda: not two.is_away)
            await until(lambda: server.check_sums() == {"all.usd@": (21, 19)})
            assert isinstance(await reserve(two, "after", 60), Grant)

    asyncio.run(scenario())


# --- Redis forgets ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", ["FLUSHALL", "DEL {weighbridge}", "DEL {weighbridge}:totals", "DEL {weighbridge}:plane:plane-0"])
def test_what_redis_forgets_is_said_anew_before_anything_else_is_reserved(server: RedisServer, loss: str) -> None:
    async def scenario() -> None:
        async with planes(server, 3) as (one, two, three):
            await spend(one, "1", 30)
            assert isinstance(await reserve(two, "2", 20), Grant)
            await spend(three, "3", 15)
            await until(lambda: one.balances(time.time_ns())[0].spent == 45)
            await three.stop()  # it is down when it happens
            server.call(*loss.split())
            decisions = [await reserve(central, f"try{number}", 36) for number in range(50) for central in (one, two)]
            assert not any(isinstance(each, Grant) for each in decisions), "36 were never left"
            await until(lambda: not (one.is_away or two.is_away))
            assert server.check_sums() == {"all.usd@": (45, 20)}, "also what was heard of the one that is down"
            assert isinstance(await reserve(one, "last", 35), Grant)
            assert isinstance(await reserve(two, "more", 1), Shortage)
            await three.start()
            assert server.check_sums() == {"all.usd@": (45, 55)}, "its own word is not added to it"

    asyncio.run(scenario())


def test_killed_and_started_empty(server: RedisServer) -> None:
    async def scenario() -> None:
        async with planes(server, 2, settings=Settings(timeout_s=0.5)) as (one, two):
            await spend(one, "1", 30)
            assert isinstance(await reserve(two, "2", 20), Grant)
            server.kill()
            await until(lambda: one.is_away and two.is_away)
            decision = await reserve(one, "away", 10)
            assert isinstance(decision, Away) and decision.reason == "disconnected"
            two.settle("2", Weight(25))
            server.start()
            await until(lambda: not (one.is_away or two.is_away))
            assert server.check_sums() == {"all.usd@": (55, 0)}
            assert (await reserve(one, "more", 46)).room == 45

    asyncio.run(scenario())


def test_back_to_an_older_state(server: RedisServer) -> None:
    """As after a fail-over to a replica that lagged behind, or a restart from a file."""

    async def scenario() -> None:
        async with planes(server, 2) as (one, two):
            await spend(one, "1", 10)
            await spend(two, "2", 10)
            await until(lambda: server.read_totals() == {"all.usd@": (20, 0)})
            server.call("SAVE")
            await spend(one, "3", 30)
            await spend(two, "4", 30)
            await until(lambda: server.read_totals() == {"all.usd@": (80, 0)})
            server.kill()
            server.start()
            assert server.read_totals() == {"all.usd@": (20, 0)}, "it has forgotten a part"
            decisions = []
            while any(each.is_away or each.counts["conversations"] == 1 for each in (one, two)):
                decisions += [await reserve(one, f"a{len(decisions)}", 21), await reserve(two, f"b{len(decisions)}", 21)]
                await asyncio.sleep(0.005)
            assert not any(isinstance(each, Grant) for each in decisions)
            assert server.check_sums() == {"all.usd@": (80, 0)}
            assert isinstance(await reserve(one, "5", 20), Grant)

    asyncio.run(scenario())


def test_two_planes_of_one_name_are_told_apart(server: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async with planes(server) as central:
            await spend(central, "1", 10)
            namesake = Central(Ledger([ALL]), PATIENT, server.url, "plane-0")
            await namesake.start(10)
            await until(lambda: central.counts["fenced"])
            await namesake.stop()
            await until(lambda: not central.is_away)
            await until(lambda: server.check_sums() == {"all.usd@": (10, 0)})

    asyncio.run(scenario())
    assert "give each its own ledger.plane" in caplog.text


def test_windows_that_are_past_are_forgotten(server: RedisServer) -> None:
    async def scenario() -> None:
        async with planes(server) as central:
            for cell in ("all.usd@2020-01-01", "all.usd@2020-01-02"):
                central.ledger.fold_opened(cell, {cell: 5})
            central.ledger.settle("all.usd@2020-01-01", Weight(5))
            server.flush()
            await until(lambda: server.check_sums() == {"all.usd@2020-01-02": (0, 5)})
            central.settle("all.usd@2020-01-02", Weight(5))
            await until(lambda: server.call("ZSCORE", f"{talk.KEY}:ends", "plane-0 all.usd@2020-01-02") is not None)
            assert server.call("ZSCORE", f"{talk.KEY}:ends", "plane-0 all.usd@2020-01-01") is None

    asyncio.run(scenario())


def test_a_redis_that_throws_data_away_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    server = RedisServer(tmp_path, "--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru")

    async def scenario() -> None:
        async with planes(server):
            pass

    try:
        asyncio.run(scenario())
    finally:
        server.kill()
    assert "noeviction" in caplog.text


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
