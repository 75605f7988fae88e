"""Connections between two calls: what an upstream sends there reaches nobody, and a call that meets its end is not sent twice."""

from __future__ import annotations

import asyncio

import pytest

from tests.faults.ground import FOREIGN, NUMBER, Exchange, answer_to, open_ground, read_answer, request, reset

BODY = b'{"a":"b"}'
WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n" + BODY
CHUNKS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n" + BODY + b"\r\n0\r\n\r\n"
EMPTY = b"HTTP/1.1 204 No Content\r\n\r\n"
SECOND = b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n" + FOREIGN

POISON = {
    "one letter": b"F",
    "an H": b"H",
    "a NUL": b"\x00",
    "garbage": FOREIGN,
    "a second answer": SECOND,
    "a second answer behind an empty line": b"\r\n" + SECOND,
    "a second answer's first half": SECOND[:12],
    "a second answer's head": SECOND[: -len(FOREIGN)],
    "a second answer's status line": b"HTTP/1.1 200 OK\r\n",
    "a head that never ends": b"HTTP/1.1 200 OK\r\nX-Foreign: " + FOREIGN,
    "an interim answer": b"HTTP/1.1 100 Continue\r\n\r\n",
    "a timeout's 408": b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 7\r\nConnection: close\r\n\r\n" + FOREIGN,
    "many answers": SECOND * 50,
    "a chunk": b"7\r\n" + FOREIGN + b"\r\n0\r\n\r\n",
}


async def stay(exchange: Exchange) -> None:
    """Keep the connection open; whoever is given it now waits for an answer for ever."""
    await exchange.reader.read()


async def client_saw(exchange: Exchange) -> None:
    await asyncio.wait_for(exchange.ground.client_saw.wait(), 5)


async def next_request(exchange: Exchange) -> None:
    """Read the next request of this connection, whole."""
    exchange.ground.asked[int(NUMBER.search(await exchange.read_request())[1])] += 1


async def answer_next(exchange: Exchange) -> None:
    """Answer the next request of this connection, and poison with the answer."""
    await next_request(exchange)
    body = answer_to(int(NUMBER.search(exchange.head)[1]))
    await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b%b" % (len(body), body, SECOND))


@pytest.mark.parametrize("poison", POISON)
@pytest.mark.parametrize("first", [WHOLE, CHUNKS], ids=["by length", "by chunks"])
@pytest.mark.parametrize("late", [False, True], ids=["at once", "later"])
def test_what_comes_behind_an_answer_reaches_nobody(run, tmp_path, first, poison, late):
    steps = (first, client_saw, POISON[poison], stay) if late else (first + POISON[poison], stay)

    async def main():
        async with open_ground(tmp_path, steps) as ground:
            got = await ground.ask(request(next(ground.numbers), b"x-fault: 1\r\n"))
            assert read_answer(got) == (200, BODY, True)
            await ground.check()

    run(main())


@pytest.mark.parametrize("poison", POISON)
def test_what_comes_behind_an_answer_under_tls_reaches_nobody(run, tmp_path, certificate, poison):
    async def main():
        async with open_ground(tmp_path, (WHOLE + POISON[poison], stay), certificate=certificate) as ground:
            got = await ground.ask(request(next(ground.numbers), b"x-fault: 1\r\n"))
            assert read_answer(got) == (200, BODY, True)
            await ground.check()

    run(main())


@pytest.mark.parametrize("status", [204, 304])
def test_a_body_where_none_can_be_reaches_nobody(run, tmp_path, status):
    async def main():
        async with open_ground(tmp_path, (b"HTTP/1.1 %d Nothing\r\nContent-Length: 7\r\n\r\n" % status + FOREIGN, stay)) as ground:
            got = await ground.ask(request(next(ground.numbers), b"x-fault: 1\r\n"))
            assert got.startswith(b"HTTP/1.1 %d " % status) and FOREIGN not in got
            await ground.check()

    run(main())


# What the upstream does with a kept connection once the next call is on it, and what that call's client gets.
RACES = {
    "closes before the next call": ((WHOLE,), 200),
    "resets before the next call": ((WHOLE, client_saw, reset), 200),
    "closes with the next call": ((WHOLE, next_request), 502),
    "resets with the next call": ((WHOLE, next_request, reset), 502),
    "answers the next call by half a head": ((WHOLE, next_request, b"HTTP/1.1 200"), 502),
    "says good-bye to the next call by 100": ((WHOLE, next_request, b"HTTP/1.1 100 Continue\r\n\r\n"), 502),
    "an empty line before the next answer": ((WHOLE + b"\r\n", answer_next, stay), 200),
    "poisons with the next answer": ((WHOLE, answer_next, stay), 200),
}


@pytest.mark.parametrize("name", RACES)
def test_a_call_that_meets_a_connections_end_is_sent_once(run, tmp_path, name):
    steps, status = RACES[name]

    async def main():
        async with open_ground(tmp_path, steps) as ground:
            assert read_answer(await ground.ask(request(next(ground.numbers), b"x-fault: 1\r\n"))) == (200, BODY, True)
            number = next(ground.numbers)
            got = read_answer(await ground.ask(request(number)))
            assert (got[0], got[2]) == (status, True) and (status != 200 or got[1] == answer_to(number)), got
            assert ground.asked[number] == 1
            await ground.check()

    run(main())


@pytest.mark.parametrize("kind", ["long", "chunked"])
def test_an_answer_before_the_end_of_a_request_leaves_a_connection_that_is_not_used(run, tmp_path, kind):
    """What was still on its way up would stand before the next request."""
    body = b"x" * 3_000_000
    framing = b"Content-Length: %d" % len(body) if kind == "long" else b"Transfer-Encoding: chunked"
    content = body if kind == "long" else b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)

    async def refuse(exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 9\r\n\r\n" + BODY)
        await client_saw(exchange)

    async def main():
        async with open_ground(tmp_path) as ground:
            ground.early = refuse
            head = b"POST /up/v1/files HTTP/1.1\r\nHost: p\r\n%b\r\nx-number: %d\r\nx-early: 1\r\nConnection: close\r\n\r\n"
            head %= (framing, next(ground.numbers))
            status, got, whole = read_answer(await ground.ask(head + content))
            assert (status, got, whole) == (413, BODY, True)
            await ground.check()

    run(main())
