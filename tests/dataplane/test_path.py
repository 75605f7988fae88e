"""The path of a call over real sockets: bytes in = bytes out, every ending settles once."""

import asyncio
import gzip
import json
import zlib

import pytest

from proxy.config import Limits
from tests.dataplane.conftest import Exchange, open_site, post

CHAT = "/up/v1/chat/completions"
ASK = json.dumps({"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}]}).encode()
ANSWER = (
    b'{"id":"chatcmpl-1","object":"chat.completion","model":"gpt-4o-mini-2024-07-18","choices":[{"index":0,"message":{"role":"assistant",'
    b'"content":"Hello"},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11}}'
)
STREAM_ASK = ASK[:-1] + b',"stream":true,"stream_options":{"include_usage":true}}'


def event(choices: str, usage: str = "null") -> bytes:
    return f'data: {{"id":"c","model":"gpt-4o-mini-2024-07-18","choices":[{choices}],"usage":{usage}}}\n\n'.encode()


CHUNKS = [
    event('{"index":0,"delta":{"role":"assistant","content":"Hel"},"finish_reason":null}'),
    event('{"index":0,"delta":{"content":"lo"},"finish_reason":null}'),
    event('{"index":0,"delta":{},"finish_reason":"stop"}'),
    event("", '{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11}') + b"data: [DONE]\n\n",
]


async def answer(exchange: Exchange) -> None:
    while True:
        await exchange.read_request()
        await exchange.reply(ANSWER, extra=b"x-request-id: req-1\r\nx-ratelimit-remaining-tokens: 77\r\n")


async def stream(exchange: Exchange) -> None:
    while True:
        await exchange.read_request()
        await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        for chunk in CHUNKS:
            await exchange.send(b"%x\r\n%b\r\n" % (len(chunk), chunk))
        await exchange.send(b"0\r\n\r\n")


def split(response: bytes) -> tuple[bytes, bytes]:
    head, _, body = response.partition(b"\r\n\r\n")
    return head, body


def unchunk(body: bytes) -> tuple[bytes, bool]:
    """(content, whether the last chunk was there)."""
    content = b""
    while body:
        size, _, body = body.partition(b"\r\n")
        if not (length := int(size, 16)):
            return content, True
        content += body[:length]
        body = body[length + 2 :]
    return content, False


def test_a_call_passes_and_is_recorded(run, tmp_path):
    async def main():
        async with open_site(tmp_path, answer) as site:
            head, body = split(await site.ask(post("/a/billing/t/t-1" + CHAT, ASK, b"Authorization: Bearer sk-secret-1\r\nX-Odd: caf\xe9\r\n")))
            assert head.startswith(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nx-request-id: req-1\r\n")
            assert body == ANSWER
            record = await site.record()
            assert len(site.events("opened")) == 1
        want = {
            "agent": "billing", "rung": "path", "task": "t-1", "upstream": "up", "operation": "chat", "model_asked": "gpt-4o-mini",
            "model": "gpt-4o-mini-2024-07-18", "outcome": "ok", "status": 200, "finish": "stop", "input_tokens": 9, "output_tokens": 2,
            "usage_source": "reported", "request_id": "req-1", "remaining_tokens": 77, "path": "/v1/chat/completions", "response_bytes": len(ANSWER),
        }  # fmt: skip
        assert {name: record.get(name) for name in want} == want
        assert "sk-secret-1" not in json.dumps(record)

    run(main())


def test_request_bytes_arrive_as_they_were_sent(run, tmp_path):
    heads = []

    async def script(exchange):
        heads.append(await exchange.read_request())
        heads.append(exchange.body)
        await exchange.reply(ANSWER)

    async def main():
        async with open_site(tmp_path, script) as site:
            body = gzip.compress(ASK)
            extra = b"Content-Encoding: gzip\r\nUser-Agent: one\r\nUser-Agent: two\r\nX-Unknown: caf\xe9\r\nx-unknown: 2\r\nBaggage: a=b\r\n"
            await site.ask(post(CHAT + "?api-version=2024%2D01", body, extra))
            record = await site.record()
        head, got = heads
        assert got == body
        assert head.startswith(b"POST /v1/chat/completions?api-version=2024%2D01 HTTP/1.1\r\nHost: 127.0.0.1:")
        assert head.count(b"User-Agent: ") == 2 and head.index(b"User-Agent: one") < head.index(b"User-Agent: two")
        assert b"X-Unknown: caf\xe9\r\nx-unknown: 2\r\n" in head
        assert b"aggage" not in head and b"Connection" not in head
        assert record["model_asked"] == "gpt-4o-mini"

    run(main())


def test_a_stream_passes_chunk_by_chunk(run, tmp_path):
    gate = asyncio.Event()

    async def script(exchange):
        await exchange.read_request()
        await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        await exchange.send(b"%x\r\n%b\r\n" % (len(CHUNKS[0]), CHUNKS[0]))
        await gate.wait()
        for chunk in CHUNKS[1:]:
            await exchange.send(b"%x\r\n%b\r\n" % (len(chunk), chunk))
        await exchange.send(b"0\r\n\r\n")

    async def main():
        async with open_site(tmp_path, script) as site:
            reader, writer = await site.connect()
            writer.write(post(CHAT, STREAM_ASK))
            early = await reader.readuntil(b'"Hel"')  # arrives while the upstream still holds the rest back
            gate.set()
            content, ended = unchunk(split(early + await reader.read())[1])
            writer.close()
            assert content == b"".join(CHUNKS) and ended
            record = await site.record()
        assert record["stream"] and record["input_tokens"] == 9 and record["first_token_ns"] <= record["duration_ns"] and record["finish"] == "stop"

    run(main())


def test_one_connection_carries_many_calls_both_sides(run, tmp_path):
    async def main():
        async with open_site(tmp_path, answer) as site:
            reader, writer = await site.connect()
            for _ in range(5):
                writer.write(post(CHAT, ASK, connection=b"keep-alive"))
                head = await reader.readuntil(b"\r\n\r\n")
                assert b"200 OK" in head and await reader.readexactly(len(ANSWER)) == ANSWER
            writer.close()
            await site.record(5)
            assert len(site.plane.traffic.pools["up"].connections) == 1

    run(main())


def test_an_upstream_that_breaks_is_never_ended_cleanly(run, tmp_path):
    async def script(exchange):
        await exchange.read_request()
        await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        await exchange.send(b"%x\r\n%b\r\n" % (len(CHUNKS[0]), CHUNKS[0]))

    async def main():
        async with open_site(tmp_path, script) as site:
            reader, writer = await site.connect()
            writer.write(post(CHAT, STREAM_ASK, connection=b"keep-alive"))
            content, ended = unchunk(split(await reader.read())[1])
            writer.close()
            assert content == CHUNKS[0] and not ended
            record = await site.record()
            reader, writer = await site.connect()
            writer.write(post(CHAT, STREAM_ASK).replace(b"HTTP/1.1", b"HTTP/1.0", 1))
            with pytest.raises(ConnectionError):
                while await reader.read(65536):
                    pass
                raise AssertionError("an answer without framing was ended cleanly")
            writer.close()
        assert record["outcome"] == "upstream_cut" and record["usage_source"] == "estimated" and record["output_tokens"] >= 1

    run(main())


@pytest.mark.parametrize("when", ["before the first byte", "in the middle"])
def test_a_client_that_leaves_cancels_the_upstream_within_a_second(run, tmp_path, when):
    gone = asyncio.Event()

    async def script(exchange):
        await exchange.read_request()
        if when == "in the middle":
            await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n" + CHUNKS[0])
        await exchange.reader.read()
        gone.set()

    async def main():
        async with open_site(tmp_path, script) as site:
            reader, writer = await site.connect()
            writer.write(post(CHAT, STREAM_ASK, connection=b"keep-alive"))
            while not site.events("opened"):
                await asyncio.sleep(0.005)
            if when == "in the middle":
                await reader.readuntil(b"Hel")
            writer.transport.abort()
            await asyncio.wait_for(gone.wait(), 1)
            record = await site.record()
            assert record["outcome"] == "caller_gone" and record["usage_source"] == "estimated"
            assert len(site.events("call")) == 1 and not site.plane.traffic.in_flight

    run(main())


@pytest.mark.parametrize(
    ("reply", "name"),
    [
        (b"", "upstream_cut"),
        (b"garbage\r\n\r\n", "upstream_malformed"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\n", "upstream_malformed"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", "upstream_malformed"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabcd", "upstream_malformed"),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", "upstream_malformed"),
        (b"HTTP/1.1 700 Odd\r\nContent-Length: 0\r\n\r\n", "upstream_malformed"),
    ],
)
def test_ambiguous_answers_become_a_clear_502(run, tmp_path, reply, name):
    async def script(exchange):
        await exchange.read_request()
        await exchange.send(reply)

    async def main():
        async with open_site(tmp_path, script) as site:
            head, body = split(await site.ask(post(CHAT, ASK)))
            assert head.startswith(b"HTTP/1.1 502 Bad Gateway") and json.loads(body)["error"]["code"] == name
            assert (await site.record())["outcome"] == name

    run(main())


def test_a_byte_on_an_idle_connection_reaches_nobody(run, tmp_path):
    async def script(exchange):
        await exchange.read_request()
        await exchange.reply(ANSWER)
        await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison")
        await exchange.reader.read()

    async def main():
        async with open_site(tmp_path, script) as site:
            for _ in range(3):
                assert (await site.ask(post(CHAT, ASK))).endswith(ANSWER)

    run(main())


def test_interim_answers_are_skipped_and_expect_is_answered_here(run, tmp_path):
    async def script(exchange):
        head = await exchange.read_request()
        assert b"xpect" not in head
        await exchange.send(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n")
        await exchange.reply(ANSWER)

    async def main():
        async with open_site(tmp_path, script) as site:
            response = await site.ask(post(CHAT, ASK, b"Expect: 100-continue\r\n"))
            assert response.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK") and response.endswith(ANSWER)

    run(main())


def test_a_body_until_close_becomes_chunks_and_compressed_answers_stay_as_they_are(run, tmp_path):
    packed = gzip.compress(ANSWER)

    async def script(exchange):
        await exchange.read_request()
        await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\n\r\n" + packed)

    async def main():
        async with open_site(tmp_path, script) as site:
            head, body = split(await site.ask(post(CHAT, ASK)))
            assert b"Content-Encoding: gzip" in head and unchunk(body) == (packed, True)
            assert (await site.record())["input_tokens"] == 9
            old = post(CHAT, ASK).replace(b"HTTP/1.1", b"HTTP/1.0", 1)
            head, body = split(await site.ask(old))
            assert b"Transfer-Encoding" not in head and body == packed

    run(main())


def test_uploads_stream_through(run, tmp_path):
    got = []

    async def script(exchange):
        await exchange.read_request()
        got.append((exchange.head, exchange.body))
        await exchange.reply(b"{}")

    async def main():
        async with open_site(tmp_path, script, Limits(body_bytes=1000)) as site:
            body = b"x" * 300_000 + zlib.compress(b"y")
            assert b"200 OK" in await site.ask(post("/up/v1/files", body))
            chunked = post("/up/v1/files", b"").replace(b"Content-Length: 0", b"Transfer-Encoding: chunked") + b"5\r\nhello\r\n0\r\n\r\n"
            assert b"200 OK" in await site.ask(chunked)
            assert got[0][1] == body and got[1][1] == b"hello" and b"Transfer-Encoding: chunked" in got[1][0]
            assert (await site.record(2))["request_bytes"] == 5

    run(main())
