"""Answers that are malformed, ambiguous or cut: refused, or broken off where the client sees it; never taken for whole."""

from __future__ import annotations

import asyncio

import pytest

from tests.faults.ground import FOREIGN, Exchange, half_close, open_ground, read_answer, request, reset

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
BODY = b'{"a":"b"}'
PIECE = b"9\r\n" + BODY + b"\r\n"


async def seen(exchange: Exchange) -> None:
    """Wait until the client has what was sent up to now."""
    await asyncio.wait_for(exchange.ground.client_saw.wait(), 5)


def sized(extra: bytes, length: bytes = b"9", status: bytes = b"HTTP/1.1 200 OK") -> bytes:
    return status + b"\r\nContent-Length: " + length + b"\r\n" + extra + b"\r\n" + BODY


def coded(*values: bytes, extra: bytes = b"", body: bytes = PIECE + b"0\r\n\r\n") -> bytes:
    return OK + b"".join(b"Transfer-Encoding: " + value + b"\r\n" for value in values) + extra + b"\r\n" + body


# Refused before a byte of it has gone on: status 502.
REFUSED = {
    "coding xchunked": coded(b"xchunked"),
    "coding identity": coded(b"identity"),
    "coding chunked, identity": coded(b"chunked, identity"),
    "coding identity, chunked": coded(b"identity, chunked"),
    "coding gzip, chunked": coded(b"gzip, chunked"),
    "coding quoted": coded(b'"chunked"'),
    "coding chunked twice": coded(b"chunked", b"chunked"),
    "coding chunked, chunked": coded(b"chunked, chunked"),
    "coding chunked; with parameter": coded(b"chunked;q=1"),
    "coding with a vertical tab": coded(b"\x0bchunked"),
    "coding empty": coded(b""),
    "coding with a space before the colon": OK + b"Transfer-Encoding : chunked\r\n\r\n" + PIECE + b"0\r\n\r\n",
    "coding folded": OK + b"Transfer-Encoding:\r\n chunked\r\n\r\n" + PIECE + b"0\r\n\r\n",
    "coding beside a length": coded(b"chunked", extra=b"Content-Length: 3\r\n"),
    "length before a coding": OK + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n" + PIECE + b"0\r\n\r\n",
    "coding in HTTP/1.0": b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + PIECE + b"0\r\n\r\n",
    "two lengths that differ": sized(b"Content-Length: 3\r\n"),
    "two lengths in one": sized(b"", b"9, 9"),
    "length negative": sized(b"", b"-9"),
    "length with a sign": sized(b"", b"+9"),
    "length hexadecimal": sized(b"", b"0x9"),
    "length empty": sized(b"", b""),
    "length with a letter": sized(b"", b"9a"),
    "length too large for 64 bits": sized(b"", b"99999999999999999999999"),
    "length with a space within": sized(b"", b"9 9"),
    "status 000": sized(b"", status=b"HTTP/1.1 000 Nothing"),
    "status 099": sized(b"", status=b"HTTP/1.1 099 Low"),
    "status 600": sized(b"", status=b"HTTP/1.1 600 High"),
    "status 999": sized(b"", status=b"HTTP/1.1 999 Higher"),
    "status of two digits": sized(b"", status=b"HTTP/1.1 20 OK"),
    "status of four digits": sized(b"", status=b"HTTP/1.1 2000 OK"),
    "status negative": sized(b"", status=b"HTTP/1.1 -200 OK"),
    "status a word": sized(b"", status=b"HTTP/1.1 OK"),
    "101 unasked": b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n" + FOREIGN,
    "101 without upgrade": b"HTTP/1.1 101 Switching Protocols\r\n\r\n" + FOREIGN,
    "version 0.9": sized(b"", status=b"HTTP/0.9 200 OK"),
    "version 2.0": sized(b"", status=b"HTTP/2.0 200 OK"),
    "version 1.2": sized(b"", status=b"HTTP/1.2 200 OK"),
    "version 1.10": sized(b"", status=b"HTTP/1.10 200 OK"),
    "version lower case": sized(b"", status=b"http/1.1 200 OK"),
    "no version at all": BODY,
    "another protocol": b"SSH-2.0-OpenSSH_9.6\r\n",
    "a request for an answer": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "head with bare CR": b"HTTP/1.1 200 OK\rContent-Length: 9\r\r" + BODY,
    "field with NUL": sized(b"X: a\x00b\r\n"),
    "field with bare CR": sized(b"X: a\rb\r\n"),
    "field name with a space": sized(b"X Y: a\r\n"),
    "field without a colon": sized(b"nonsense\r\n"),
    "field without a name": sized(b": a\r\n"),
    "field folded": sized(b"X: a\r\n b\r\n"),
    "field name outside ASCII": sized(b"X\xe9: a\r\n"),
    "reason with NUL": sized(b"", status=b"HTTP/1.1 200 O\x00K"),
    "a field of 300 KiB": sized(b"X: " + b"a" * 300 * 1024 + b"\r\n"),
    "20,000 fields": sized(b"X: aaaaaaaaaaaa\r\n" * 20_000),
    "a reason of 300 KiB": sized(b"", status=b"HTTP/1.1 200 " + b"a" * 300 * 1024),
    "a head without end": OK + b"X: y\r\n" * 60_000,
    "a flood of 1xx": b"HTTP/1.1 102 Processing\r\n\r\n" * 20_000 + sized(b""),
    "a flood of 100 without end": b"HTTP/1.1 100 Continue\r\nX: 1\r\n\r\n" * 20_000,
    "nothing at all": b"",
    "an empty line and the end": b"\r\n",
    "cut in the version": b"HTT",
    "cut in the status": b"HTTP/1.1 20",
    "cut in a field": OK[:-20],
    "cut before the blank line": OK,
    "cut in the blank line": OK + b"\r",
    "cut after 100": b"HTTP/1.1 100 Continue\r\n\r\n",
}
LARGE = {name for name, data in REFUSED.items() if len(data) > 10_000}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_exactly_framed_is_refused(run, tmp_path, name):
    async def main():
        async with open_ground(tmp_path, (REFUSED[name],)) as ground:
            status, body, whole = read_answer(await ground.ask(request(next(ground.numbers), b"x-fault: 1\r\n")))
            assert (status, whole) == (502, True), (status, body[:200])
            assert FOREIGN not in body and b'"code":"upstream_' in body
            await ground.check()

    run(main())


@pytest.mark.parametrize("name", sorted(REFUSED.keys() - LARGE))
def test_what_comes_byte_by_byte_is_refused_all_the_same(run, tmp_path, name):
    async def main():
        async with open_ground(tmp_path, (REFUSED[name],), bytewise=True) as ground:
            status, body, whole = read_answer(await ground.ask(request(next(ground.numbers), b"x-fault: 1\r\n")))
            assert (status, whole) == (502, True), (status, body[:200])
            await ground.check()

    run(main())


# Broken off where a client sees it: the head may have gone on, the end never does.
CUT = {
    "in a body by length": (OK + b"Content-Length: 20\r\n\r\n" + BODY,),
    "in a body by length, later": (OK + b"Content-Length: 20\r\n\r\n" + BODY, seen, b"x"),
    "before a body by length": (OK + b"Content-Length: 20\r\n\r\n",),
    "before the last byte": (OK + b"Content-Length: 10\r\n\r\n" + BODY,),
    "before the first chunk": (CHUNKED,),
    "in a chunk's size": (CHUNKED + PIECE, seen, b"1"),
    "after a chunk's size": (CHUNKED + PIECE, seen, b"9\r\n"),
    "in a chunk": (CHUNKED + PIECE, seen, b"9\r\n" + BODY[:4]),
    "after a chunk's bytes": (CHUNKED + PIECE, seen, b"9\r\n" + BODY),
    "before the last chunk": (CHUNKED + PIECE, seen),
    "in the last chunk": (CHUNKED + PIECE, seen, b"0\r\n"),
    "in the trailers": (CHUNKED + PIECE, seen, b"0\r\nX-Sum: 1\r\n"),
    "in a trailer": (CHUNKED + PIECE, seen, b"0\r\nX-Su"),
    "reset in a body by length": (OK + b"Content-Length: 20\r\n\r\n" + BODY, seen, reset),
    "reset in a body until the end": (OK + b"\r\n" + BODY, seen, reset),
    "reset before the last chunk": (CHUNKED + PIECE, seen, reset),
    "reset in the trailers": (CHUNKED + PIECE, seen, b"0\r\nX-Sum: 1\r\n", seen, reset),
    "half-close in a body by length": (OK + b"Content-Length: 20\r\n\r\n" + BODY, half_close),
    "half-close before the last chunk": (CHUNKED + PIECE, seen, half_close),
    "chunk size a word": (CHUNKED + b"zz\r\n" + BODY,),
    "chunk size a word, later": (CHUNKED + PIECE, seen, b"zz\r\n" + BODY),
    "chunk size negative": (CHUNKED + PIECE, seen, b"-9\r\n" + BODY),
    "chunk size with 0x": (CHUNKED + PIECE, seen, b"0x9\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "chunk size with a plus": (CHUNKED + PIECE, seen, b"+9\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "chunk size empty": (CHUNKED + PIECE, seen, b"\r\n" + BODY),
    "chunk size over 64 bits": (CHUNKED + PIECE, seen, b"f" * 17 + b"\r\n" + BODY),
    "chunk size underscored": (CHUNKED + PIECE, seen, b"0_9\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "chunk size before a bare LF": (CHUNKED + PIECE, seen, b"9\n" + BODY + b"\r\n0\r\n\r\n"),
    "chunk longer than its size": (CHUNKED + PIECE, seen, b"3\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "chunk shorter than its size": (CHUNKED + PIECE, seen, b"c\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "chunk without its CRLF": (CHUNKED + PIECE, seen, b"9\r\n" + BODY + b"0\r\n\r\n"),
    "chunk with LF for CRLF": (CHUNKED + PIECE, seen, b"9\r\n" + BODY + b"\n0\r\n\r\n"),
    "extension with a bare LF": (CHUNKED + PIECE, seen, b"9;a=\nb\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "extension with NUL": (CHUNKED + PIECE, seen, b"9;a=\x00\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "extension of 1 MiB": (CHUNKED + PIECE, seen, b"9;a=" + b"x" * (1 << 20) + b"\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "trailer without a colon": (CHUNKED + PIECE, seen, b"0\r\nnonsense\r\n\r\n"),
    "trailer with NUL": (CHUNKED + PIECE, seen, b"0\r\nX: \x00\r\n\r\n"),
    "trailer of 1 MiB": (CHUNKED + PIECE, seen, b"0\r\nX: " + b"a" * (1 << 20) + b"\r\n\r\n"),
    "60,000 trailers": (CHUNKED + PIECE, seen, b"0\r\n" + b"X-Trailer: 1\r\n" * 60_000 + b"\r\n"),
}


@pytest.mark.parametrize("name", CUT)
def test_what_breaks_off_is_seen_to_break_off(run, tmp_path, name):
    async def main():
        async with open_ground(tmp_path, CUT[name]) as ground:
            status, body, whole = read_answer(await ground.ask(request(next(ground.numbers), b"x-fault: 1\r\n")))
            assert (status, whole) in ((200, False), (502, True), (0, False)), body[:200]
            await ground.check()

    run(main())


def _differs_under_tls(name):
    """Not floods; and TLS knows no half-close."""
    steps = CUT[name]
    is_flood = sum(len(step) for step in steps if isinstance(step, bytes)) > 10_000
    return "later" not in name and not is_flood and half_close not in steps


@pytest.mark.parametrize("name", sorted(filter(_differs_under_tls, CUT)))
def test_what_breaks_off_under_tls_is_seen_as_well(run, tmp_path, certificate, name):
    async def main():
        async with open_ground(tmp_path, CUT[name], certificate=certificate) as ground:
            status, body, whole = read_answer(await ground.ask(request(next(ground.numbers), b"x-fault: 1\r\n")))
            assert (status, whole) in ((200, False), (502, True), (0, False)), body[:200]
            await ground.check()

    run(main())


# Unusual, and yet unambiguous: passed on whole.
WHOLE = {
    "by length": (sized(b""),),
    "by chunks of one byte": (CHUNKED + b"".join(b"1\r\n%c\r\n" % byte for byte in BODY) + b"0\r\n\r\n",),
    "by the end of the connection": (OK + b"\r\n" + BODY,),
    "after interim answers": (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + sized(b""),),
    "with extensions and trailers": (CHUNKED + b'9;a=b;c="d"\r\n' + BODY + b"\r\n0\r\nX-Sum: 1\r\n\r\n",),
    "with a chunk size in capitals and zeros": (CHUNKED + b"0009\r\n" + BODY + b"\r\n000\r\n\r\n",),
    "with a coding in capitals": (coded(b"CHUNKED"),),
    "without a reason": (sized(b"", status=b"HTTP/1.1 200 "),),
    "in HTTP/1.0": (sized(b"", status=b"HTTP/1.0 200 OK"),),
    "after an empty line": (b"\r\n" + sized(b""),),
    "then half-closed": (sized(b""), half_close),
    "then reset": (sized(b""), seen, reset),
}


@pytest.mark.parametrize("bytewise", [False, True], ids=["at once", "byte by byte"])
@pytest.mark.parametrize("name", WHOLE)
def test_what_is_whole_arrives_whole(run, tmp_path, name, bytewise):
    async def main():
        async with open_ground(tmp_path, WHOLE[name], bytewise=bytewise) as ground:
            got = read_answer(await ground.ask(request(next(ground.numbers), b"x-fault: 1\r\n")))
            assert got == (200, BODY, True)
            await ground.check()

    run(main())
