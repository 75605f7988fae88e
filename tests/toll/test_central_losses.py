"""What becomes of budgets when Redis freezes, forgets, dies, comes back older or answers late."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from unittest.mock import AsyncMock

import pytest

from proxy.rules import Ledger as Settings
from proxy.toll import arbiter, talk
from proxy.toll.central import Central
from proxy.toll.ledger import Ledger
from proxy.toll.terms import Away, Grant, Shortage, Weight
from tests.toll.planes import ALL, PATIENT, planes, reserve, spend, until
from tests.toll.redis_server import RedisServer


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
            await until(lambda: server.check_sums() == {"all.usd@": (40, 0)})
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
            await until(lambda: server.check_sums() == {"all.usd@": (45, 20)})  # also what was heard of the one that is down
            assert isinstance(await reserve(one, "last", 35), Grant)
            assert isinstance(await reserve(two, "more", 1), Shortage)
            await three.start()
            await until(lambda: server.check_sums() == {"all.usd@": (45, 55)})  # its own word is not added to it

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
            await until(lambda: server.check_sums() == {"all.usd@": (55, 0)})
            assert (await reserve(one, "more", 46)).room == 45

    asyncio.run(scenario())


def break_sending(central: Central, error: Exception) -> None:
    """The next command of this plane's conversation fails so."""

    async def fail(*_: object, **__: object) -> None:
        raise error

    central._arbiter._talk._connection.send_packed_command = fail  # type: ignore[union-attr]


def test_a_defect_costs_one_conversation_and_nothing_stays_reserved(server: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async with planes(server, 2) as (one, two):
            assert isinstance(await reserve(one, "1", 40), Grant)
            break_sending(one, AttributeError("'NoneType' object has no attribute 'writelines'"))
            one.settle("1", Weight(30))
            await until(lambda: server.check_sums() == {"all.usd@": (30, 0)})
            assert one.counts["defects"] == 1 and two.counts["defects"] == 0
            await until(lambda: not one.is_away)
            assert isinstance(await reserve(one, "2", 70), Grant)

    asyncio.run(scenario())
    assert "a defect ended a conversation" in caplog.text and "writelines" in caplog.text


def test_a_transport_that_is_closed_already_is_no_defect(server: RedisServer) -> None:
    async def scenario() -> None:
        async with planes(server) as central:
            assert isinstance(await reserve(central, "1", 40), Grant)
            break_sending(central, RuntimeError("unable to perform operation on <UnixTransport closed=True>; the handler is closed"))
            central.settle("1", Weight(30))
            await until(lambda: server.check_sums() == {"all.usd@": (30, 0)})
            assert central.counts["defects"] == 0 and central.counts["conversations"] == 2

    asyncio.run(scenario())


def test_the_middle_of_a_conversation_is_not_said_over_a_new_connection(server: RedisServer) -> None:
    """As when the reader has found the connection closed, and the writer is woken in the same turn."""

    async def scenario() -> None:
        async with planes(server) as central:
            connection = central._arbiter._talk._connection  # type: ignore[union-attr]
            assert isinstance(await reserve(central, "1", 40), Grant)
            await connection.disconnect(nowait=True)
            connection.connect_check_health = AsyncMock()
            central.settle("1", Weight(30))
            await until(lambda: server.check_sums() == {"all.usd@": (30, 0)})
            assert not connection.connect_check_health.called and central.counts["defects"] == 0 and central.counts["conversations"] == 2

    asyncio.run(scenario())


def test_until_all_had_time_to_speak_the_arbiter_is_closed(server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arbiter, "CLOSED_S", 0.5)

    async def scenario() -> None:
        async with planes(server) as central:
            server.flush()
            await until(lambda: central.counts["conversations"] == 2)
            assert await reserve(central, "1", 1) == Away("closed", 1.0)
            answers: list = []
            central._arbiter.take("all.usd@ 1 100 -\n", answers.append)
            await until(lambda: answers)
            assert answers[0][0] == "closed", "the script does not rely on what the planes think"
            await until(lambda: not central.is_away)
            assert isinstance(await reserve(central, "2", 100), Grant)

    asyncio.run(scenario())


def test_back_to_an_older_state_while_another_plane_is_down(server: RedisServer) -> None:
    async def scenario() -> None:
        async with planes(server, 2) as (one, two):
            await spend(two, "1", 10)
            await until(lambda: server.read_totals() == {"all.usd@": (10, 0)})
            server.call("SAVE")
            await spend(two, "2", 30)
            await until(lambda: one.balances(time.time_ns())[0].spent == 40)
            await two.stop()
            server.kill()
            server.start()
            assert server.read_totals() == {"all.usd@": (10, 0)}
            await until(lambda: one.counts["conversations"] == 2 and not one.is_away)
            await until(lambda: server.check_sums() == {"all.usd@": (40, 0)})
            assert (await reserve(one, "3", 61)).room == 60

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
            await until(lambda: server.check_sums() == {"all.usd@": (80, 0)})
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


def test_a_plane_that_has_lost_its_journal_takes_over_what_redis_knows_of_it(server: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async with planes(server) as central:
            await spend(central, "1", 40)
            await reserve(central, "2", 25)
            central.ledger.fold_adjusted({"all.usd@2020-01-01": 5})
            await until(lambda: server.read_totals()["all.usd@"] == (40, 25))
        noted: dict[str, dict[str, int]] = {}
        reborn = Central(Ledger([ALL]), PATIENT, server.url, "plane-0", recalled=noted.__setitem__)
        await reborn.start(10)
        assert list(noted.values()) == [{"all.usd@": 65}]
        assert reborn.ledger.checkpoint()["open"] == noted, "what is read from the journal later makes the same"
        await until(lambda: server.check_sums() == {"all.usd@": (0, 65)})
        assert (await reserve(reborn, "3", 36)).room == 35
        await reborn.stop()

    asyncio.run(scenario())
    assert "journal is gone" in caplog.text


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
