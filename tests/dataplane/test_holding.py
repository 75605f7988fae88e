"""Which calls a gate concerns, what the control plane is told of an answer, and the bound of all that is held."""

from __future__ import annotations

import asyncio
import json

import msgspec
import pytest

from proxy.call import Answer, Ask, Call, Hold, Identity, Kind, Reading
from proxy.dataplane import holding
from proxy.dataplane.holding import Holding, describe
from proxy.reviewed import Held
from proxy.reviewing import Review, ReviewGate
from tests.dataplane.conftest import post
from tests.dataplane.test_gated import ANSWER, CHAT, PATH, open_gate, rule, split, wait_for

KEY = "sk-presented-key"


@pytest.mark.parametrize(
    ("path", "ask"),
    [
        (PATH, {**CHAT, "stream": True}),
        ("/a/press-1/up/v1beta/models/g:streamGenerateContent?alt=sse", {"contents": []}),
        ("/a/press-1/up/model/m/converse-stream", {"messages": []}),
    ],
)
def test_a_stream_is_refused_before_anything_goes_upstream(run, tmp_path, path, ask):
    async def flow() -> None:
        async with open_gate(tmp_path) as (site, told):
            head, _ = split(await site.ask(post(path, json.dumps(ask).encode())))
            assert head.startswith(b"HTTP/1.1 403") and b"policy_review_stream" in head and b"x-should-retry: false" in head
            record = await site.record()
            assert (record["outcome"], record.get("cost_nano_usd")) == ("policy_review_stream", 0) and not site.events("opened") and not told

    run(flow())


def test_a_socket_is_refused_and_what_holds_no_output_passes(run, tmp_path):
    async def flow() -> None:
        async with open_gate(tmp_path) as (site, told):
            upgrade = b"GET /a/press-1/up/v1/realtime HTTP/1.1\r\nHost: proxy\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
            reader, writer = await site.connect()
            writer.write(upgrade)
            assert b"policy_review_stream" in await reader.readuntil(b"\r\n\r\n")
            writer.close()
            for path in ("/a/press-1/up/v1/embeddings", "/a/press-1/up/v1/batches"):
                assert (await site.ask(post(path, b'{"model": "m", "input": "x"}'))).startswith(b"HTTP/1.1 200")
            assert not told

    run(flow())


def test_what_is_held_has_a_bound(run, tmp_path, monkeypatch):
    monkeypatch.setattr(holding, "_MOST_BYTES", len(ANSWER) + 10)

    async def flow() -> None:
        async with open_gate(tmp_path) as (site, told):
            first = asyncio.create_task(site.ask(post(PATH, json.dumps(CHAT).encode())))
            await wait_for(lambda: told)
            head, _ = split(await site.ask(post(PATH, json.dumps(CHAT).encode())))
            assert head.startswith(b"HTTP/1.1 403") and b"policy_review_full" in head
            rule(site, tmp_path, told[0].id, "approved")
            assert (await first).endswith(ANSWER) and site.plane.traffic.holding.bytes == 0

    run(flow())


class Waiting:
    """An answer that is held."""

    def __init__(self, **reading: object) -> None:
        who = Identity(agent="press-1", rung="path", task="t")
        self.call = Call(
            id="c1", started_ns=1, method="POST", path="/v1/chat/completions", identity=who, kind=Kind("openai.chat", "chat", json_body=True),
            ask=Ask(model="m"), answer=Answer(), reading=Reading(**reading), hold=Hold("press", 5.0, False), presented=(KEY,),
        )  # fmt: skip
        self.size, self.body = 10, b"bytes of a strange answer"

    def rule(self, ruling: object) -> None:
        raise AssertionError("nobody decides here")


def test_a_reviewer_sees_no_credential_and_the_bytes_where_nothing_was_read() -> None:
    one = Waiting(text=f"the key is {KEY}", tools=[("send", f"{{'key': '{KEY}'}}")])
    one.call.body = f"my key is {KEY}".encode()
    held = describe(one, 1, 5.0)
    assert KEY not in msgspec.json.encode(held).decode() and held.text.startswith("the key is ") and held.until_ns == 1 + 5 * 10**9
    assert describe(Waiting(), 1, 5.0).text == "bytes of a strange answer"


def test_whatever_is_held_fits_into_one_datagram() -> None:
    one = Waiting(text="\u4e2d" * 65536, tools=[("f", "\u4e2d" * 65536), ("g", "x" * 65536)])
    one.call.body = b"y" * 65536
    assert len(msgspec.msgpack.encode(describe(one, 1, 5.0))) < 160 * 1024
    assert describe(Waiting(text="lone \udcff"), 1, 5.0).text == "lone ?"


def test_the_control_plane_is_told_again_until_there_is_a_decision() -> None:
    now, told = [0.0], []
    gates = Holding(Review(gates=[ReviewGate("press", {"agent": "*"})]), told.append, lambda: now[0])
    one = Waiting(text="x")
    assert gates.has_room(one.size)
    gates.enter(one, 5.0)
    for now[0] in (1.0, 2.0, 3.0, 4.0):
        gates.tick()
    assert [held.id for held in told] == ["c1"] * 3
    gates.leave(one)
    now[0] = 9.0
    gates.tick()
    assert len(told) == 3 and gates.bytes == 0 and isinstance(told[0], Held)


@pytest.mark.parametrize(
    ("method", "operation", "is_held"),
    [
        ("POST", "chat", True), ("GET", "chat", True), ("GET", "other", True), ("GET", "batches", True), ("GET", "files", True),
        ("POST", "speech", True), ("POST", "batches", False), ("DELETE", "files", False), ("POST", "embeddings", False), ("GET", "models", False),
        ("HEAD", "chat", False),
    ],
)  # fmt: skip
def test_all_that_may_hold_output_is_held(method: str, operation: str, is_held: bool) -> None:
    gates = Holding(Review(gates=[ReviewGate("press", {"agent": "press-*"}, 9.0, "release")]), lambda held: None)
    call = Waiting().call
    call.hold, call.method, call.kind = None, method, Kind("openai.chat", operation)
    gates.meet(call, is_socket=False)
    assert call.hold == (Hold("press", 9.0, True) if is_held else None)
    gates.configure(Review())
    assert gates.is_idle
