"""Rate limits and headroom on the path of a call: what a caller sees, what the provider hears, and what is given back."""

from __future__ import annotations

import asyncio
from pathlib import Path

from proxy.errors import Refusal
from proxy.rules import Budget, Headroom, Queue, RateLimit
from tests.dataplane.conftest import Exchange, Site, post
from tests.dataplane.paying import CHAT, Provider, Run, answer, ask, hold, send

LIMITED = b"x-ratelimit-limit-requests: 100\r\nx-ratelimit-remaining-requests: 0\r\nx-ratelimit-reset-requests: 30s\r\nretry-after: 30\r\n"


def test_over_the_rate_a_caller_is_told_when_and_the_provider_hears_nothing(run: Run, tmp_path: Path) -> None:
    provider = Provider()

    async def script(site: Site) -> None:
        status, _, _ = await send(site, ask())
        assert status == 200
        status, fields, document = await send(site, ask())
        assert (status, fields["x-weighbridge-error"]) == (429, "policy_rate_limited")
        assert 590 <= int(fields["retry-after"]) <= 600 and "x-should-retry" not in fields
        assert document["error"]["weighbridge"]["limit"] == "slow"
        assert (await site.record(2))["outcome"] == "policy_rate_limited"

    hold(run, tmp_path, provider, script, rate_limits=[RateLimit(name="slow", requests_per_minute=0.1, each=["agent"])])
    assert len(provider.got) == 1


def test_calls_at_once_wait_in_the_queue_and_say_how_long(run: Run, tmp_path: Path) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def answer_late(exchange: Exchange) -> None:
        while True:
            await exchange.read_request()
            begun.set()
            await go_on.wait()
            await exchange.reply(answer(1, 1))

    async def script(site: Site) -> None:
        first = asyncio.create_task(send(site, ask()))
        await begun.wait()
        second = asyncio.create_task(send(site, ask()))
        while not site.plane._gate.waiting:
            await asyncio.sleep(0)
        go_on.set()
        assert [(await each)[0] for each in (first, second)] == [200, 200]
        record = await site.record(2)
        assert 0 < record["waited_ns"] <= record["duration_ns"]

    hold(run, tmp_path, answer_late, script, rate_limits=[RateLimit(name="one", concurrent=1, queue=Queue(length=5, wait_s=60))])


def test_after_a_429_of_the_provider_nobody_is_sent(run: Run, tmp_path: Path) -> None:
    heard = []

    async def refuse(exchange: Exchange) -> None:
        while True:
            heard.append(await exchange.read_request())
            await exchange.reply(b'{"error": {"message": "slow down"}}', status=b"429 Too Many Requests", extra=LIMITED)

    async def script(site: Site) -> None:
        status, fields, _ = await send(site, ask())
        assert status == 429 and "x-weighbridge-error" not in fields  # the provider's own words
        status, fields, document = await send(site, ask())
        assert (status, fields["x-weighbridge-error"]) == (429, "policy_upstream_limited")
        assert 28 <= int(fields["retry-after"]) <= 30
        assert document["error"]["weighbridge"]["scope"] == {"upstream": "up", "model": "m"}
        status, _, _ = await send(site, ask("other"))
        assert len(heard) == 2

    hold(run, tmp_path, refuse, script, headroom=Headroom(share=True, wait_s=5))


def test_what_is_refused_behind_the_gate_or_never_sent_gives_its_place_back(run: Run, tmp_path: Path) -> None:
    provider = Provider()

    async def script(site: Site) -> None:
        for _ in range(3):
            status, _, _ = await send(site, ask("none"))
            assert status == 402
        pool = site.plane.traffic.pools["up"]
        take = pool.take

        async def fail() -> None:
            raise Refusal("upstream_unreachable", "no")

        pool.take = fail
        status, _, _ = await send(site, ask())
        assert status == 502
        pool.take = take
        status, _, _ = await send(site, ask())
        assert status == 200

    limits = [RateLimit(name="slow", requests_per_minute=0.1, concurrent=1)]
    hold(run, tmp_path, provider, script, Budget("none", calls=0, match={"model": "none"}), rate_limits=limits)
    assert len(provider.got) == 1


def test_the_tokens_of_an_answer_that_failed_are_given_back(run: Run, tmp_path: Path) -> None:
    async def fail(exchange: Exchange) -> None:
        while True:
            await exchange.read_request()
            await exchange.reply(b'{"error": {"message": "no"}}', status=b"500 Internal Server Error")

    async def script(site: Site) -> None:
        for _ in range(5):
            assert b" 500 " in (await site.ask(post(CHAT, ask(most=100_000))))[:20]

    hold(run, tmp_path, fail, script, rate_limits=[RateLimit(name="tokens", output_tokens_per_minute=60_000, burst_s=0)])
