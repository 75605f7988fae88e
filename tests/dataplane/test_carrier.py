"""Calls that fail at one upstream and are tried again or sent elsewhere, over real sockets: what goes up, what comes back, what is recorded."""

import asyncio
import json

import pytest

from proxy.config import Limits
from proxy.routes import Fallback, Retry
from tests.dataplane.paying import COST, answer
from tests.dataplane.routing import ASK, BUSY, ERROR, SOON, STREAM, Upstreams, call, open_routes

OTHER = [Fallback("other", when=["unreachable", "timeout", "cut", "rate_limited", "overloaded", "server_error"])]


def hold(run, folder, scripts, sections, script, **settings):
    async def main():
        async with open_routes(folder, scripts, sections, **settings) as site:
            await script(site)

    run(main())


def test_what_is_overloaded_is_tried_again_until_it_answers(run, tmp_path):
    up = Upstreams((BUSY, b""), (BUSY, b"Retry-After: 0\r\n"), answer(40, 60))

    async def script(site):
        status, _, body = await call(site)
        assert status == 200 and json.loads(body)["usage"]["completion_tokens"] == 60
        record = await site.record()
        assert (record["outcome"], record["status"], record["attempts"]) == ("ok", 200, 3)
        assert record["tried"] == "up overloaded, up overloaded"
        assert record["cost_nano_usd"] == COST and len(site.events("call")) == 1
        assert [one["id"] for one in site.events("opened")] == [record["id"]] * 3  # on file before each of them went

    hold(run, tmp_path, {"up": up}, {"up": {"retry": SOON}}, script)
    assert [body for _, body in up.asked] == [json.loads(ASK)] * 3


def test_where_no_attempt_is_left_the_answer_passes_as_it_came(run, tmp_path):
    up = Upstreams((BUSY, b"x-request-id: r-1\r\n"))

    async def script(site):
        status, fields, body = await call(site)
        assert (status, body, fields["x-request-id"]) == (503, ERROR, "r-1")
        record = await site.record()
        assert (record["outcome"], record["attempts"], record["cost_nano_usd"]) == ("upstream_error", 3, 0)

    hold(run, tmp_path, {"up": up}, {"up": {"retry": SOON}}, script)
    assert len(up.asked) == 3


def test_by_default_an_answer_is_an_answer(run, tmp_path):
    up = Upstreams((BUSY, b""))

    async def script(site):
        assert (await call(site))[0] == 503

    hold(run, tmp_path, {"up": up}, {}, script)
    assert len(up.asked) == 1


def test_a_longer_wait_than_allowed_is_not_waited(run, tmp_path):
    up = Upstreams((b"429 Too Many Requests", b"Retry-After: 9\r\n"))

    async def script(site):
        status, fields, _ = await call(site)
        assert (status, fields["retry-after"]) == (429, "9")

    hold(run, tmp_path, {"up": up}, {"up": {"retry": SOON}}, script)
    assert len(up.asked) == 1


@pytest.mark.parametrize("streamed", [False, True])
def test_a_refused_connection_goes_to_the_fallback_with_its_own_key_and_model(run, tmp_path, monkeypatch, streamed):
    monkeypatch.setenv("OTHER_KEY", "sk-other")
    other = Upstreams(answer(40, 60, "cheap"))
    sections = {
        "up": {"retry": Retry(attempts=1), "fallbacks": [Fallback("other", {"m": "cheap"})]},
        "other": {"key": "env:OTHER_KEY"},
    }

    async def script(site):
        status, fields, _ = await call(site, STREAM if streamed else ASK, headers=b"Authorization: Bearer sk-callers\r\n")
        assert (status, fields["x-weighbridge-model-asked"]) == (200, "m")
        record = await site.record()
        assert (record["upstream"], record["model_asked"], record["model"]) == ("other", "m", "cheap")
        assert (record["attempts"], record["tried"]) == (2, "up unreachable")

    hold(run, tmp_path, {"up": None, "other": other}, sections, script)
    ((head, body),) = other.asked
    assert b"Authorization: Bearer sk-other\r\n" in head and b"sk-callers" not in head
    assert body["model"] == "cheap" and body["max_tokens"] == 100


def test_a_callers_key_does_not_go_to_another_host(run, tmp_path):
    other = Upstreams()

    async def script(site):
        assert (await call(site, path="/up/v1/chat/completions?key=sk-query", headers=b"x-api-key: sk-callers\r\n"))[0] == 200

    hold(run, tmp_path, {"up": None, "other": other}, {"up": {"retry": Retry(attempts=1), "fallbacks": OTHER}}, script)
    assert b"sk-" not in other.asked[0][0]


def test_when_all_fail_the_caller_gets_the_last_failure(run, tmp_path):
    async def script(site):
        status, fields, _ = await call(site)
        assert (status, fields["x-weighbridge-error"]) == (502, "upstream_unreachable")
        record = await site.record()
        assert (record["outcome"], record["upstream"], record["attempts"]) == ("upstream_unreachable", "other", 3)
        assert record["tried"] == "up server_error, other unreachable" and record["cost_nano_usd"] == 0

    up = Upstreams((b"500 Internal Server Error", b""))
    sections = {"up": {"retry": Retry(attempts=1), "fallbacks": OTHER}, "other": {"retry": Retry(backoff_s=0)}}
    hold(run, tmp_path, {"up": up, "other": None}, sections, script)


async def hang_up(exchange):
    exchange.writer.transport.abort()
    raise ConnectionError


@pytest.mark.parametrize("kind", ["cut", "timeout"])
@pytest.mark.parametrize("allowed", [False, True])
def test_no_post_is_sent_twice_whose_fate_is_unknown(run, tmp_path, kind, allowed):
    silent = asyncio.Event()

    async def wait(exchange):
        await silent.wait()

    up, other = Upstreams(hang_up if kind == "cut" else wait), Upstreams()
    retry = Retry(attempts=2, when=["cut", "timeout"], backoff_s=0, unknown_fate=allowed)

    async def script(site):
        asking = asyncio.create_task(call(site))
        async with asyncio.timeout(5):
            while not asking.done():
                if kind == "timeout":
                    site.plane.tick()
                await asyncio.sleep(0.01)
        status, _, _ = await asking
        silent.set()
        assert status == (200 if allowed else 502 if kind == "cut" else 504)
        if allowed:  # what may have been billed is counted
            await site.record(3)
            apart = [one for one in site.events("call") if "attempt_of" in one]
            assert [one["outcome"] for one in apart] == [f"upstream_{kind}"] * 2
            assert all(one["usage_source"] == "estimated" and one["cost_nano_usd"] > 0 for one in apart)

    sections = {"up": {"retry": retry, "fallbacks": OTHER}}
    hold(run, tmp_path, {"up": up, "other": other}, sections, script, limits=Limits(first_byte_s=0.02))
    assert (len(up.asked), len(other.asked)) == ((2, 1) if allowed else (1, 0))


def test_a_get_may_always_be_repeated(run, tmp_path):
    up = Upstreams(hang_up, answer(1, 1))

    async def script(site):
        assert (await site.ask(b"GET /up/v1/models HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")).startswith(b"HTTP/1.1 200")

    hold(run, tmp_path, {"up": up}, {"up": {"retry": Retry(when=["cut"], backoff_s=0)}}, script)
    assert len(up.asked) == 2


def test_nothing_is_tried_again_after_the_first_byte(run, tmp_path):
    async def half(exchange):
        await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ndata\r\n")
        await hang_up(exchange)

    up, other = Upstreams(half), Upstreams()
    every = ["unreachable", "timeout", "cut", "server_error", "overloaded"]

    async def script(site):
        status, _, body = await call(site, STREAM)
        assert status == 200 and not body.endswith(b"0\r\n\r\n")
        assert (await site.record())["outcome"] == "upstream_cut"

    sections = {"up": {"retry": Retry(when=every, backoff_s=0, unknown_fate=True), "fallbacks": [Fallback("other", when=every)]}}
    hold(run, tmp_path, {"up": up, "other": other}, sections, script)
    assert (len(up.asked), len(other.asked)) == (1, 0)


def test_a_streamed_body_is_sent_once(run, tmp_path):
    up = Upstreams((BUSY, b""))

    async def script(site):
        raw = b"POST /up/v1/files HTTP/1.1\r\nHost: x\r\nContent-Type: application/pdf\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc"
        assert (await site.ask(raw)).startswith(b"HTTP/1.1 503")

    hold(run, tmp_path, {"up": up}, {"up": {"retry": SOON}}, script)
    assert len(up.asked) == 1


def test_a_dead_upstream_is_not_hammered(run, tmp_path):
    up = Upstreams((BUSY, b""))

    async def script(site):
        for _ in range(50):
            assert (await call(site))[0] == 503

    hold(run, tmp_path, {"up": up}, {"up": {"retry": Retry(attempts=4, when=["overloaded"], backoff_s=0, least=0)}}, script)
    assert len(up.asked) <= 55


def test_a_caller_that_leaves_during_the_wait_ends_the_call(run, tmp_path):
    up = Upstreams((BUSY, b"Retry-After: 5\r\n"))

    async def script(site):
        reader, writer = await site.connect()
        writer.write(b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (b"/up/v1/chat/completions", len(ASK), ASK))
        async with asyncio.timeout(5):
            while not up.asked or not any(type(one).__name__ == "Pause" for one in site.plane.traffic.in_flight):
                await asyncio.sleep(0.005)
        writer.transport.abort()
        record = await site.record()
        assert (record["outcome"], record["tried"], record["cost_nano_usd"]) == ("caller_gone", "up overloaded", 0)
        assert not site.plane.traffic.in_flight

    hold(run, tmp_path, {"up": up}, {"up": {"retry": Retry(when=["overloaded"])}}, script)
    assert len(up.asked) == 1


def test_a_caller_that_leaves_before_the_answer_takes_the_upstream_along(run, tmp_path):
    ended = asyncio.Event()

    async def wait(exchange):
        await exchange.reader.read()
        ended.set()

    up = Upstreams(wait)

    async def script(site):
        _, writer = await site.connect()
        writer.write(b"POST /up/v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(ASK), ASK))
        async with asyncio.timeout(5):
            while not up.asked:
                await asyncio.sleep(0.005)
            writer.transport.abort()
            await ended.wait()
        assert (await site.record())["outcome"] == "caller_gone"

    hold(run, tmp_path, {"up": up}, {"up": {"retry": SOON}}, script)
