"""Two attempts of one call, over real sockets: which is passed on, and what becomes of the other."""

import asyncio
import json

import pytest

from proxy.routes import Breaker, Fallback, Retry
from tests.dataplane.hedging import COST, SOON, Held, begin, embed, embeddings, find_race, running, split
from tests.dataplane.routing import BUSY, ERROR, Upstreams
from tests.dataplane.test_carrier import hang_up, hold


@pytest.mark.parametrize("place", ["here", "at the fallback"])
def test_the_second_is_passed_on_and_the_slow_one_ends(run, tmp_path, place):
    async def script(site):
        slow.append(Held())
        up.replies = [slow[0], embeddings()]
        status, fields, body = await embed(site)
        assert (status, json.loads(body)["from"]) == (200, "fast")
        async with asyncio.timeout(5):
            await slow[0].ended.wait()
        record, loser = split(site)
        assert record["id"] == fields["x-weighbridge-call"]
        assert (record["outcome"], record["attempts"], record["tried"], record["cost_nano_usd"]) == ("ok", 2, "up slow", COST)
        assert (loser["outcome"], loser["usage_source"], "attempts" in loser) == ("upstream_discarded", "estimated", False)
        assert loser["cost_nano_usd"] > 0 and "status" not in loser and running(site) == [0]
        first_key = site.plane.traffic.lanes.by_name["up"].keyring.keys[0]
        assert first_key.breaker._is_open == (place != "here")  # it has heard nothing of the one that won elsewhere
        assert (record["upstream"], loser["upstream"]) == ("up" if place == "here" else "other", "up")

    slow, up, other = [], Upstreams(), Upstreams(embeddings())
    sections = {"up": {"hedge": SOON}, "other": {}}
    if place != "here":  # its one key is at its limit: the attempt that runs was let through to see
        sections["up"] |= {"fallbacks": [Fallback("other")], "breaker": Breaker(share=0.1, least_calls=1, open_s=0.001)}

    async def opened(site):
        breaker = site.plane.traffic.lanes.by_name["up"].keyring.keys[0].breaker
        if place != "here":
            breaker.leave(breaker.enter(), True, 0.0)
        await script(site)

    hold(run, tmp_path, {"up": up, "other": other}, sections, opened)
    assert len(up.asked) == (2 if place == "here" else 1) and len(other.asked) == (0 if place == "here" else 1)


def test_the_first_is_passed_on_where_it_comes_first_after_all(run, tmp_path):
    up = Upstreams()

    async def script(site):
        first, second = Held(embeddings("first")), Held()
        up.replies = [first, second]
        asking = await begin(site, first, second)
        first.go.set()
        status, _, body = await asking
        assert (status, json.loads(body)["from"]) == (200, "first")
        async with asyncio.timeout(5):
            await second.ended.wait()
        record, loser = split(site)
        assert (record["attempts"], record["tried"], record["cost_nano_usd"]) == (2, "up slow", COST)
        assert loser["outcome"] == "upstream_discarded" and loser["cost_nano_usd"] > 0 and running(site) == [0]

    hold(run, tmp_path, {"up": up}, {"up": {"hedge": SOON}}, script)
    assert len(up.asked) == 2


@pytest.mark.parametrize("second", [(BUSY, b""), (b"400 Bad Request", b""), hang_up])
def test_a_failure_of_the_second_is_never_the_calls(run, tmp_path, second):
    up = Upstreams()

    async def script(site):
        first = Held(embeddings("first"))
        up.replies = [first, second]
        asking = await begin(site, first)
        await site.record()
        first.go.set()
        assert (await asking)[0] == 200
        record, loser = split(site)
        assert record["outcome"] == "ok" and running(site) == [0]
        assert loser["outcome"] == ("upstream_cut" if second is hang_up else "upstream_error")
        assert (loser["cost_nano_usd"] > 0) == (second is hang_up)

    hold(run, tmp_path, {"up": up}, {"up": {"hedge": SOON}}, script)


@pytest.mark.parametrize("first", [b"503 Service Unavailable", None])
def test_a_failure_of_the_first_waits_for_the_second(run, tmp_path, first):
    up = Upstreams()

    async def script(site):
        one, two = Held(ERROR, first or b""), Held()
        up.replies = [one if first else _cut(one), two]
        asking = await begin(site, one, two)
        one.go.set()
        async with asyncio.timeout(5):
            while not find_race(site).first.done.done():
                await asyncio.sleep(0)
        two.go.set()
        status, _, body = await asking
        assert (status, json.loads(body)["from"]) == (200, "slow")
        record, loser = split(site)
        assert (record["outcome"], record["status"]) == ("ok", 200)
        assert loser["outcome"] == ("upstream_error" if first else "upstream_cut") and (loser["cost_nano_usd"] > 0) == (first is None)

    hold(run, tmp_path, {"up": up}, {"up": {"hedge": SOON}}, script)


@pytest.mark.parametrize("first", [b"503 Service Unavailable", None])
@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_where_both_fail_the_caller_gets_the_failure_of_the_first(run, tmp_path, first, order):
    up = Upstreams()

    async def script(site):
        one, two = Held(ERROR, first or b""), Held(b"{}", b"500 Oh")
        up.replies = [one if first else _cut(one), two]
        asking = await begin(site, one, two)
        helds = (one, two)
        helds[order[0]].go.set()
        if order == (0, 1):
            async with asyncio.timeout(5):
                while not find_race(site).first.done.done():
                    await asyncio.sleep(0)
        else:
            await site.record()
        helds[order[1]].go.set()
        status, fields, body = await asking
        assert (status, body) == (503, ERROR) if first else (status, fields["x-weighbridge-error"]) == (502, "upstream_cut")
        record, loser = split(site)
        assert record["outcome"] == ("upstream_error" if first else "upstream_cut") and loser["status"] == 500

    hold(run, tmp_path, {"up": up}, {"up": {"hedge": SOON}}, script)


def test_where_both_fail_the_call_may_be_tried_again(run, tmp_path):
    up = Upstreams()

    async def script(site):
        one, two = Held(ERROR, BUSY), Held(b"{}", b"500 Oh")
        up.replies = [one, two, embeddings("third")]
        asking = await begin(site, one, two)
        one.go.set()
        two.go.set()
        status, _, body = await asking
        assert (status, json.loads(body)["from"]) == (200, "third")
        record, _ = split(site)
        assert (record["attempts"], record["tried"]) == (3, "up slow, up overloaded") and running(site) == [0]

    hold(run, tmp_path, {"up": up}, {"up": {"hedge": SOON, "retry": Retry(when=["overloaded"], backoff_s=0)}}, script)
    assert len(up.asked) == 3


def _cut(held):
    async def reply(exchange):
        held.asked.set()
        await held.go.wait()
        await hang_up(exchange)

    return reply
