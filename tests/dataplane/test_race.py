"""Two attempts of one call, over real sockets: which is passed on, what becomes of the other, and how both end."""

import asyncio
import json

import pytest

from proxy.config import Limits
from proxy.errors import Refusal
from proxy.orders import Order, Orders, write_orders
from proxy.routes import Breaker, Fallback, Retry
from tests.dataplane.hedging import ASK, COST, EMBED, SOON, Held, begin, embed, embeddings, running, split
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
            while not site_race(site).first.done.done():
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
                while not site_race(site).first.done.done():
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
        assert (record["attempts"], record["tried"]) == (3, "up slow, up overloaded")

    hold(run, tmp_path, {"up": up}, {"up": {"hedge": SOON, "retry": Retry(when=["overloaded"], backoff_s=0)}}, script)
    assert len(up.asked) == 3


def _cut(held):
    async def reply(exchange):
        held.asked.set()
        await held.go.wait()
        await hang_up(exchange)

    return reply


def site_race(site):
    return next(one for one in site.plane.traffic.in_flight if type(one).__name__ == "Race")


def test_a_caller_that_leaves_ends_both(run, tmp_path):
    up = Upstreams()

    async def script(site):
        one, two = Held(), Held()
        up.replies = [one, two]
        _, writer = await site.connect()
        writer.write(b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (EMBED.encode(), len(ASK), ASK))
        async with asyncio.timeout(5):
            await one.asked.wait()
            await two.asked.wait()
            writer.transport.abort()
            await one.ended.wait()
            await two.ended.wait()
        await site.record(2)
        record, loser = split(site)
        assert (record["outcome"], loser["outcome"]) == ("caller_gone", "caller_gone") and running(site) == [0]

    hold(run, tmp_path, {"up": up}, {"up": {"hedge": SOON}}, script)


def test_a_kill_ends_both(run, tmp_path):
    up = Upstreams()

    async def script(site):
        one, two = Held(), Held()
        up.replies = [one, two]
        asking = await begin(site, one, two)
        kill(site, tmp_path, None, None)
        status, fields, _ = await asking
        assert (status, fields["x-weighbridge-error"]) == (403, "policy_killed")
        async with asyncio.timeout(5):
            await one.ended.wait()
            await two.ended.wait()
        record, loser = split(site)
        assert (record["outcome"], loser["outcome"]) == ("policy_killed", "policy_killed")

    hold(run, tmp_path, {"up": up}, {"up": {"hedge": SOON}}, script)


def kill(site, folder, dimension, value):
    order = Order(verb="kill", dimension=dimension, value=value, running=True, reason="x", by="y", at_ns=1)
    write_orders(folder / "orders.json", Orders(orders=[order]))
    site.plane.look()


@pytest.mark.parametrize("ending", ["end_by_order", "end_in_band"])
def test_a_stop_ends_both(run, tmp_path, ending):
    up = Upstreams()

    async def script(site):
        one, two = Held(), Held()
        up.replies = [one, two]
        asking = await begin(site, one, two)
        assert len(site.plane.traffic.in_flight) == 2
        for relay in list(site.plane.traffic.in_flight):
            getattr(relay, ending)(Refusal("weighbridge_stopping", "Stop."))
        assert (await asking)[0] == 503
        record, loser = split(site)
        assert (record["outcome"], loser["outcome"]) == ("weighbridge_stopping", "weighbridge_stopping") and running(site) == [0]

    hold(run, tmp_path, {"up": up}, {"up": {"hedge": SOON}}, script)


def test_silence_ends_each_in_its_time(run, tmp_path):
    up = Upstreams()

    async def script(site):
        one, two = Held(), Held()
        up.replies = [one, two]
        asking = await begin(site, one, two)
        first = site_race(site).first
        first.last_activity -= 5
        site.plane.tick()
        async with asyncio.timeout(5):
            await one.ended.wait()
        assert not asking.done() and not two.ended.is_set()
        next(iter(one for one in site.plane.traffic.in_flight if type(one).__name__ == "Second")).last_activity -= 5
        site.plane.tick()
        status, fields, _ = await asking
        assert (status, fields["x-weighbridge-error"]) == (504, "upstream_timeout")
        record, loser = split(site)
        assert (record["outcome"], loser["outcome"]) == ("upstream_timeout", "upstream_timeout")

    hold(run, tmp_path, {"up": up}, {"up": {"hedge": SOON}}, script, limits=Limits(first_byte_s=4))


def test_an_answer_of_the_second_that_falls_silent_or_breaks_off_is_broken_off(run, tmp_path):
    async def half(exchange):
        await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{")
        await hang_up(exchange)

    up = Upstreams()

    async def script(site):
        up.replies = [Held(), half]
        status, _, body = await embed(site)
        assert (status, body) == (200, b"{")
        record, loser = split(site)
        assert (record["outcome"], loser["outcome"]) == ("upstream_cut", "upstream_discarded")

    hold(run, tmp_path, {"up": up}, {"up": {"hedge": SOON}}, script)


def test_the_breaker_hears_of_the_second(run, tmp_path):
    up = Upstreams()

    async def script(site):
        first = Held(embeddings("first"))
        up.replies = [first, (BUSY, b"")]
        asking = await begin(site, first)
        await site.record()
        assert site.plane.traffic.lanes.by_name["up"].keyring.keys[0].breaker.opened == 1
        first.go.set()
        assert (await asking)[0] == 200

    hold(run, tmp_path, {"up": up}, {"up": {"hedge": SOON, "breaker": Breaker(share=0.5, least_calls=1)}}, script)
