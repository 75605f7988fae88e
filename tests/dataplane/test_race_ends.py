"""How two attempts of one call end: callers that leave, orders, stops, silence, answers that break off."""

import asyncio

import pytest

from proxy.config import Limits
from proxy.errors import Refusal
from proxy.orders import Order, Orders, write_orders
from proxy.routes import Breaker, Fallback, Stall
from tests.dataplane.hedging import ASK, EMBED, SOON, Held, begin, embed, embeddings, find_race, running, split
from tests.dataplane.routing import BUSY, Upstreams
from tests.dataplane.test_carrier import hang_up, hold


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
        first = find_race(site).first
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


def test_an_answer_of_the_second_that_breaks_off_is_broken_off(run, tmp_path):
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


def test_an_answer_of_the_second_that_stalls_is_broken_off(run, tmp_path):
    sent = asyncio.Event()

    async def half(exchange):
        await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{")
        sent.set()
        await exchange.reader.read()

    up = Upstreams()

    async def script(site):
        up.replies = [Held(), half]
        asking = asyncio.create_task(embed(site))
        async with asyncio.timeout(5):
            await sent.wait()
            while len(site.plane.traffic.in_flight) != 1 or not find_race(site)._leading.relay.head_sent:
                await asyncio.sleep(0.005)
        find_race(site)._leading.relay.last_activity -= 5
        site.plane.tick()
        assert (await asking)[2] == b"{"
        record, loser = split(site)
        assert (record["outcome"], loser["outcome"]) == ("upstream_stalled", "upstream_discarded")

    hold(run, tmp_path, {"up": up}, {"up": {"hedge": SOON, "stall": Stall(idle_s=4)}}, script)


def test_a_kill_of_the_fallback_ends_only_what_runs_there(run, tmp_path):
    up, other = Upstreams(), Upstreams()

    async def script(site):
        breaker = site.plane.traffic.lanes.by_name["up"].keyring.keys[0].breaker
        breaker.leave(breaker.enter(), True, 0.0)  # half-open: the attempt that runs is the only one here
        one, two = Held(embeddings("first")), Held()
        up.replies, other.replies = [one], [two]
        asking = await begin(site, one, two)
        kill(site, tmp_path, "upstream", "other")
        async with asyncio.timeout(5):
            await two.ended.wait()
        one.go.set()
        assert (await asking)[0] == 200
        record, loser = split(site)
        assert (record["outcome"], loser["outcome"], loser["upstream"]) == ("ok", "policy_killed", "other")

    sections = {"up": {"hedge": SOON, "fallbacks": [Fallback("other")], "breaker": Breaker(share=0.1, least_calls=1, open_s=0.001)}}
    hold(run, tmp_path, {"up": up, "other": other}, sections, script)


@pytest.mark.parametrize("second", [(BUSY, b""), hang_up])
def test_the_breaker_hears_of_the_second(run, tmp_path, second):
    up = Upstreams()

    async def script(site):
        first = Held(embeddings("first"))
        up.replies = [first, second]
        asking = await begin(site, first)
        await site.record()
        assert site.plane.traffic.lanes.by_name["up"].keyring.keys[0].breaker.opened == 1
        first.go.set()
        assert (await asking)[0] == 200

    hold(run, tmp_path, {"up": up}, {"up": {"hedge": SOON, "breaker": Breaker(share=0.5, least_calls=1)}}, script)
