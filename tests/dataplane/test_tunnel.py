"""WebSockets through the data plane: aiohttp's own client and server at the ends, with compression agreed between them."""

import asyncio
import contextlib
import json

import aiohttp
import pytest
from aiohttp import web

from proxy.config import Config, Limits, Upstream
from proxy.dataplane import tunnel
from proxy.dataplane.edge import EdgeServer
from proxy.dataplane.plane import DataPlane
from proxy.dataplane.samples import SampleSender
from tests.dataplane.conftest import open_site as open_raw_site

TRAFFIC: list = []  # of the sites opened, the newest last
CREATE = {"type": "response.create", "model": "gpt-5", "input": "hi " * 50}
USAGE = {"input_tokens": 7, "output_tokens": 3, "total_tokens": 10}


def events(number: int) -> list[dict]:
    identity = {"id": f"resp_{number}", "model": "gpt-5-2025-08-07"}
    return [
        {"type": "response.created", "response": {**identity, "status": "in_progress"}},
        {"type": "response.output_text.delta", "delta": "hello " * 30, "output_index": 0, "content_index": 0},
        {"type": "response.completed", "response": {**identity, "status": "completed", "usage": USAGE, "output": []}},
    ]


@contextlib.asynccontextmanager
async def open_site(folder, answer):
    """(the base URL of a data plane before a WebSocket upstream, what the journal holds)."""

    async def meet(request: web.Request) -> web.StreamResponse:
        if "refuse" in request.query:
            return web.json_response({"error": {"message": "no"}}, status=401)
        socket = web.WebSocketResponse(compress=True)
        await socket.prepare(request)
        await answer(socket)
        return socket

    application = web.Application()
    application.router.add_get("/v1/responses", meet)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    plane = DataPlane(Config(state_dir=str(folder), demo=False, upstreams={"up": Upstream(url=url)}), None)
    TRAFFIC.append(plane.traffic)
    server = EdgeServer(plane.answer, Limits())
    listening = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0)

    def records() -> list[dict]:
        lines = b"".join(path.read_bytes() for path in sorted((folder / "journal").iterdir())).splitlines()
        return [event["call"] for event in map(json.loads, lines) if "call" in event]

    try:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/a/socketeer/up/v1/responses", records
    finally:
        listening.close()
        await server.shutdown(0.1)
        plane.close()
        await runner.cleanup()


async def until(condition) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.005)


async def respond(socket: web.WebSocketResponse) -> None:
    number = 0
    async for message in socket:
        assert json.loads(message.data) == CREATE
        for event in events(number):
            await socket.send_str(json.dumps(event))
        number += 1


@pytest.mark.parametrize("compress", [0, 15])
def test_each_response_on_a_socket_is_a_call(run, tmp_path, compress):
    async def main():
        async with open_site(tmp_path, respond) as (url, records), aiohttp.ClientSession() as session:
            async with session.ws_connect(url, compress=compress) as socket:
                for number in range(2):
                    await socket.send_str(json.dumps(CREATE))
                    got = [json.loads((await socket.receive()).data) for _ in range(3)]
                    assert got == events(number)
            await until(lambda: len(records()) == 2)
        for number, record in enumerate(records()):
            want = {"agent": "socketeer", "transport": "websocket", "outcome": "ok", "input_tokens": 7, "output_tokens": 3}
            want["response_id"] = f"resp_{number}"
            assert {name: record.get(name) for name in want} == want
            assert record["model"] == "gpt-5-2025-08-07" and record["first_token_ns"] > 0 and record["stream"]

    run(main())


def test_an_upstream_that_breaks_off_leaves_a_cut_call(run, tmp_path):
    async def answer(socket):
        await socket.receive()
        await socket.send_str(json.dumps(events(0)[0]))
        await socket.send_str(json.dumps(events(0)[1]))
        socket._req.transport.close()

    async def main():
        async with open_site(tmp_path, answer) as (url, records), aiohttp.ClientSession() as session:
            async with session.ws_connect(url) as socket:
                await socket.send_str(json.dumps(CREATE))
                for _ in range(2):
                    await socket.receive()
                message = await socket.receive(5)
                assert message.type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.ERROR)
            await until(records)
        (record,) = records()
        assert record["outcome"] == "upstream_cut" and record["output_bytes"] == 180

    run(main())


def test_a_client_that_leaves_without_a_word_after_its_answers_leaves_no_record_of_the_socket(run, tmp_path):
    async def main():
        left = asyncio.Event()

        async def answer(socket):
            await respond(socket)
            left.set()

        async with open_site(tmp_path, answer) as (url, records), aiohttp.ClientSession() as session:
            socket = await session.ws_connect(url)
            await socket.send_str(json.dumps(CREATE))
            for _ in range(3):
                await socket.receive()
            socket._response.connection.transport.abort()
            await asyncio.wait_for(left.wait(), 1)
        assert [record["outcome"] for record in records()] == ["ok"]

    run(main())


def test_a_client_that_leaves_ends_the_call_and_the_upstream(run, tmp_path):
    left = asyncio.Event()

    async def answer(socket):
        await socket.receive()
        await socket.send_str(json.dumps(events(0)[0]))
        await socket.receive()
        left.set()

    async def main():
        async with open_site(tmp_path, answer) as (url, records), aiohttp.ClientSession() as session:
            socket = await session.ws_connect(url)
            await socket.send_str(json.dumps(CREATE))
            await socket.receive()
            socket._response.connection.transport.abort()
            await asyncio.wait_for(left.wait(), 1)
            await until(records)
            assert records()[0]["outcome"] == "caller_gone"

    run(main())


def test_a_refused_upgrade_is_relayed_as_it_came(run, tmp_path):
    async def main():
        async with open_site(tmp_path, respond) as (url, records), aiohttp.ClientSession() as session:
            with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
                await session.ws_connect(url + "?refuse=1")
            assert caught.value.status == 401
            await until(records)
            assert (records()[0]["outcome"], records()[0]["status"]) == ("upstream_error", 401)

    run(main())


def test_a_socket_without_calls_leaves_one_record(run, tmp_path):
    async def answer(socket):
        await socket.close()

    async def main():
        async with open_site(tmp_path, answer) as (url, records), aiohttp.ClientSession() as session:
            async with session.ws_connect(url) as socket:
                await socket.receive()
            await until(records)
            assert [(one["transport"], one["status"]) for one in records()] == [("websocket", 101)]

    run(main())


@pytest.mark.parametrize("held", [False, True])
def test_bytes_right_behind_the_upgrade_and_its_answer_pass_whole(run, tmp_path, held):
    frame = b"\x82\x7f" + (3_000_000).to_bytes(8, "big") + b"z" * 3_000_000
    go, got = asyncio.Event(), []

    async def script(exchange):
        await exchange.reader.readuntil(b"\r\n\r\n")
        if held:  # meanwhile more of the client's bytes come than the edge keeps
            await go.wait()
        await exchange.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n\x82\x06behind")
        got.append(await exchange.reader.readexactly(1_000_000))
        await exchange.send(b"\x82\x04half")  # now more than one pause lies behind
        got.append(await exchange.reader.readexactly(len(frame) - 1_000_000))
        await exchange.send(b"\x88\x00")

    async def main():
        async with open_raw_site(tmp_path, script) as site:
            reader, writer = await site.connect()
            head = b"GET /up/v1/responses HTTP/1.1\r\nHost: p\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n"
            writer.write(head + frame)
            if held:
                edge = None
                while edge is None or not edge._buffer_paused:
                    await asyncio.sleep(0.001)
                    edge = next((relay._edge for relay in site.plane.traffic.in_flight), None)
                go.set()
            async with asyncio.timeout(5):
                answer = await reader.read()
            writer.close()
            assert answer.startswith(b"HTTP/1.1 101 ") and answer.endswith(b"\r\n\r\n\x82\x06behind\x82\x04half\x88\x00")
            assert b"".join(got) == frame

    run(main())


def test_a_socket_may_rest_between_calls_and_not_within_one(run, tmp_path):
    async def answer(socket):
        await respond_once(socket)
        await socket.receive()
        await socket.send_str(json.dumps(events(1)[0]))
        await socket.receive()

    async def respond_once(socket):
        await socket.receive()
        for event in events(0):
            await socket.send_str(json.dumps(event))

    async def main():
        async with open_site(tmp_path, answer) as (url, records), aiohttp.ClientSession() as session, session.ws_connect(url) as socket:
            await socket.send_str(json.dumps(CREATE))
            for _ in range(3):
                await socket.receive()
            await until(records)
            (open_tunnel,) = TRAFFIC[-1].in_flight
            open_tunnel.expire(open_tunnel.last_activity + 1000, 1, 1)
            await socket.send_str(json.dumps(CREATE))
            assert json.loads((await socket.receive()).data) == events(1)[0], "a rest of 1000 s ended nothing"
            open_tunnel.expire(open_tunnel.last_activity + 1000, 1, 1)
            await until(lambda: len(records()) == 2)
        assert [one["outcome"] for one in records()] == ["ok", "upstream_timeout"]

    run(main())


@pytest.mark.parametrize("side", ["client", "server"])
def test_a_socket_reader_that_fails_touches_no_message(run, tmp_path, monkeypatch, side):
    class Failing:
        first_token = False

        def client(self, message):
            return 1 / 0 if side == "client" else []

        def server(self, message):
            return 1 / 0

        def end(self):
            return 1 / 0

    monkeypatch.setattr(tunnel, "open_socket_reader", lambda kind: Failing())

    async def main():
        async with open_site(tmp_path, respond) as (url, records), aiohttp.ClientSession() as session:
            async with session.ws_connect(url, compress=15) as socket:
                for number in range(2):
                    await socket.send_str(json.dumps(CREATE))
                    assert [json.loads((await socket.receive(5)).data) for _ in range(3)] == events(number)
            await until(records)

    run(main())


def test_each_call_on_a_socket_is_handed_over_to_be_inspected(run, tmp_path, monkeypatch):
    sent = []
    monkeypatch.setattr(SampleSender, "send", lambda _, sample: sent.append(sample))

    async def main():
        async with open_site(tmp_path, respond) as (url, records), aiohttp.ClientSession() as session, session.ws_connect(url) as socket:
            for number in range(2):
                await socket.send_str(json.dumps(CREATE))
                await until(lambda number=number: len(records()) == number + 1)

    run(main())
    assert [(one.is_inspected, one.is_lesson, one.agent, json.loads(one.request)) for one in sent] == [(True, False, "socketeer", CREATE)] * 2
    assert [one.text for one in sent] == ["hello " * 30] * 2
    assert TRAFFIC[-1]._settler._samples._kept_bytes == 0
