"""The end of a data plane, with real signals: who hears what, what is recorded, and in what time."""

from __future__ import annotations

import asyncio
import signal
import time

from tests.dataplane.conftest import Exchange, post
from tests.dataplane.test_path import ANSWER, ASK, STREAM_ASK
from tests.dataplane.test_plane import journal, start_process

SSE = b"text/event-stream"
GRACE_S = 0.3
DELTA = b'data: {"choices":[{"index":0,"delta":{"content":"hello"}}]}\n\n'
STREAMS = {  # path → (content type, what comes of the stream, the last event's words or None where the connection is broken off)
    "/up/v1/chat/completions": (SSE, DELTA, b'data: {"error":{"message":"Weighbridge is shutting down'),
    "/up/v1/responses": (SSE, b'event: response.created\ndata: {"type":"response.created"}\n\n', b'event: error\ndata: {"type":"error","code":"w'),
    "/up/v1/messages": (SSE, b'event: ping\ndata: {"type":"ping"}\n\n', b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error"'),
    "/up/v1beta/models/g:streamGenerateContent?alt=sse": (SSE, b'data: {"candidates":[]}\r\n\r\n', b'data: {"error":{"code":503,'),
    "/up/api/chat": (b"application/x-ndjson", b'{"message":{"content":"hello"}}\n', b'{"error":"Weighbridge is shutting down'),
    "/up/v1/chat/completions?within-an-event": (SSE, DELTA[:-1], None),
    "/up/v1/chat/completions?of-unknown-form": (b"text/event-stream\r\nContent-Encoding: gzip", b"\x1f\x8b", None),
    "/up/unknown": (SSE, DELTA, None),
}


async def stream(exchange: Exchange) -> None:
    """Send what belongs to the path, and no end."""
    target = (await exchange.read_request()).split()[1].decode()
    content_type, body, _ = STREAMS["/up" + target]
    await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n" % (content_type, len(body), body))
    await exchange.reader.read()


async def stop(process: asyncio.subprocess.Process) -> float:
    """The seconds that it took to end in order."""
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(process.wait(), 20) == 0
    return time.monotonic() - began


def outcomes(folder) -> list[tuple[str, int | None]]:
    return [(event["call"]["outcome"], event["call"].get("status")) for event in journal(folder) if "call" in event]


def test_every_stream_ends_with_an_error_of_its_dialect_or_visibly_broken(tmp_path):
    async def main():
        async with start_process(tmp_path, stream, GRACE_S) as (process, port):
            open_streams = []
            for path, (_, body, _) in STREAMS.items():
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(post(path, STREAM_ASK))
                await reader.readuntil(body)
                open_streams.append((path, reader, writer))
            took = await stop(process)
            for path, reader, writer in open_streams:
                rest, last = await reader.read(), STREAMS[path][2]
                assert rest.endswith(b"\n\r\n0\r\n\r\n") if last is not None else b"0\r\n\r\n" not in rest, (path, rest)
                assert last is None or last in rest, (path, rest)
                writer.close()
        assert took < GRACE_S + 3
        assert outcomes(tmp_path) == [("weighbridge_stopping", 200)] * len(STREAMS)

    asyncio.run(main())


def test_a_stream_in_the_middle_of_an_event_is_ended_behind_it(tmp_path):
    seen = asyncio.Event()

    async def script(exchange):
        await exchange.read_request()
        await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        await exchange.send(b"%x\r\n%b\r\n" % (len(DELTA) - 1, DELTA[:-1]))
        await seen.wait()
        while not exchange.reader.at_eof():  # the rest of the event comes again and again: it stands at an end half of the time
            await exchange.send(b"1\r\n\n\r\n")
            await asyncio.sleep(0.01)
            await exchange.send(b"%x\r\n%b\r\n" % (len(DELTA) - 1, DELTA[:-1]))

    async def main():
        async with start_process(tmp_path, script, GRACE_S) as (process, port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(post("/up/v1/chat/completions", STREAM_ASK))
            await reader.readuntil(DELTA[:-1])
            seen.set()
            await stop(process)
            rest = await reader.read()
            assert b'}\n\n\r\n0\r\n\r\n' in rest and b'data: {"error"' in rest
            writer.close()

    asyncio.run(main())


def test_who_has_no_answer_yet_is_told_to_try_again_and_half_an_upload_is_settled(tmp_path):
    came = asyncio.Event()

    async def script(exchange):
        await exchange.read_request()
        came.set()
        await exchange.reader.read()

    async def main():
        async with start_process(tmp_path, script, GRACE_S) as (process, port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(post("/up/v1/chat/completions", ASK, connection=b"keep-alive"))
            await came.wait()
            other = await asyncio.open_connection("127.0.0.1", port)
            other[1].write(post("/up/v1/chat/completions", ASK)[:-1])
            await other[1].drain()
            later = await asyncio.open_connection("127.0.0.1", port)
            later[1].write(b"GET /readyz HTTP/1.1\r\nHost: p\r\n\r\n")
            await later[0].readuntil(b"ok\n")
            took = await stop(process)
            answer = await reader.read()
            assert answer.startswith(b"HTTP/1.1 503 ") and b'"weighbridge_stopping"' in answer and b"Connection: close" in answer
            assert await other[0].read() == b""
            for one in (writer, other[1], later[1]):
                one.close()
        assert took < GRACE_S + 3
        assert [outcome for outcome, _ in outcomes(tmp_path)] == ["weighbridge_stopping"] * 2

    asyncio.run(main())


def test_a_reader_that_takes_nothing_does_not_delay_the_end(tmp_path):
    async def script(exchange):
        await exchange.read_request()
        await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        piece = DELTA * 500
        while not exchange.reader.at_eof():
            await exchange.send(b"%x\r\n%b\r\n" % (len(piece), piece))

    async def main():
        async with start_process(tmp_path, script, GRACE_S) as (process, port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
            writer.write(post("/up/v1/chat/completions", STREAM_ASK))
            await reader.readexactly(10)
            assert await stop(process) < GRACE_S + 3
            writer.transport.abort()
        assert outcomes(tmp_path) == [("weighbridge_stopping", 200)]

    asyncio.run(main())


def test_with_nothing_to_wait_for_it_ends_at_once(tmp_path):
    async def script(exchange):
        await exchange.read_request()
        await exchange.reply(ANSWER)

    async def main():
        async with start_process(tmp_path, script, 60) as (process, port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(post("/up/v1/chat/completions", ASK, connection=b"keep-alive"))
            await reader.readuntil(ANSWER)
            assert await stop(process) < 10
            assert await reader.read() == b""
            writer.close()
        assert outcomes(tmp_path) == [("ok", 200)]

    asyncio.run(main())
