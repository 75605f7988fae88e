"""A gate through real sockets: an answer is held, approved, rejected, timed out, dropped and left, in the dialect of each client."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from proxy.config import Config, Upstream
from proxy.dataplane import holding
from proxy.orders import Orders, Ruling, write_orders
from proxy.reviewed import Held
from proxy.reviewing import Review, ReviewGate
from proxy.routes import Hedge
from tests.dataplane.conftest import Exchange, Script, Site, open_plane, open_site, post, serve_script

CHAT = {"model": "m", "messages": [{"role": "user", "content": "Write to the press."}]}
TEXT = "We regret nothing."
ANSWER = json.dumps({
    "id": "r1", "object": "chat.completion", "model": "m", "usage": {"prompt_tokens": 5, "completion_tokens": 4, "total_tokens": 9},
    "choices": [{"index": 0, "message": {"role": "assistant", "content": TEXT}, "finish_reason": "stop"}],
}).encode()  # fmt: skip
PRESS = ReviewGate("press", {"agent": "press-*"})
PATH = "/a/press-1/up/v1/chat/completions"


async def answer(exchange: Exchange) -> None:
    await exchange.read_request()
    await exchange.reply(ANSWER)


@contextlib.asynccontextmanager
async def open_gate(folder: Path, script: Script = answer, gate: ReviewGate = PRESS) -> AsyncIterator[tuple[Site, list[Held]]]:
    """A site with one gate, and what the control plane is told."""
    async with open_site(folder, script, review=Review(gates=[gate])) as site:
        told: list[Held] = []
        site.plane.traffic.holding._tell = told.append
        yield site, told


async def wait_for(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.002)


def rule(site: Site, folder: Path, call: str, state: str, note: str = "") -> None:
    """What the control plane publishes, and the data plane's next look at it."""
    write_orders(folder / "orders.json", Orders(reviews={call: Ruling(state=state, at_ns=1, note=note)}))
    site.plane.look()


def split(response: bytes) -> tuple[bytes, dict]:
    head, _, body = response.partition(b"\r\n\r\n")
    return head, json.loads(body)


def test_an_answer_is_held_until_it_is_approved_and_then_passes_as_it_came(run, tmp_path):
    async def flow() -> None:
        async with open_gate(tmp_path) as (site, told):
            asking = asyncio.create_task(site.ask(post(PATH, json.dumps(CHAT).encode())))
            await wait_for(lambda: told)
            (held,) = told
            assert (held.gate, held.agent, held.model, held.text, held.finish, held.is_cut) == ("press", "press-1", "m", TEXT, "stop", False)
            assert "Write to the press." in held.request and held.until_ns - held.at_ns == 300 * 10**9
            assert not asking.done() and not site.events("call"), "nothing has left, and nothing is settled"
            rule(site, tmp_path, "another-call", "approved")
            assert not asking.done()
            rule(site, tmp_path, held.id, "approved")
            response = await asking
            assert response.endswith(b"\r\n\r\n" + ANSWER) and response.startswith(b"HTTP/1.1 200")
            record = await site.record()
            assert (record["outcome"], record["status"], record["gate"], record["output_tokens"]) == ("ok", 200, "press", 4)
            assert 0 < record["held_ns"] < record["duration_ns"]
            assert site.plane.traffic.holding.bytes == 0
            assert (await site.ask(post("/a/other/up/v1/chat/completions", json.dumps(CHAT).encode()))).endswith(ANSWER), "no gate concerns it"
            assert len(told) == 1

    run(flow())


DIALECTS = {
    "openai": (PATH, CHAT, lambda body: (body["error"]["type"], body["error"]["code"])),
    "anthropic": ("/a/press-1/claude/v1/messages", {**CHAT, "max_tokens": 9}, lambda body: (body["error"]["type"], body["error"]["code"])),
    "gemini": (
        "/a/press-1/gem/v1beta/models/g:generateContent",
        {"contents": [{"parts": [{"text": "Write."}]}]},
        lambda body: (body["error"]["status"], body["error"]["details"][0]["reason"]),
    ),
    "cohere": ("/a/press-1/co/v2/chat", CHAT, lambda body: ("", body["code"])),
    "ollama": ("/a/press-1/llama/api/chat", {**CHAT, "stream": False}, lambda body: ("", body["code"])),
    "bedrock": (
        "/a/press-1/rock/model/m/converse",
        {"messages": [{"role": "user", "content": [{"text": "Write."}]}]},
        lambda body: ("", body["code"]),
    ),
}
KINDS = {"openai": "permission_error", "anthropic": "permission_error", "gemini": "PERMISSION_DENIED"}
UPSTREAMS = {"up": "openai", "claude": "anthropic", "gem": "gemini", "co": "cohere", "llama": "ollama", "rock": "bedrock"}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_rejection_and_the_end_of_the_wait_are_terminal_in_every_dialect(run, tmp_path, dialect):
    path, ask, read = DIALECTS[dialect]

    async def flow() -> None:
        async with serve_script(answer) as url:
            upstreams = {name: Upstream(url=url, dialect=spoken) for name, spoken in UPSTREAMS.items()}  # type: ignore[arg-type]
            config = Config(state_dir=str(tmp_path), demo=False, upstreams=upstreams, review=Review(gates=[PRESS]))
            async with open_plane(config, tmp_path) as site:
                told: list[Held] = []
                site.plane.traffic.holding._tell = told.append
                for number, name in enumerate(("policy_review_rejected", "policy_review_timeout"), 1):
                    asking = asyncio.create_task(site.ask(post(path, json.dumps(ask).encode())))
                    await wait_for(lambda number=number: len(told) == number)
                    if name == "policy_review_rejected":
                        rule(site, tmp_path, told[-1].id, "rejected", "too harsh")
                    else:
                        for relay in list(site.plane.traffic.in_flight):
                            relay.expire(relay._whole_at + 299.0, 600.0, 300.0)
                        assert not asking.done()
                        for relay in list(site.plane.traffic.in_flight):
                            relay.expire(relay._whole_at + 300.0, 600.0, 300.0)
                    head, body = split(await asking)
                    assert head.startswith(b"HTTP/1.1 403") and b"x-should-retry: false" in head and name.encode() in head
                    assert read(body) == (KINDS.get(dialect, ""), name)
                    assert ("too harsh" in json.dumps(body)) == (name == "policy_review_rejected")
                    record = await site.record(number)
                    assert (record["outcome"], record["status"], record["gate"]) == (name, 403, "press")

    run(flow())


def test_what_is_rejected_is_charged_for_the_provider_bills_it(run, tmp_path):
    async def flow() -> None:
        async with open_gate(tmp_path) as (site, told):
            asking = asyncio.create_task(site.ask(post(PATH, json.dumps({**CHAT, "model": "gpt-4o"}).encode())))
            await wait_for(lambda: told)
            rule(site, tmp_path, told[0].id, "rejected")
            await asking
            record = await site.record()
            assert (record["input_tokens"], record["output_tokens"], record["usage_source"]) == (5, 4, "reported")

    run(flow())


def test_a_gate_may_release_what_nobody_has_reviewed(run, tmp_path):
    async def flow() -> None:
        async with open_gate(tmp_path, gate=ReviewGate("press", {"agent": "press-*"}, 5.0, "release")) as (site, told):
            asking = asyncio.create_task(site.ask(post(PATH, json.dumps(CHAT).encode())))
            await wait_for(lambda: told)
            for relay in list(site.plane.traffic.in_flight):
                relay.expire(relay._whole_at + 5.0, 600.0, 300.0)
            assert (await asking).endswith(ANSWER)
            assert (await site.record())["outcome"] == "ok"

    run(flow())


def test_an_error_of_the_provider_passes_at_once(run, tmp_path):
    async def script(exchange: Exchange) -> None:
        await exchange.read_request()
        await exchange.reply(b'{"error": {"message": "no"}}', status=b"400 Bad Request")

    async def flow() -> None:
        async with open_gate(tmp_path, script) as (site, told):
            assert (await site.ask(post(PATH, json.dumps(CHAT).encode()))).startswith(b"HTTP/1.1 400")
            assert not told and (await site.record())["outcome"] == "upstream_error"

    run(flow())


def test_an_answer_in_pieces_of_any_kind_is_held_whole(run, tmp_path):
    """Chunks, an event stream that nobody asked for, and what no reader understands: a reviewer sees the bytes."""
    pieces = [b"data: one\n\n", b"data: two\n\n"]

    async def script(exchange: Exchange) -> None:
        await exchange.read_request()
        await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        for piece in pieces:
            await exchange.send(b"%x\r\n%b\r\n" % (len(piece), piece))
        await exchange.send(b"0\r\n\r\n")

    async def flow() -> None:
        async with open_gate(tmp_path, script) as (site, told):
            asking = asyncio.create_task(site.ask(b"GET /a/press-1/up/v1/strange HTTP/1.1\r\nHost: proxy\r\nConnection: close\r\n\r\n"))
            await wait_for(lambda: told)
            assert told[0].text == "data: one\n\ndata: two\n\n"
            rule(site, tmp_path, told[0].id, "approved")
            assert (await asking).split(b"\r\n\r\n", 1)[1] == b"b\r\ndata: one\n\n\r\nb\r\ndata: two\n\n\r\n0\r\n\r\n"

    run(flow())


def test_a_client_that_leaves_is_recorded_and_nothing_is_held_any_more(run, tmp_path):
    async def flow() -> None:
        async with open_gate(tmp_path) as (site, told):
            _, writer = await site.connect()
            writer.write(post(PATH, json.dumps(CHAT).encode(), connection=b"keep-alive"))
            await wait_for(lambda: told)
            writer.close()
            record = await site.record()
            assert (record["outcome"], record["output_tokens"]) == ("caller_gone", 4)
            assert (site.plane.traffic.holding.bytes, site.plane.traffic.holding._whole, site.plane.traffic.in_flight) == (0, {}, set())

    run(flow())


def test_an_answer_that_breaks_off_while_it_comes_is_a_refusal(run, tmp_path):
    async def script(exchange: Exchange) -> None:
        await exchange.read_request()
        await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{")

    async def flow() -> None:
        async with open_gate(tmp_path, script) as (site, told):
            head, _ = split(await site.ask(post(PATH, json.dumps(CHAT).encode())))
            assert head.startswith(b"HTTP/1.1 502") and b"upstream_cut" in head and not told
            assert site.plane.traffic.holding.bytes == 0

    run(flow())


def test_an_order_and_the_stop_end_what_is_held(run, tmp_path):
    async def script(exchange: Exchange) -> None:
        while True:
            await exchange.read_request()
            await exchange.reply(ANSWER)

    async def flow() -> None:
        async with open_gate(tmp_path, script) as (site, told):
            asking = asyncio.create_task(site.ask(post(PATH, json.dumps(CHAT).encode())))
            await wait_for(lambda: told)
            (relay,) = site.plane.traffic.in_flight
            relay.client_paused(True)  # nothing is written, and the upstream's connection is not its own any more
            assert relay._connection.transport.is_reading()
            relay.expire(relay._whole_at + 299.0, 1.0, 1.0)
            assert relay.end_in_band(holding.Refusal("weighbridge_stopping", "Try again."))
            assert b"HTTP/1.1 503" in await asking and (await site.record())["outcome"] == "weighbridge_stopping"

    run(flow())


def test_a_hedged_attempt_is_held_under_the_id_that_the_call_has_then(run, tmp_path):
    turns = iter(range(9))

    async def script(exchange: Exchange) -> None:
        await exchange.read_request()
        if next(turns) == 0:
            await exchange.reader.read()  # the first attempt never answers
        await exchange.reply(ANSWER)

    async def flow() -> None:
        async with serve_script(script) as url:
            upstreams = {"up": Upstream(url=url, hedge=Hedge(after_s=0.01, share=1.0, kinds=["chat"]))}
            config = Config(state_dir=str(tmp_path), demo=False, upstreams=upstreams, review=Review(gates=[PRESS]))
            async with open_plane(config, tmp_path) as site:
                told: list[Held] = []
                site.plane.traffic.holding._tell = told.append
                asking = asyncio.create_task(site.ask(post(PATH, json.dumps(CHAT).encode())))
                await wait_for(lambda: told)
                rule(site, tmp_path, told[0].id, "approved")
                response = await asking
                assert response.endswith(ANSWER) and f"x-weighbridge-call: {told[0].id}".encode() in response

    run(flow())
