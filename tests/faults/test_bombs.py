"""Bombs: what unpacks to much or nests deep costs no more than 64 MiB, and passes or is refused like anything else."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from pathlib import Path

import brotli
import pytest
import zstandard

from tests.faults.ground import ASK, answer_to, open_ground, read_answer, request

MIB = 1024 * 1024
MOST_BYTES = 64 * MIB


def memory(name: str) -> int:
    """VmRSS (now) or VmHWM (the most since `forget_most`) in bytes; proc(5)."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) * 1024


def forget_most() -> None:
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")



def pack(make, finish, size: int = 160) -> bytes:
    """`size` MiB packed piece by piece, so that they never stand here as a whole."""
    piece = b"a" * MIB
    head = make(b'{"model":"m","messages":[{"role":"user","content":"')
    return head + b"".join(make(piece) for _ in range(size)) + make(b'"}]}') + finish()


def pack_gzip() -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    return pack(packer.compress, packer.flush)


def pack_brotli() -> bytes:
    packer = brotli.Compressor(quality=1)
    return pack(packer.process, packer.finish)


def pack_zstd() -> bytes:
    packer = zstandard.ZstdCompressor(level=1).compressobj()
    return pack(packer.compress, packer.flush)


def pack_twice() -> bytes:
    return gzip.compress(pack_gzip())


PACKED = {"gzip": pack_gzip, "br": pack_brotli, "zstd": pack_zstd, "gzip, gzip": pack_twice}


@pytest.fixture(scope="module")
def packed():
    made: dict[str, bytes] = {}
    return lambda name: made.setdefault(name, PACKED[name]())


@pytest.mark.parametrize("coding", PACKED)
def test_a_packed_request_costs_little(run, tmp_path, packed, coding):
    body = packed(coding)

    async def main():
        async with open_ground(tmp_path) as ground:
            before = memory("VmRSS")
            forget_most()
            got = await ground.ask(request(1, b"Content-Encoding: %b\r\n" % coding.encode(), body))
            assert memory("VmHWM") - before <= MOST_BYTES, (memory("VmHWM") - before) // MIB
            assert read_answer(got)[0] in (200, 400, 413, 415)
            ground.numbers = iter(range(10, 20))
            await ground.check()

    run(main())


@pytest.mark.parametrize("kind", [b"application/json", b"text/event-stream"])
@pytest.mark.parametrize("coding", PACKED)
def test_a_packed_answer_costs_little_and_passes_as_it_came(run, tmp_path, packed, coding, kind):
    body = packed(coding)
    head = b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nContent-Encoding: %b\r\nContent-Length: %d\r\n\r\n" % (kind, coding.encode(), len(body))

    async def main():
        async with open_ground(tmp_path, (head + body,)) as ground:
            before = memory("VmRSS")
            forget_most()
            got = await ground.ask(request(1, b"x-fault: 1\r\n"))
            assert memory("VmHWM") - before <= MOST_BYTES, (memory("VmHWM") - before) // MIB
            assert read_answer(got) == (200, body, True)
            ground.numbers = iter(range(10, 20))
            await ground.check()

    run(main())


DEEP = {
    "arrays": b"[" * MIB,
    "arrays that end": b"[" * MIB + b"]" * MIB,
    "objects": b'{"a":' * (MIB // 4),
    "objects that end": b'{"a":' * (MIB // 4) + b"1" + b"}" * (MIB // 4),
    "both": b'[{"messages":' * (MIB // 8),
    "messages": b'{"model":"m","messages":' + b"[" * MIB + b"]" * MIB + b"}",
    "content": b'{"model":"m","messages":[{"role":"user","content":' + b"[" * MIB + b"]" * MIB + b"}]}",
    "tools": b'{"model":"m","messages":[],"tools":' + b'[{"a":' * (MIB // 4) + b"1" + b"}]" * (MIB // 4) + b"}",
    "metadata": b'{"model":"m","messages":[],"metadata":' + b'{"a":' * (MIB // 4) + b"1" + b"}" * (MIB // 4) + b"}",
    "one long number": b'{"model":"m","messages":[],"max_tokens":' + b"1" * MIB + b"}",
    "one long exponent": b'{"model":"m","messages":[],"temperature":1e' + b"9" * MIB + b"}",
    "a string without end": b'{"model":"' + b"a" * MIB,
    "a model of a MiB": b'{"messages":[],"model":"' + b"a" * MIB + b'"}',
    "escapes": b'{"model":"m","messages":[{"role":"user","content":"' + b"\\u0041" * (MIB // 6) + b'"}]}',
    "lone surrogates": b'{"model":"\\ud800","messages":[{"role":"user","content":"' + b"\\udfff" * 1000 + b'"}]}',
    "many keys": b'{"model":"m","messages":[],' + b",".join(b'"k%d":%d' % (key, key) for key in range(100_000)) + b"}",
    "one key many times": b"{" + b'"model":"m",' * 100_000 + b'"messages":[]}',
    "many messages": b'{"model":"m","messages":[' + b'{"role":"user","content":"a"},' * 50_000 + b'{"role":"user","content":"a"}]}',
    "empty arrays": b'{"model":"m","messages":[' + b"[]," * 300_000 + b"[]]}",
    "no UTF-8": b'{"model":"m","messages":"\xff\xfe"}',
    "NaN": b'{"model":"m","messages":[],"max_tokens":NaN}',
    "NULs": b"\x00" * MIB,
    "only spaces": b" " * MIB,
}


@pytest.mark.parametrize("name", DEEP)
def test_deep_and_odd_json_in_a_request_is_refused_or_passes(run, tmp_path, name):
    async def main():
        async with open_ground(tmp_path) as ground:
            before = memory("VmRSS")
            forget_most()
            got = read_answer(await ground.ask(request(1, body=DEEP[name])))
            assert memory("VmHWM") - before <= MOST_BYTES, (memory("VmHWM") - before) // MIB
            assert got == (200, answer_to(1), True) or (got[0] == 400 and not ground.asked), got
            ground.numbers = iter(range(10, 20))
            await ground.check()

    run(main())


@pytest.mark.parametrize("kind", ["whole", "events"])
@pytest.mark.parametrize("name", DEEP)
def test_deep_and_odd_json_in_an_answer_passes_as_it_came(run, tmp_path, name, kind):
    events = kind == "events"
    body = b"data: " + DEEP[name] + b"\n\ndata: [DONE]\n\n" if events else DEEP[name]
    head = b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nContent-Length: %d\r\n\r\n" % (b"text/event-stream" if events else b"application/json", len(body))

    async def main():
        async with open_ground(tmp_path, (head + body,)) as ground:
            before = memory("VmRSS")
            forget_most()
            ask = ASK[:-1] + b',"stream":true}' if events else ASK
            got = await ground.ask(request(1, b"x-fault: 1\r\n", ask))
            assert memory("VmHWM") - before <= MOST_BYTES, (memory("VmHWM") - before) // MIB
            assert read_answer(got) == (200, body, True)
            ground.numbers = iter(range(10, 20))
            await ground.check()

    run(main())


def test_a_stream_whose_line_never_ends_passes_and_is_not_kept(run, tmp_path):
    async def flood(exchange):
        await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: {")
        for _ in range(192):
            await exchange.send(b"x" * MIB)

    async def main():
        async with open_ground(tmp_path, (flood,)) as ground:
            before = memory("VmRSS")
            forget_most()
            reader, writer = await asyncio.open_connection("127.0.0.1", ground.port)
            writer.write(request(1, b"x-fault: 1\r\n", ASK[:-1] + b',"stream":true}'))
            length = 0
            while piece := await reader.read(MIB):
                length += len(piece)
            assert length > 192 * MIB and memory("VmHWM") - before <= MOST_BYTES, (memory("VmHWM") - before) // MIB
            writer.close()
            ground.numbers = iter(range(10, 20))
            await ground.check()

    run(main())
