"""Which calls get a second attempt, when, and what it may cost; over real sockets."""

import asyncio

import pytest

from proxy.call import Ask, Call, Kind
from proxy.config import Upstream
from proxy.dataplane.hedge import may_hedge
from proxy.dataplane.lane import Lane
from proxy.dataplane.route import Route
from proxy.orders import Order, Orders, write_orders
from proxy.routes import Breaker, Fallback, Hedge
from tests.dataplane.hedging import (
    CHATS,
    COST,
    LATE,
    SOON,
    Held,
    begin,
    counted,
    embed,
    embeddings,
    find_race,
    running,
    settle_down,
    split,
    watch_given_up,
)
from tests.dataplane.paying import answer
from tests.dataplane.routing import ASK as CHAT_ASK
from tests.dataplane.routing import STREAM, Upstreams, call
from tests.dataplane.test_attempt import stream_of
from tests.dataplane.test_carrier import hold
from tests.dataplane.test_carrier_money import BUDGETS, check, spent
from tests.dataplane.test_path import CHUNKS

POST, GET = "POST", "GET"


@pytest.mark.parametrize(
    ("method", "operation", "kinds", "is_hedged"),
    [
        (POST, "embeddings", None, True),
        (POST, "rerank", None, True),
        (POST, "moderation", None, True),
        (POST, "count_tokens", None, True),
        (GET, "models", None, True),
        (GET, "other", None, True),
        ("HEAD", "other", None, True),
        ("DELETE", "models", None, False),
        (POST, "chat", None, False),
        (POST, "text_completion", None, False),
        (POST, "generate_content", None, False),
        (POST, "image_generation", None, False),
        (POST, "files", None, False),
        (POST, "batches", None, False),
        (POST, "other", None, False),
        (POST, "chat", ["chat"], True),
        (POST, "embeddings", ["chat"], False),
        (GET, "models", ["chat"], False),
    ],
)
def test_what_costs_twice_is_hedged_only_where_the_operator_names_it(method, operation, kinds, is_hedged):
    lane = Lane("up", Upstream(url="http://127.0.0.1:1", hedge=Hedge(after_s=1) if kinds is None else Hedge(after_s=1, kinds=kinds)), {})
    for stream in (False, True):
        one = Call(id="c", started_ns=0, method=method, path="/", upstream="up", kind=Kind("f", operation), ask=Ask(stream=stream))
        route = Route(one, {"up": lane}, b"", "/")
        route.enter()
        route.start()
        assert may_hedge(one, route) is (is_hedged and not stream)
        route.start()
        assert not may_hedge(one, route)  # a further attempt


def test_without_the_setting_answers_go_straight_to_the_relay():
    assert Lane("up", Upstream(url="http://127.0.0.1:1"), {}).is_plain
    assert not Lane("up", Upstream(url="http://127.0.0.1:1", hedge=SOON), {}).is_plain


@pytest.mark.parametrize(("stream", "hedge"), [(False, SOON), (True, CHATS)])
def test_no_chat_by_default_and_no_stream_at_all(run, tmp_path, stream, hedge):
    up = Upstreams(stream_of(*CHUNKS) if stream else answer(40, 60))

    async def script(site):
        assert (await call(site, STREAM if stream else CHAT_ASK))[0] == 200
        assert counted(site) == (0, 0)

    hold(run, tmp_path, {"up": up}, {"up": {"hedge": hedge}}, script)


def test_a_list_of_models_is_hedged(run, tmp_path):
    up = Upstreams()

    async def script(site):
        up.replies = [Held(), b'{"data":[]}']
        raw = await site.ask(b"GET /up/v1/models HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert raw.startswith(b"HTTP/1.1 200") and raw.endswith(b'{"data":[]}')
        _, loser = split(site)
        assert loser["outcome"] == "upstream_discarded" and "reserved_nano_usd" not in loser

    hold(run, tmp_path, {"up": up}, {"up": {"hedge": SOON}}, script)


def test_what_answers_in_time_is_asked_once(run, tmp_path):
    up = Upstreams(embeddings())

    async def script(site):
        for _ in range(3):
            assert (await embed(site))[0] == 200
        await site.record(3)
        assert all("tried" not in one and one["cost_nano_usd"] == COST for one in site.events("call"))

    hold(run, tmp_path, {"up": up}, {"up": {"hedge": LATE}}, script)
    assert len(up.asked) == 3


def test_what_has_begun_in_time_may_take_its_time(run, tmp_path):
    up, go = Upstreams(), asyncio.Event()

    async def half(exchange):
        whole = embeddings()
        await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(whole), whole[:9]))
        await go.wait()
        await exchange.send(whole[9:])

    async def script(site):
        up.replies = [half]
        asking = asyncio.create_task(embed(site))
        async with asyncio.timeout(5):
            while not site.plane.traffic.in_flight:
                await asyncio.sleep(0.005)
        await settle_down(find_race(site))
        assert counted(site) == (1, 0)
        go.set()
        assert (await asking)[2] == embeddings()

    hold(run, tmp_path, {"up": up}, {"up": {"hedge": Hedge(after_s=1.0, share=1.0)}}, script)
    assert len(up.asked) == 1


def test_only_a_share_of_the_calls_is_hedged(run, tmp_path):
    up = Upstreams()

    async def script(site):
        hedges = site.plane.traffic.lanes.by_name["up"].hedges
        helds = [Held() for _ in range(11)]
        up.replies = helds
        asking = [await begin(site, held) for held in helds[:10]]
        async with asyncio.timeout(5):
            while hedges.refused < 9:
                await asyncio.sleep(0.005)
        assert len(up.asked) == 11  # ten calls, one of them twice
        for held in helds:
            held.go.set()
        await asyncio.gather(*asking)

    hold(run, tmp_path, {"up": up}, {"up": {"hedge": Hedge(after_s=0.2, share=0.1, least=0)}}, script)
    assert len(up.asked) == 11


@pytest.mark.parametrize("is_there", [True, False])
def test_of_several_keys_it_takes_another(run, tmp_path, monkeypatch, is_there):
    monkeypatch.setenv("A", "sk-a")
    monkeypatch.setenv("B", "sk-b")
    up = Upstreams()

    async def script(site):
        keyring = site.plane.traffic.lanes.by_name["up"].keyring
        if not is_there:
            keyring.keys[1].parked_until_s = float("inf")
        first, given_up = Held(), watch_given_up(site)
        up.replies = [first, embeddings()]
        asking = await begin(site, first)
        if not is_there:
            async with asyncio.timeout(5):
                await given_up.wait()
            first.go.set()
        assert (await asking)[0] == 200
        assert running(site) == [0, 0]
        if is_there:
            record, loser = split(site)
            assert (record["upstream_key"], loser["upstream_key"], record["tried"]) == ("B", "A", "up/A slow")

    hold(run, tmp_path, {"up": up}, {"up": {"hedge": SOON, "keys": ["env:A", "env:B"]}}, script)
    assert [head.split(b"Bearer ")[1][:4] for head, _ in up.asked] == ([b"sk-a", b"sk-b"] if is_there else [b"sk-a"])


def test_where_nobody_is_there_the_call_goes_on_without(run, tmp_path):
    up = Upstreams()

    async def script(site):
        breaker = site.plane.traffic.lanes.by_name["up"].keyring.keys[0].breaker
        breaker.leave(breaker.enter(), True, 0.0)  # half-open: the attempt that runs is the only one here
        first, other = Held(), site.plane.traffic.lanes.by_name["other"].keyring.keys[0]
        up.replies = [first]
        asking = await begin(site, first)
        async with asyncio.timeout(5):
            while not other.breaker.opened:  # it has learned of it
                await asyncio.sleep(0.005)
        first.go.set()
        assert (await asking)[0] == 200
        record = await site.record()
        assert len(site.events("opened")) == 1 and "tried" not in record and running(site, "other") == [0]
        assert site.events("extended") == []  # of one that the journal has never heard of
        check(site, tmp_path)

    breaker = Breaker(share=0.1, least_calls=1, open_s=0.001)
    sections = {"up": {"hedge": SOON, "breaker": breaker, "fallbacks": [Fallback("other")]}, "other": {"breaker": Breaker(share=0.1, least_calls=1)}}
    hold(run, tmp_path, {"up": up, "other": None}, sections, script, budgets=BUDGETS)


@pytest.mark.parametrize("way", ["the first answers", "the caller leaves", "the first breaks off"])
def test_one_that_waits_for_a_connection_is_not_sent_any_more(run, tmp_path, way):
    up = Upstreams()

    async def script(site):
        first, waiting = Held(), asyncio.Event()
        pool = site.plane.traffic.pools["up"]
        up.replies = [first]
        asking = await begin(site, first)

        async def take():
            waiting.set()
            await asyncio.Event().wait()

        pool.take = take
        async with asyncio.timeout(5):
            await waiting.wait()
            assert spent(site.plane._ledger)["calls.calls@"] == (0, 2)
            if way == "the first answers":
                first.go.set()
            elif way == "the caller leaves":
                asking.cancel()
            else:
                next(iter(pool.connections)).transport.abort()
            await asyncio.wait((asking,))
            record = await site.record()
        assert len(site.events("opened")) == len(site.events("call")) == 1 and running(site) == [0]
        assert record["outcome"] == {"the first answers": "ok", "the caller leaves": "caller_gone"}.get(way, "upstream_cut")
        assert check(site, tmp_path)["calls.calls@"] == (1, 0)

    hold(run, tmp_path, {"up": up}, {"up": {"hedge": SOON}}, script, budgets=BUDGETS)


@pytest.mark.parametrize("reason", ["stopping", "paused"])
def test_none_is_begun_where_nothing_may_begin(run, tmp_path, reason):
    up = Upstreams()

    async def script(site):
        first, given_up = Held(), watch_given_up(site)
        up.replies = [first, embeddings()]
        asking = await begin(site, first)
        race = find_race(site)
        assert race.is_waiting
        if reason == "stopping":
            site.plane.traffic.stopping = True
        else:
            write_orders(tmp_path / "orders.json", Orders(orders=[Order(verb="pause", reason="x", by="y", at_ns=1)]))
            site.plane.look()
        await settle_down(race)
        assert (counted(site), given_up.is_set()) == ((1, 1), True) if reason == "paused" else ((1, 0), False)
        first.go.set()
        assert (await asking)[0] == 200
        assert "tried" not in await site.record()

    hold(run, tmp_path, {"up": up}, {"up": {"hedge": Hedge(after_s=0.1, share=1.0)}}, script)
    assert len(up.asked) == 1
