"""Requests that two servers might read differently: refused here, so that nothing of them goes up; and those that only look so."""

from __future__ import annotations

import pytest

from proxy.config import Limits
from tests.faults.ground import ASK, CHAT, CONTINUE, FOREIGN, answer_to, open_ground, read_answer, request

SMUGGLED = 99_999
INNER = b"POST /up/v1/chat/completions HTTP/1.1\r\nHost: proxy\r\nContent-Length: 0\r\nx-number: %d\r\n\r\n" % SMUGGLED
SECRET = b"sk-do-not-echo"


def head(*lines: bytes, start: bytes = b"POST " + CHAT + b" HTTP/1.1", host: bytes = b"Host: proxy\r\n") -> bytes:
    return start + b"\r\n" + host + b"x-number: 1\r\nAuthorization: Bearer " + SECRET + b"\r\n" + b"".join(line + b"\r\n" for line in lines) + b"\r\n"


def sized(*lines: bytes, **options: bytes) -> bytes:
    return head(*lines, b"Content-Length: %d" % len(ASK), **options) + ASK


def chunked(coding: bytes, body: bytes, *lines: bytes) -> bytes:
    return head(b"Transfer-Encoding: " + coding, *lines) + body


def at(target: bytes) -> bytes:
    return sized(start=b"POST " + target + b" HTTP/1.1")


CHUNKS = b"%x\r\n%b\r\n0\r\n\r\n" % (len(ASK), ASK)

# Refused with 400 (404 where the path names nothing), and nothing has gone up.
REFUSED = {
    "length and coding": chunked(b"chunked", b"0\r\n\r\n" + INNER, b"Content-Length: 5"),
    "coding and length": head(b"Content-Length: 5", b"Transfer-Encoding: chunked") + b"0\r\n\r\n" + INNER,
    "two lengths": sized(b"Content-Length: 0") + INNER,
    "two lengths alike": sized(b"Content-Length: %d" % len(ASK)),
    "length list": head(b"Content-Length: 0, 0") + INNER,
    "length with a plus": head(b"Content-Length: +%d" % len(ASK)) + ASK,
    "length negative": head(b"Content-Length: -1") + ASK,
    "length hexadecimal": head(b"Content-Length: 0x20") + ASK,
    "length with a space before the colon": head(b"Content-Length : 0") + INNER,
    "coding with a space before the colon": head(b"Transfer-Encoding : chunked") + b"0\r\n\r\n" + INNER,
    "coding xchunked": chunked(b"xchunked", b"0\r\n\r\n" + INNER),
    "coding chunked, identity": chunked(b"chunked, identity", CHUNKS),
    "coding quoted": chunked(b'"chunked"', CHUNKS),
    "coding twice": chunked(b"chunked", CHUNKS, b"Transfer-Encoding: chunked"),
    "coding with a vertical tab": chunked(b"\x0bchunked", CHUNKS),
    "coding in HTTP/1.0": head(b"Transfer-Encoding: chunked", start=b"POST " + CHAT + b" HTTP/1.0") + CHUNKS,
    "chunk size a word": chunked(b"chunked", b"zz\r\n" + ASK),
    "chunk size with 0x": chunked(b"chunked", b"0x" + CHUNKS),
    "chunk size negative": chunked(b"chunked", b"-1\r\n" + ASK),
    "chunk with a bare LF": chunked(b"chunked", CHUNKS.replace(b"\r\n", b"\n", 1)),
    "chunk longer than its size": chunked(b"chunked", b"3\r\n" + ASK + b"\r\n0\r\n\r\n"),
    "extension with a bare LF": chunked(b"chunked", b"%x;a\nb\r\n%b\r\n0\r\n\r\n" % (len(ASK), ASK)),
    "folded field": sized(b"X-Folded: a\r\n b"),
    "folded coding": head(b"Transfer-Encoding:\r\n chunked") + b"0\r\n\r\n" + INNER,
    "bare LF in the head": sized(b"X: a\nTransfer-Encoding: chunked"),
    "bare LF at the head's end": b"POST " + CHAT + b" HTTP/1.1\nHost: proxy\nx-number: 1\nContent-Length: 0\n\n",
    "bare CR in a field": sized(b"X: a\rTransfer-Encoding: chunked"),
    "NUL in a field": sized(b"X: a\x00b"),
    "NUL in a name": sized(b"X\x00: a"),
    "name with a space": sized(b"X Y: a"),
    "name empty": sized(b": a"),
    "no colon": sized(b"nonsense"),
    "two Hosts": sized(b"Host: other"),
    "no Host": sized(host=b""),
    "Host empty": sized(host=b"Host: \r\n"),
    "Host with a user": sized(host=b"Host: a@proxy\r\n"),
    "Host with a path": sized(host=b"Host: proxy/admin\r\n"),
    "Host with a question mark": sized(host=b"Host: proxy?\r\n"),
    "Host list": sized(host=b"Host: proxy, other\r\n"),
    "Host with half a bracket": sized(host=b"Host: [::1\r\n"),
    "Host with a long port": sized(host=b"Host: proxy:999999\r\n"),
    "two Authorizations": sized(b"Authorization: Bearer " + FOREIGN),
    "two keys": sized(b"x-api-key: a", b"X-Api-Key: b"),
    "a key's name with underscores": sized(b"X_Api_Key: a"),
    "two content types": sized(b"Content-Type: application/json", b"Content-Type: text/plain"),
    "absolute form": at(b"http://other" + CHAT),
    "absolute form of a file": at(b"file:///etc/passwd"),
    "authority form": at(b"other:443"),
    "asterisk": at(b"*"),
    "CONNECT": sized(start=b"CONNECT other:443 HTTP/1.1"),
    "dot segment": at(b"/up/../admin"),
    "dot segment encoded": at(b"/up/%2e%2E/admin"),
    "dot segment behind an encoded slash": at(b"/up/v1%2f..%2f..%2fadmin"),
    "dot segment behind an encoded backslash": at(b"/up/v1%5C..%5cadmin"),
    "dot segment at the start": at(b"/../up/v1/chat/completions"),
    "single dot": at(b"/up/./v1/chat/completions"),
    "empty segment": at(b"/up//v1/chat/completions"),
    "two slashes first": at(b"//up/v1/chat/completions"),
    "backslash": at(b"/up\\v1"),
    "slash of the upstream's name encoded": at(b"/up%2fv1/chat/completions"),
    "name of the upstream encoded": at(b"/%75p/v1/chat/completions"),
    "control character in the target": at(b"/up/\x01"),
    "NUL in the target": at(b"/up/\x00"),
    "a target of 70,000 characters": at(b"/up/" + b"a" * 70_000),
    "a field of 70,000 characters": sized(b"X: " + b"a" * 70_000),
    "5,000 fields": sized(*(b"X-%d: aaaaaaaaaaaa" % number for number in range(5000))),
    "200 fields": sized(*(b"X-%d: a" % number for number in range(200))),
    "a head of many pieces without end": b"GET /up HTTP/1.1\r\nHost: proxy\r\n" + b"X: y\r\n" * 20_000,
    "no version": b"GET /up/v1/models\r\nHost: proxy\r\n\r\n",
    "version 0.9": sized(start=b"POST " + CHAT + b" HTTP/0.9"),
    "version 2.0": sized(start=b"POST " + CHAT + b" HTTP/2.0"),
    "version 1.9": sized(start=b"POST " + CHAT + b" HTTP/1.9"),
    "HTTP/2's preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a method in two words": sized(start=b"PO ST " + CHAT + b" HTTP/1.1"),
    "a method nobody knows": sized(start=b"FROB\x7f " + CHAT + b" HTTP/1.1"),
    "a TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "another protocol": b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_may_be_read_in_two_ways_is_refused(run, tmp_path, name):
    async def main():
        async with open_ground(tmp_path) as ground:
            ground.numbers = iter(range(10, 20))
            got = await ground.ask(REFUSED[name], end=True)
            assert got[:12] in (b"HTTP/1.1 400", b"HTTP/1.1 404"), got[:300]
            assert SECRET not in got and FOREIGN not in got and b"aaaa" not in got
            assert not ground.asked
            await ground.check()

    run(main())


# Allowed, and read in one way only.
PASSED = {
    "chunks": chunked(b"chunked", CHUNKS),
    "coding in capitals": chunked(b"Chunked", CHUNKS),
    "chunks with extensions and trailers": chunked(b"chunked", b"%x;a=b\r\n%b\r\n0\r\nX-Sum: 1\r\n\r\n" % (len(ASK), ASK)),
    "an empty line first": b"\r\n" + sized(),
    "Host with a port": sized(host=b"Host: [::1]:8787\r\n"),
    "an encoded slash in a name": at(b"/up/v1/models/a%2Fb/chat/completions"),
    "names with underscores": sized(b"session_id: 1"),
    "an obscure field": sized(b"X-Odd: caf\xe9\xff"),
    "Connection that names a field": sized(b"Connection: close, X-Private", b"X-Private: 1"),
    "a smuggling field named as hop-by-hop": sized(b"Connection: close, Content-Length, Host, Authorization"),
    "Expect": sized(b"Expect: 100-continue"),
    "an Expect nobody knows": sized(b"Expect: a-miracle"),
}


@pytest.mark.parametrize("name", PASSED)
def test_what_is_only_unusual_passes(run, tmp_path, name):
    async def main():
        async with open_ground(tmp_path) as ground:
            ground.numbers = iter(range(10, 20))
            got = await ground.ask(PASSED[name], end=True)
            got = got.removeprefix(CONTINUE)
            assert read_answer(got) == (200, answer_to(1), True), got
            assert ground.asked == {1: 1}
            await ground.check()

    run(main())


def test_pipelined_calls_are_answered_in_order_one_at_a_time(run, tmp_path):
    async def main():
        async with open_ground(tmp_path) as ground:
            calls = [request(next(ground.numbers), connection=b"close" if last else b"keep-alive") for last in [False] * 29 + [True]]
            got = await ground.ask(b"".join(calls))
            assert [int(part.split(b",")[0]) for part in got.split(b'{"number":')[1:]] == list(range(1, 31))
            await ground.check()

    run(main())


def test_what_is_malformed_behind_a_call_is_refused_and_the_call_with_it_or_not_at_all(run, tmp_path):
    async def main():
        async with open_ground(tmp_path) as ground:
            got = await ground.ask(request(1, connection=b"keep-alive") + b"nonsense\r\n\r\n" + INNER)
            assert b"HTTP/1.1 400 " in got and SMUGGLED not in ground.asked
            assert ground.asked[1] == got.count(answer_to(1))
            ground.numbers = iter(range(10, 20))
            await ground.check()

    run(main())


def test_too_many_connections_of_one_address_are_refused_and_told_so(run, tmp_path):
    async def main():
        async with open_ground(tmp_path, limits=Limits(client_connections=3)) as ground:
            open_ones = [await ground.connect() for _ in range(3)]
            got = await ground.ask(b"")
            assert got.startswith(b"HTTP/1.1 429 ") and b"\r\nRetry-After: 1\r\n" in got and b"limits.client_connections" in got
            for _, writer in open_ones:
                writer.close()
            await ground.turn_until(lambda: not ground.server.connections)
            await ground.check()

    run(main())


def test_too_many_running_calls_of_one_address_are_refused_and_told_so(run, tmp_path):
    async def main():
        async with open_ground(tmp_path, limits=Limits(client_calls=1)) as ground:
            reader, writer = await ground.connect()
            writer.write(b"POST /up/v1/chat/completions HTTP/1.1\r\nHost: proxy\r\nContent-Length: 9\r\n\r\n{")
            await ground.turn_until(lambda: ground.plane.traffic.carrying == 1)
            got = await ground.ask(b"GET /up/v1/models HTTP/1.1\r\nHost: proxy\r\nConnection: close\r\n\r\n")
            assert got.startswith(b"HTTP/1.1 429 ") and b"\r\nRetry-After: 1\r\n" in got and b"limits.client_calls" in got
            writer.close()
            await ground.turn_until(lambda: not ground.server.connections)
            await ground.check()

    run(main())
