"""Clients that are slow, silent or leave: each is ended in its time, what it asked is cancelled, and nobody else waits for it."""

from __future__ import annotations

import asyncio
import contextlib
import json

import pytest

from proxy.config import Limits
from proxy.dataplane import watch
from tests.faults.ground import ASK, CHAT, CONTINUE, Exchange, Ground, answer_to, open_ground, read_answer, request

CALL = request(1)
UPLOAD = b"POST /up/v1/files HTTP/1.1\r\nHost: p\r\nx-number: 1\r\nConnection: close\r\n"
STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def outcomes(ground: Ground) -> list[str]:
    lines = b"".join(path.read_bytes() for path in sorted((ground.folder / "journal").iterdir())).splitlines()
    return [event["call"]["outcome"] for event in map(json.loads, lines) if "call" in event]


async def read_all(reader: asyncio.StreamReader) -> bytes:
    got = b""
    with contextlib.suppress(ConnectionError):
        while piece := await reader.read(1 << 20):
            got += piece
    return got


HEADS = {
    "one letter": b"P",
    "half a request line": CALL[:20],
    "a request line": CALL[: CALL.index(b"\r\n") + 2],
    "half a field": CALL[:60],
    "all but a blank line": CALL[: CALL.index(b"\r\n\r\n") + 2],
    "all but a line feed": CALL[: CALL.index(b"\r\n\r\n") + 3],
    "empty lines": b"\r\n\r\n\r\n\r\n",
}


@pytest.mark.parametrize("name", HEADS)
def test_a_head_that_does_not_come_is_given_up(run, tmp_path, name):
    async def main():
        async with open_ground(tmp_path, limits=Limits(head_s=0.05)) as ground:
            reader, writer = await ground.connect()
            writer.write(HEADS[name])
            answer = asyncio.create_task(read_all(reader))
            await ground.turn_until(answer.done)
            assert b"HTTP/1.1 408 Request Timeout\r\n" in answer.result() and b"caller_too_slow" in answer.result()
            writer.close()
            ground.numbers = iter(range(10, 20))
            await ground.check()

    run(main())


def test_many_slow_heads_hold_nobody_up(run, tmp_path):
    async def main():
        async with open_ground(tmp_path, limits=Limits(head_s=0.3)) as ground:
            slow = [await ground.connect() for _ in range(200)]
            for index, (_, writer) in enumerate(slow):
                writer.write(CALL[: 1 + index % 100])
            ground.numbers = iter(range(10, 20))
            await ground.check()
            await ground.turn_until(lambda: not ground.server.connections)
            for _, writer in slow:
                writer.close()

    run(main())


@pytest.mark.parametrize("behind", [b"", CALL[:30]], ids=["nothing", "half a head"])
@pytest.mark.parametrize("first", [b"", request(2, connection=b"keep-alive")], ids=["at first", "behind a call"])
def test_a_connection_on_which_nothing_goes_on_is_closed(run, tmp_path, first, behind):
    async def main():
        async with open_ground(tmp_path, limits=Limits(idle_client_s=0.05)) as ground:
            asked = asyncio.create_task(ground.ask(first + behind))
            await ground.turn_until(asked.done)
            assert bool(asked.result()) == bool(first)
            ground.numbers = iter(range(10, 20))
            await ground.check()

    run(main())


BODIES = {
    "JSON, no byte of it": (CALL[: -len(ASK)], False),
    "JSON, half of it": (CALL[:-20], False),
    "JSON, no chunk": (b"POST %b HTTP/1.1\r\nHost: p\r\nx-number: 1\r\nTransfer-Encoding: chunked\r\n\r\n" % CHAT, False),
    "JSON, half a chunk": (b"POST %b HTTP/1.1\r\nHost: p\r\nx-number: 1\r\nTransfer-Encoding: chunked\r\n\r\n40\r\n{" % CHAT, False),
    "JSON, no last chunk": (b"POST %b HTTP/1.1\r\nHost: p\r\nx-number: 1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n" % CHAT, False),
    "JSON, awaited by 100": (b"POST %b HTTP/1.1\r\nHost: p\r\nx-number: 1\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n" % CHAT, False),
    "upload, no byte of it": (UPLOAD + b"Content-Length: 99\r\n\r\n", True),
    "upload, half of it": (UPLOAD + b"Content-Length: 99\r\n\r\nhalf", True),
    "upload, half a chunk": (UPLOAD + b"Transfer-Encoding: chunked\r\n\r\n9\r\nhalf", True),
    "upload, no last chunk": (UPLOAD + b"Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", True),
}


@pytest.mark.parametrize("name", BODIES)
def test_a_body_that_does_not_come_is_given_up(run, tmp_path, name):
    data, _ = BODIES[name]

    async def main():
        async with open_ground(tmp_path, limits=Limits(body_s=0.05)) as ground:
            reader, writer = await ground.connect()
            writer.write(data)
            got = await asyncio.wait_for(reader.readuntil(b"caller_too_slow\r\n"), 5)
            assert got.removeprefix(CONTINUE).startswith(b"HTTP/1.1 408 ")
            writer.close()
            await ground.turn_until(lambda: not ground.plane.traffic.in_flight)
            assert not ground.asked and outcomes(ground) == ["caller_too_slow"]
            ground.numbers = iter(range(10, 20))
            await ground.check()

    run(main())


@pytest.mark.parametrize("name", [*HEADS, *BODIES])
def test_a_client_that_leaves_within_its_request_leaves_nothing_behind(run, tmp_path, name):
    data = HEADS.get(name) or BODIES[name][0]

    async def main():
        async with open_ground(tmp_path) as ground:
            _, writer = await ground.connect()
            writer.write(data)
            await ground.turn_until(lambda: any(one in one._watch._heads or one._request_count for one in ground.server.connections))
            writer.transport.abort()
            await ground.turn_until(lambda: not (ground.server.connections or ground.plane.traffic.in_flight))
            assert not ground.asked
            ground.numbers = iter(range(10, 20))
            await ground.check()

    run(main())


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200", STREAM, STREAM + b"4\r\nhalf\r\n", STREAM + b"9\r\nhalf"], ids=len)
@pytest.mark.parametrize("half", [False, True], ids=["reset", "half-closed"])
def test_a_client_that_leaves_within_its_answer_has_its_call_cancelled(run, tmp_path, answer, half):
    gone = asyncio.Event()

    async def until_it_ends(exchange: Exchange) -> None:
        with contextlib.suppress(ConnectionError):
            assert await exchange.reader.read() == b""
        gone.set()

    async def main():
        async with open_ground(tmp_path, (answer, until_it_ends)) as ground:
            reader, writer = await ground.connect()
            writer.write(request(1, b"x-fault: 1\r\n"))
            if answer.startswith(STREAM):
                await reader.readuntil(b"\r\n\r\n")
            await ground.turn_until(lambda: ground.asked[1])
            if half:
                writer.write_eof()
            else:
                writer.transport.abort()
            await asyncio.wait_for(gone.wait(), 3)
            await ground.turn_until(lambda: outcomes(ground) == ["caller_gone"])
            writer.close()
            ground.numbers = iter(range(10, 20))
            await ground.check()

    run(main())


async def flood(exchange: Exchange) -> None:
    await exchange.send(STREAM)
    while True:
        await exchange.send(b"10000\r\n" + b"x" * 65536 + b"\r\n")


def test_a_reader_that_takes_nothing_is_cut_and_its_call_cancelled(run, tmp_path):
    async def main():
        async with open_ground(tmp_path, (flood,), limits=Limits(write_idle_s=0.2)) as ground:
            reader, writer = await ground.connect()
            writer.transport.pause_reading()
            writer.write(request(1, b"x-fault: 1\r\n"))
            await ground.turn_until(lambda: ground.plane.traffic.in_flight)
            await ground.turn_until(lambda: not ground.plane.traffic.in_flight)
            assert outcomes(ground) == ["caller_gone"]
            writer.transport.abort()
            ground.numbers = iter(range(10, 20))
            await ground.check()

    run(main())


def test_a_reader_that_takes_a_little_goes_on(run, tmp_path):
    async def main():
        async with open_ground(tmp_path, (flood,), limits=Limits(write_idle_s=0.2)) as ground:
            reader, writer = await asyncio.open_connection("127.0.0.1", ground.port, limit=65536)
            writer.write(request(1, b"x-fault: 1\r\n"))
            begin = asyncio.get_running_loop().time()
            while asyncio.get_running_loop().time() < begin + 0.8:
                assert await reader.read(60_000)
                ground.server.sweep()
                await asyncio.sleep(0.02)
            assert ground.plane.traffic.in_flight
            writer.transport.abort()
            await ground.turn_until(lambda: not ground.plane.traffic.in_flight)
            ground.numbers = iter(range(10, 20))
            await ground.check()

    run(main())


def test_the_rest_of_an_answer_that_nobody_reads_is_not_kept(run, tmp_path, monkeypatch):
    """The call is over, its last bytes are in our buffer, and the connection is to close: it does not stay open for them."""
    monkeypatch.setattr(watch, "_ROUND_S", 0.05)
    body = b"x" * 12_000_000

    async def main():
        answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body
        async with open_ground(tmp_path, (answer,), limits=Limits(write_idle_s=0.2)) as ground:
            reader, writer = await ground.connect()
            writer.transport.pause_reading()
            writer.write(request(1, b"x-fault: 1\r\n"))
            await ground.turn_until(lambda: ground.asked[1])
            await ground.turn_until(lambda: not ground.server.connections)
            writer.transport.abort()
            ground.numbers = iter(range(10, 20))
            await ground.check()

    run(main())


@pytest.mark.parametrize("data", [CALL, UPLOAD + b"Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n0\r\n\r\n"], ids=["call", "upload"])
def test_a_request_byte_by_byte_is_a_request(run, tmp_path, data):
    async def main():
        async with open_ground(tmp_path) as ground:
            reader, writer = await ground.connect()
            for index in range(len(data)):
                writer.write(data[index : index + 1])
                await asyncio.sleep(0)
            assert read_answer(await read_all(reader)) == (200, answer_to(1), True)
            writer.close()
            ground.numbers = iter(range(10, 20))
            await ground.check()

    run(main())


def test_a_slow_body_that_keeps_its_pace_arrives(run, tmp_path):
    async def main():
        async with open_ground(tmp_path, limits=Limits(body_s=0.1, body_bytes_per_s=10)) as ground:
            reader, writer = await ground.connect()
            writer.write(CALL[: -len(ASK)])
            for index in range(len(ASK)):
                writer.write(ASK[index : index + 1])
                await asyncio.sleep(0.005)
            assert read_answer(await read_all(reader)) == (200, answer_to(1), True)
            writer.close()

    run(main())


def test_a_refusal_does_not_stand_within_an_answer(run, tmp_path):
    """The upstream answers while the upload goes on, which is then too long: the answer breaks off, and nothing is written into it."""

    async def begin(exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\nhalf")
        await exchange.reader.read()

    async def main():
        async with open_ground(tmp_path, limits=Limits(upload_bytes=2000)) as ground:
            ground.early = begin
            reader, writer = await ground.connect()
            writer.write(UPLOAD + b"x-early: 1\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n")
            await reader.readuntil(b"half")
            writer.write(b"bb8\r\n" + b"x" * 3000 + b"\r\n")
            assert await read_all(reader) == b""
            writer.close()
            ground.numbers = iter(range(10, 20))
            await ground.turn_until(lambda: not ground.plane.traffic.in_flight)
            await ground.check()

    run(main())
