"""Which upstream connections are used again, and which never."""

import asyncio

import pytest

from tests.dataplane.conftest import open_site, post
from tests.dataplane.test_path import ANSWER, ASK, CHAT, answer, split, unchunk


@pytest.mark.parametrize(
    ("first", "kept"),
    [
        (b"HTTP/1.1 500 Oh\r\nContent-Length: 2\r\n\r\nno", True),
        (b"HTTP/1.1 204 No Content\r\n\r\n", True),
        (b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b;c="d"\r\nno\r\n0\r\nX-Trailer: 1\r\n\r\n', True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno", False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nno", False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nKeep-Alive: timeout=1\r\n\r\nno", False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nKeep-Alive: timeout=20\r\n\r\nno", True),
    ],
)
def test_a_connection_is_used_again_only_where_the_answer_allows(run, tmp_path, first, kept):
    opened = []

    async def script(exchange):
        opened.append(exchange)
        await exchange.read_request()
        await exchange.send(first)
        await exchange.read_request()
        await exchange.reply(ANSWER)

    async def main():
        async with open_site(tmp_path, script) as site:
            head, body = split(await site.ask(post(CHAT, ASK)))
            assert b"railer" not in head and (unchunk(body) == (b"no", True) if b"chunked" in head else body in (b"no", b""))
            pool = site.plane.traffic.pools["up"]
            assert any(one.is_fresh(pool._clock()) for one in pool._idle) == kept
            if kept:
                assert (await site.ask(post(CHAT, ASK))).endswith(ANSWER)
            assert len(opened) == 1

    run(main())


def test_an_idle_connection_that_the_upstream_closed_is_not_used(run, tmp_path):
    async def script(exchange):
        await exchange.read_request()
        await exchange.reply(ANSWER)

    async def main():
        async with open_site(tmp_path, script) as site:
            for _ in range(5):
                assert (await site.ask(post(CHAT, ASK))).endswith(ANSWER)

    run(main())


def test_connections_that_outlive_their_time_are_reaped(run, tmp_path):
    async def main():
        async with open_site(tmp_path, answer) as site:
            pool = site.plane.traffic.pools["up"]
            await site.ask(post(CHAT, ASK))
            (connection,) = pool._idle
            pool.reap()
            assert not connection.transport.is_closing()
            pool._clock = lambda: connection.idle_since + 30.0
            pool.reap()
            assert connection.transport is None or connection.transport.is_closing()
            assert (await site.ask(post(CHAT, ASK))).endswith(ANSWER)
            assert connection not in pool.connections

    run(main())


def test_a_byte_on_an_idle_connection_ends_it(run, tmp_path):
    poison = asyncio.Event()

    async def script(exchange):
        await exchange.read_request()
        await exchange.reply(ANSWER)
        await poison.wait()
        await exchange.send(b"!")
        await exchange.reader.read()

    async def main():
        async with open_site(tmp_path, script) as site:
            await site.ask(post(CHAT, ASK))
            pool = site.plane.traffic.pools["up"]
            assert len(pool._idle) == 1
            poison.set()
            async with asyncio.timeout(3):
                while pool.connections:
                    await asyncio.sleep(0.001)
            assert not pool._idle

    run(main())


def test_trailers_are_not_gathered(run, tmp_path):
    async def script(exchange):
        await exchange.read_request()
        trailers = b"".join(b"X-%d: 1\r\n" % number for number in range(500))
        await exchange.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX: 1\r\n\r\n2\r\n{}\r\n0\r\n" + trailers + b"\r\n")
        await exchange.reader.read()

    async def main():
        async with open_site(tmp_path, script) as site:
            assert (await site.ask(post(CHAT, ASK))).endswith(b"2\r\n{}\r\n0\r\n\r\n")
            (connection,) = site.plane.traffic.pools["up"].connections
            assert len(connection._headers) == 2

    run(main())


def test_after_head_nothing_of_its_length_is_awaited(run, tmp_path):
    async def script(exchange):
        head = await exchange.read_request()
        while head.startswith(b"HEAD"):
            await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 77\r\n\r\n")
            head = await exchange.read_request()
        await exchange.reply(ANSWER)

    async def main():
        async with open_site(tmp_path, script) as site, asyncio.timeout(3):
            await site.ask(b"HEAD /up/v1/files HTTP/1.1\r\nHost: p\r\nConnection: close\r\n\r\n")
            assert (await site.ask(post(CHAT, ASK))).endswith(ANSWER)

    run(main())


def test_a_connection_with_something_to_read_is_not_fresh(run, tmp_path):
    over = asyncio.Event()

    async def script(exchange):
        await exchange.read_request()
        await exchange.reply(ANSWER)
        await over.wait()

    async def main():
        async with open_site(tmp_path, script) as site:
            await site.ask(post(CHAT, ASK))
            pool = site.plane.traffic.pools["up"]
            (connection,) = pool._idle
            connection.transport.pause_reading()  # as if the loop had not got to it yet
            assert connection.is_fresh(pool._clock())
            over.set()
            while not connection._poll.poll(0):
                await asyncio.sleep(0.001)
            assert not connection.is_fresh(pool._clock())

    run(main())
