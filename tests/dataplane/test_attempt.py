"""Answers that are looked at before they are passed on, breakers and keys, over real sockets."""

import asyncio
import gzip
import json

import pytest

from proxy.errors import Refusal
from proxy.routes import Breaker, Fallback, Retry, Stall
from proxy.rules import Budget
from tests.dataplane.paying import answer
from tests.dataplane.routing import ASK, BUSY, STREAM, Upstreams, call
from tests.dataplane.test_carrier import hold
from tests.dataplane.test_path import CHUNKS, unchunk

JUDGED = ["startup_error", "empty", "truncated", "invalid_json"]
EMPTY = answer(40, 0).replace(b'"hi"', b'""')
JSON_ASK = ASK[:-1] + b',"response_format":{"type":"json_object"}}'


def stream_of(*chunks, end=b"0\r\n\r\n"):
    async def reply(exchange):
        await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        for chunk in chunks:
            await exchange.send(b"%x\r\n%b\r\n" % (len(chunk), chunk))
        await exchange.send(end)

    return reply


FAULT = b'data: {"error":{"message":"overloaded","type":"server_error"}}\n\n'


@pytest.mark.parametrize(
    ("word", "first", "ask"),
    [
        ("empty", EMPTY, ASK),
        ("truncated", answer(40, 60)[:-9], ASK),
        ("invalid_json", answer(40, 60), JSON_ASK),
        ("startup_error", stream_of(b": wait\n\n", FAULT), STREAM),
    ],
)
def test_a_bad_answer_is_given_up_for_the_next_and_counted(run, tmp_path, word, first, ask):
    whole = answer(40, 60).replace(b'"hi"', b'"{}"')
    up = Upstreams(first, stream_of(*CHUNKS) if ask is STREAM else whole)

    async def script(site):
        status, _, body = await call(site, ask)
        assert (status, unchunk(body)[0] if ask is STREAM else body) == (200, b"".join(CHUNKS) if ask is STREAM else whole)
        await site.record(2)
        apart, record = site.events("call")
        assert (apart["outcome"], apart["attempt_of"], record["tried"]) == ("upstream_discarded", record["id"], f"up {word}")
        assert record["outcome"] == "ok" and "attempt_of" not in record
        assert word == "startup_error" or apart["cost_nano_usd"] > 0

    hold(run, tmp_path, {"up": up}, {"up": {"retry": Retry(when=JUDGED, backoff_s=0)}}, script)


@pytest.mark.parametrize("first", [EMPTY, answer(40, 60)[:-9], answer(40, 60), stream_of(FAULT)])
def test_a_bad_answer_passes_unless_the_operator_minds(run, tmp_path, first):
    up = Upstreams(first)

    async def script(site):
        status, _, body = await call(site, JSON_ASK if isinstance(first, bytes) else STREAM)
        assert status == 200 and (body == first or unchunk(body)[0] == FAULT)

    hold(run, tmp_path, {"up": up}, {"up": {"retry": Retry(when=["overloaded"], backoff_s=0)}}, script)
    assert len(up.asked) == 1


@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_what_is_looked_at_and_good_passes_unchanged_in_any_pieces(run, tmp_path, size):
    whole = gzip.compress(answer(40, 60))

    async def dribble(exchange):
        await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(whole))
        for start in range(0, len(whole), size):
            await exchange.send(whole[start : start + size])

    up = Upstreams(dribble, stream_of(*CHUNKS))

    async def script(site):
        assert (await call(site))[2] == whole
        assert unchunk((await call(site, STREAM))[2]) == (b"".join(CHUNKS), True)
        record = await site.record(2)
        assert [one["outcome"] for one in site.events("call")] == ["ok", "ok"] and record["output_tokens"] == 2
        assert len(site.plane.traffic.pools["up"].connections) == 1  # used again

    hold(run, tmp_path, {"up": up}, {"up": {"retry": Retry(when=JUDGED)}}, script)


def test_an_answer_too_large_to_be_held_back_passes(run, tmp_path):
    whole = json.dumps({"pad": "x" * 3_000_000}).encode()
    up = Upstreams(whole)

    async def script(site):
        assert (await call(site))[2] == whole

    hold(run, tmp_path, {"up": up}, {"up": {"retry": Retry(when=JUDGED)}}, script)


def test_a_stream_begins_with_its_first_event(run, tmp_path):
    go_on = asyncio.Event()

    async def slow(exchange):
        await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        await exchange.send(b"%x\r\n%b\r\n" % (len(CHUNKS[0]), CHUNKS[0]))
        await go_on.wait()
        await exchange.send(b"0\r\n\r\n")

    async def script(site):
        reader, writer = await site.connect()
        writer.write(b"POST /up/v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(STREAM), STREAM))
        async with asyncio.timeout(5):
            await reader.readuntil(CHUNKS[0])
            go_on.set()
            await reader.readuntil(b"0\r\n\r\n")
        writer.close()

    hold(run, tmp_path, {"up": Upstreams(slow)}, {"up": {"retry": Retry(when=JUDGED)}}, script)


def test_an_open_breaker_sends_calls_elsewhere_at_once_and_without_one_refuses(run, tmp_path):
    up, other = Upstreams((BUSY, b"")), Upstreams()
    breaker = Breaker(share=1.0, least_calls=3, open_s=60)
    sections = {"up": {"breaker": breaker, "fallbacks": [Fallback("other", when=[])]}, "alone": {"breaker": breaker}}

    async def script(site):
        for path in ("/up/v1/chat/completions", "/alone/v1/chat/completions"):
            assert [(await call(site, path=path))[0] for _ in range(3)] == [503] * 3
        assert (await call(site))[0] == 200
        record = await site.record(7)
        assert (record["upstream"], record["tried"]) == ("other", "up open") and "attempts" not in record
        status, fields, _ = await call(site, path="/alone/v1/chat/completions")
        assert (status, fields["x-weighbridge-error"]) == (503, "upstream_open") and 50 < int(fields["retry-after"]) <= 60
        assert (await site.record(8))["cost_nano_usd"] == 0

    hold(run, tmp_path, {"up": up, "other": other, "alone": up}, sections, script)
    assert len(up.asked) == 6


def test_keys_are_changed_when_one_is_limited_or_refused(run, tmp_path, monkeypatch):
    for name in "ABC":
        monkeypatch.setenv(f"KEY_{name}", f"sk-{name}")
    up = Upstreams((b"429 Too Many Requests", b"Retry-After: 60\r\n"), (b"401 Unauthorized", b""), answer(40, 60))

    async def script(site):
        assert (await call(site))[0] == 200
        record = await site.record()
        assert (record["upstream_key"], record["tried"]) == ("KEY_C", "up/KEY_A rate_limited, up/KEY_B key_refused")
        assert "sk-" not in json.dumps(site.events("call") + site.events("opened"))
        for _ in range(3):
            assert (await call(site))[0] == 200

    hold(run, tmp_path, {"up": up}, {"up": {"keys": ["env:KEY_A", "env:KEY_B", "env:KEY_C"], "retry": Retry(attempts=3)}}, script)
    used = [head.split(b"Bearer ")[1].split(b"\r\n")[0] for head, _ in up.asked]
    assert used == [b"sk-A", b"sk-B", b"sk-C", b"sk-C", b"sk-C", b"sk-C"]


def test_a_stream_that_stalls_before_its_first_event_goes_elsewhere(run, tmp_path):
    never = asyncio.Event()

    async def stall(exchange):
        await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        await never.wait()

    up, other = Upstreams(stall), Upstreams(stream_of(*CHUNKS))

    async def script(site):
        asking = asyncio.create_task(call(site, STREAM))
        async with asyncio.timeout(5):
            while not asking.done():
                site.plane.tick()
                await asyncio.sleep(0.01)
        assert unchunk((await asking)[2]) == (b"".join(CHUNKS), True)
        assert (await site.record(2))["tried"] == "up timeout"
        never.set()

    sections = {"up": {"stall": Stall(idle_s=0.02), "fallbacks": [Fallback("other", when=["timeout"])]}}
    hold(run, tmp_path, {"up": up, "other": other}, sections, script)


def test_a_fallback_that_cannot_be_paid_leaves_the_answer_as_it_came(run, tmp_path):
    up = Upstreams((BUSY, b"x-request-id: r-1\r\n"))
    budget = Budget("only", usd=1.0, match={"upstream": "other"}, unpriced="refuse")
    sections = {"up": {"retry": Retry(attempts=1), "fallbacks": [Fallback("other", {"m": "unknown-model"})]}}

    async def script(site):
        status, fields, _ = await call(site)
        assert (status, fields["x-request-id"]) == (503, "r-1")
        record = await site.record()
        assert (record["outcome"], record["upstream"], record["model_asked"], record["cost_nano_usd"]) == ("upstream_error", "up", "m", 0)

    hold(run, tmp_path, {"up": up, "other": Upstreams()}, sections, script, budgets=[budget])


def test_a_fallback_that_cannot_be_paid_leaves_the_failure_of_the_first(run, tmp_path):
    budget = Budget("only", calls=0, match={"upstream": "other"})

    async def script(site):
        status, fields, _ = await call(site)
        assert (status, fields["x-weighbridge-error"]) == (502, "upstream_unreachable")
        record = await site.record()
        assert (record["outcome"], record["upstream"], record["tried"]) == ("upstream_unreachable", "up", "up unreachable")

    sections = {"up": {"retry": Retry(attempts=1), "fallbacks": [Fallback("other")]}}
    hold(run, tmp_path, {"up": None, "other": Upstreams()}, sections, script, budgets=[budget])


def test_a_slow_rest_of_an_answer_that_is_given_up_is_not_waited_for(run, tmp_path, monkeypatch):
    monkeypatch.setattr("proxy.dataplane.attempt._DOOMED_S", 0.02)
    never = asyncio.Event()

    async def drip(exchange):
        await exchange.send(b"HTTP/1.1 503 Busy\r\nContent-Type: application/json\r\nContent-Length: 900\r\n\r\n{")
        await never.wait()

    async def script(site):
        asking = asyncio.create_task(call(site))
        async with asyncio.timeout(5):
            while not asking.done():
                site.plane.tick()
                await asyncio.sleep(0.01)
        assert (await asking)[0] == 200
        never.set()

    hold(run, tmp_path, {"up": Upstreams(drip, answer(40, 60))}, {"up": {"retry": Retry(when=["overloaded"], backoff_s=0)}}, script)


def test_a_port_that_refuses_is_left_alone(run, tmp_path):
    async def script(site):
        assert [(await call(site))[1]["x-weighbridge-error"] for _ in range(3)] == ["upstream_unreachable"] * 2 + ["upstream_open"]

    sections = {"up": {"retry": Retry(attempts=1), "breaker": Breaker(share=0.5, least_calls=2)}}
    hold(run, tmp_path, {"up": None}, sections, script)


def test_an_order_ends_a_call_that_waits(run, tmp_path):
    up = Upstreams((BUSY, b"Retry-After: 5\r\n"))

    async def script(site):
        asking = asyncio.create_task(call(site))
        async with asyncio.timeout(5):
            while not (waiting := [one for one in site.plane.traffic.in_flight if type(one).__name__ == "Pause"]):
                await asyncio.sleep(0.005)
            waiting[0].end_by_order(Refusal("policy_killed", "Ended."))
            assert (await asking)[1]["x-weighbridge-error"] == "policy_killed"

    hold(run, tmp_path, {"up": up}, {"up": {"retry": Retry(when=["overloaded"])}}, script)
