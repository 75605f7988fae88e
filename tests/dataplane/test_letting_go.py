"""What a call holds while its answer streams: not its prompt, once nothing of it can be sent again."""

import asyncio
import json
import tracemalloc

import pytest

from tests.dataplane.routing import CHAT, SOON, open_routes

PIECE = b"a" * 65536
PIECES = 128
HEAD = b'{"model":"m","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"'
TAIL = b'"}]}'
SIZE = len(HEAD) + len(PIECE) * PIECES + len(TAIL)


@pytest.mark.parametrize("retry", [{}, {"retry": SOON}], ids=["one attempt", "more than one"])
def test_a_prompt_is_let_go_of_when_the_answer_begins(run, tmp_path, retry):
    held, more = [], asyncio.Event()

    async def script(exchange):
        head = await exchange.reader.readuntil(b"\r\n\r\n")
        left = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        while left:
            left -= len(await exchange.reader.read(65536))
        await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\ndata: {}\n\n")
        await more.wait()

    async def main():
        async with open_routes(tmp_path, {"up": script}, {"up": retry}) as site:
            reader, writer = await site.connect()
            tracemalloc.start()
            try:
                writer.write(b"POST %b HTTP/1.1\r\nHost: proxy\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b" % (CHAT.encode(), SIZE, HEAD))
                for _ in range(PIECES):
                    writer.write(PIECE)
                    await writer.drain()
                writer.write(TAIL)
                await reader.readuntil(b"data: {}")
                held.append(tracemalloc.get_traced_memory()[0])
            finally:
                tracemalloc.stop()
            more.set()
            await reader.read()
            writer.close()
            assert (await site.record())["request_bytes"] == SIZE

    run(main())
    assert held[0] < SIZE / 2, f"{held[0]} bytes are held of a prompt of {SIZE}"


def test_the_prompt_of_this_test_is_json():
    assert json.loads(HEAD + PIECE + TAIL)["stream"] is True
