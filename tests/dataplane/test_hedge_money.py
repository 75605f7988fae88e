"""What two attempts cost: both are reserved before the second goes, the one that loses is paid apart, and the ledger is the sum of the records."""

import asyncio
import json
import random

import pytest

from proxy.routes import Breaker, Fallback
from proxy.rules import Budget, Queue, RateLimit
from proxy.toll.follow import Follower
from proxy.toll.ledger import Ledger
from tests.dataplane.hedging import CHATS, COST, SOON, Held, begin, embed, embeddings, running, split, watch_given_up
from tests.dataplane.paying import COST as CHAT_COST
from tests.dataplane.paying import answer
from tests.dataplane.routing import BUSY, ERROR, Upstreams, call
from tests.dataplane.test_carrier import hang_up, hold
from tests.dataplane.test_carrier_money import BUDGETS, check, spent


def test_a_chat_that_the_operator_names_is_hedged_and_costs_twice(run, tmp_path):
    up = Upstreams()

    async def script(site):
        up.replies = [Held(), answer(40, 60)]
        status, _, body = await call(site)
        assert (status, body) == (200, answer(40, 60))
        record, loser = split(site)
        assert record["cost_nano_usd"] == CHAT_COST and loser["cost_nano_usd"] > 0
        check(site, tmp_path)

    hold(run, tmp_path, {"up": up}, {"up": {"hedge": CHATS}}, script, budgets=BUDGETS)


SHORT = [
    {"budgets": [Budget("one", usd=0.0004)]},  # what one attempt reserves, and less than two
    {"budgets": [Budget("one", calls=1)]},
    {"rate_limits": [RateLimit("one", concurrent=1, queue=Queue(length=5))]},
]


@pytest.mark.parametrize("settings", SHORT)
def test_where_it_does_not_fit_there_is_none(run, tmp_path, settings):
    up = Upstreams()

    async def script(site):
        first = Held()
        up.replies = [first, embeddings()]
        given_up = watch_given_up(site)
        asking = await begin(site, first)
        async with asyncio.timeout(5):
            await given_up.wait()
        assert site.plane._gate.waiting == 0
        first.go.set()
        status, _, body = await asking
        assert (status, json.loads(body)["from"]) == (200, "slow")
        record = await site.record()
        assert record["cost_nano_usd"] == COST and "tried" not in record
        assert len(site.events("opened")) == len(site.events("call")) == 1
        if "budgets" in settings:
            folded = Ledger(settings["budgets"])
            Follower(tmp_path / "journal", folded).recover()
            assert spent(folded) == spent(site.plane._ledger) and all(reserved == 0 for _, reserved in spent(folded).values())
        assert running(site) == [0]

    hold(run, tmp_path, {"up": up}, {"up": {"hedge": SOON}}, script, **settings)
    assert len(up.asked) == 1


def test_both_are_reserved_on_file_before_the_second_goes(run, tmp_path):
    """What the journal says at that moment, read as after a crash."""
    found = []

    async def look(exchange):
        folded = Ledger(BUDGETS)
        Follower(tmp_path / "journal", folded).catch_up()
        found.append((spent(folded), spent(plane[0]._ledger)))
        await exchange.reply(embeddings())

    plane, up = [], Upstreams()

    async def script(site):
        plane.append(site.plane)
        up.replies = [Held(), look]
        assert (await embed(site))[0] == 200
        split(site)
        assert check(site, tmp_path)["calls.calls@"] == (2, 0)

    hold(run, tmp_path, {"up": up}, {"up": {"hedge": SOON}}, script, budgets=BUDGETS)
    folded, live = found[0]
    assert folded == live and folded["calls.calls@"] == (0, 2)


@pytest.mark.parametrize("who", ["first", "second"])
def test_each_is_paid_under_its_own_name_and_price(run, tmp_path, who):
    up, other = Upstreams(), Upstreams()

    async def script(site):
        breaker = site.plane.traffic.lanes.by_name["up"].keyring.keys[0].breaker
        breaker.leave(breaker.enter(), True, 0.0)  # half-open: the attempt that runs is the only one here
        one, two = Held(embeddings("first")), Held(embeddings("second"))
        up.replies, other.replies = [one], [two]
        asking = await begin(site, one, two)
        (one if who == "first" else two).go.set()
        status, fields, body = await asking
        assert (status, json.loads(body)["from"], fields.get("x-weighbridge-model-asked")) == (200, who, "m" if who == "second" else None)
        record, loser = split(site)
        won, lost = ("up", "other") if who == "first" else ("other", "up")
        assert (record["upstream"], loser["upstream"]) == (won, lost)
        for each in (record, loser):
            assert each["cost_nano_usd"] > 0 and (each["upstream"] == "up" or each["model_asked"] == "m")
            (cell,) = [cell for cell in each["charged"] if "?" in cell]
            assert cell.endswith("upstream=up&model=m" if each["upstream"] == "up" else "upstream=other&model=cheap")
        check(site, tmp_path)

    sections = {"up": {"hedge": SOON, "fallbacks": [Fallback("other", {"m": "cheap"})], "breaker": Breaker(share=0.1, least_calls=1, open_s=0.001)}}
    hold(run, tmp_path, {"up": up, "other": other}, sections, script, budgets=BUDGETS)


@pytest.mark.parametrize("seed", range(4))
def test_any_mix_of_endings_adds_up(run, tmp_path, seed):
    draw = random.Random(seed)
    up = Upstreams()

    def wake(reply):
        """A reply that begins as those that wait do."""

        async def answer_all(exchange):
            for held in waiting:
                held.go.set()
            if reply is None:
                waiting.append(Held(embeddings()))
                await waiting[-1](exchange)
            elif callable(reply):
                await reply(exchange)
            elif isinstance(reply, tuple):
                await exchange.reply(ERROR, status=reply[0])
            else:
                await exchange.reply(reply)

        return answer_all

    waiting = []
    replies = [None, None, embeddings(), (BUSY, b""), (b"400 Bad", b""), hang_up]
    up.replies = [wake(reply) for reply in [*draw.choices(replies, k=99), embeddings()]]

    async def script(site):
        for _ in range(20):
            status, _, body = await embed(site)
            assert body in (embeddings(), ERROR) if status != 502 else b"upstream_cut" in body
        await site.record(20)
        check(site, tmp_path)
        calls = [one for one in site.events("call") if "attempt_of" not in one]
        apart = [one["attempt_of"] for one in site.events("call") if "attempt_of" in one]
        assert len(calls) == 20 and len(apart) == len(set(apart)) > 0 and set(apart) <= {one["id"] for one in calls}
        assert site.plane.traffic.opened == site.plane._settler.settled == len(calls) + len(apart) == len(up.asked)
        assert not site.plane.traffic.in_flight and running(site) == [0]
        assert [one.running for one in site.plane._gate.states(0)] == [0]

    hold(run, tmp_path, {"up": up}, {"up": {"hedge": SOON}}, script, budgets=BUDGETS, rate_limits=[RateLimit("most", concurrent=3)])
