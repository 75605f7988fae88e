"""CONNECT: the bytes asked, and the answers of proxies read strictly."""

from __future__ import annotations

import asyncio
import contextlib
import socket

import pytest

from proxy.dataplane.connect import ask_proxy, read_answer, write_request
from proxy.errors import Refusal
from proxy.upstream import Proxy

OPEN = Proxy("p", 1)


def test_the_request() -> None:
    assert write_request(OPEN, "api.test", 443) == b"CONNECT api.test:443 HTTP/1.1\r\nHost: api.test:443\r\n\r\n"
    locked = write_request(Proxy("p", 1, "b", "YTpi"), "::1", 8)
    assert locked == b"CONNECT [::1]:8 HTTP/1.1\r\nHost: [::1]:8\r\nProxy-Authorization: Basic YTpi\r\n\r\n"


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (b"HTTP/1.1 200 Connection established\r\n\r\n", 200),
        (b"HTTP/1.0 200 Connection established\r\nProxy-agent: tinyproxy/1.11.1\r\n\r\n", 200),
        (b"HTTP/1.1 200\r\nContent-Length: 5\r\n\r\n", 200),
        (b"HTTP/1.1 204 \r\n\r\n", 204),
        (b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"caf\xe9\"\r\n\r\n<html>", 407),
        (b"HTTP/1.1 301 Moved\r\nLocation: http://evil/\r\n\r\n", 301),
    ],
)
def test_answers_that_are_well_formed(answer: bytes, status: int) -> None:
    assert read_answer(answer) == status


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/2.0 200 OK\r\n\r\n",
        b"HTTP/1.1  200 OK\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1 600 OK\r\n\r\n",
        b"HTTP/1.1 20\r\n\r\n",
        b"HTTP/1.1 \xd9\xa2\xd9\xa0\xd9\xa0 OK\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"HTTP/1.1 200 OK\nA: b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\nC: d\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 O\0K\r\n\r\n",
        b"HTTP/1.1 200 OK\rA: b\r\n\r\n",
        b" HTTP/1.1 200 OK\r\n\r\n",
        b"\r\n\r\n",
        b"SSH-2.0-x\r\n\r\n",
    ],
)
def test_answers_that_are_not(answer: bytes) -> None:
    with pytest.raises(Refusal, match="upstream_unreachable"):
        read_answer(answer)


async def ask(script) -> str:
    """What the refusal says after a proxy at the other end of a pair has run `script`; empty where it opened the tunnel."""
    ours, theirs = socket.socketpair()
    for each in (ours, theirs):
        each.setblocking(False)
    loop = asyncio.get_running_loop()

    async def play():
        assert (await loop.sock_recv(theirs, 4096)).endswith(b"\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            for piece in script:
                await loop.sock_sendall(theirs, piece)
                await asyncio.sleep(0)
        theirs.close()

    playing = asyncio.create_task(play())
    try:
        async with asyncio.timeout(5):
            await ask_proxy(ours, OPEN, "h", 1)
    except Refusal as refusal:
        assert refusal.name == "upstream_unreachable"
        return refusal.message
    finally:
        ours.close()
        await playing
    return ""


OPENED = b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n"


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ([OPENED], ""),
        ([bytes([one]) for one in OPENED], ""),
        ([b"HTTP/1.1 407 No\r\n\r\n"], "wants credentials"),
        ([b"HTTP/1.1 401 No\r\n\r\n"], "wants credentials"),
        ([b"HTTP/1.1 403 No\r\n\r\nFiltered"], "allow its host and port there"),
        ([b"HTTP/1.1 502 No\r\n\r\n"], "could not reach the provider"),
        ([b"HTTP/1.1 504 No\r\n\r\n"], "could not reach the provider in time"),
        ([b"HTTP/1.1 302 No\r\nLocation: http://evil\r\n\r\n"], "answered CONNECT with status 302"),
        ([OPENED + b"x"], "not well-formed"),
        ([b"HTTP/1.1 200 OK\r\n"], "no whole answer"),
        ([], "no whole answer"),
        ([b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 4000], "no whole answer"),
    ],
)
def test_what_a_proxy_answers_is_told(run, script, words):
    async def main():
        message = await ask(script)
        assert (words in message) if words else not message

    run(main())
