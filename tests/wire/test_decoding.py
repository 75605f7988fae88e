"""The decoder of compressed copies: every coding, any chunking, chains, garbage and bombs."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib
from collections.abc import Callable

import brotli
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from proxy.wire.decoding import decoder


def raw_deflate(data: bytes) -> bytes:
    engine = zlib.compressobj(wbits=-15)
    return engine.compress(data) + engine.flush()


CODINGS: list[tuple[str, Callable[[bytes], bytes]]] = [
    ("gzip", gzip.compress),
    ("x-gzip", lambda data: gzip.compress(data) + gzip.compress(b"")),
    ("deflate", zlib.compress),
    ("Deflate", raw_deflate),
    ("br", brotli.compress),
    ("zstd", zstandard.compress),
    ("zstd", lambda data: zstandard.compress(data[:10]) + zstandard.compress(data[10:])),
    ("gzip", lambda data: gzip.compress(data[:10]) + gzip.compress(data[10:])),
    ("identity", bytes),
    ("", bytes),
    ("gzip, br", lambda data: brotli.compress(gzip.compress(data))),
    ("identity, zstd , gzip", lambda data: gzip.compress(zstandard.compress(data))),
]
each_coding = pytest.mark.parametrize(("coding", "encode"), CODINGS, ids=[f"{name}-{at}" for at, (name, _) in enumerate(CODINGS)])
TEXT = b"".join(b"data: %d and more\n\n" % number for number in range(3000))


@each_coding
@pytest.mark.parametrize("size", [1, 100, 1 << 20])
def test_any_chunking_gives_the_content(coding: str, encode: Callable[[bytes], bytes], size: int) -> None:
    body = encode(TEXT)
    unpack = decoder(coding, len(TEXT))
    assert b"".join(unpack.feed(body[at : at + size]) for at in range(0, len(body), size)) == TEXT
    assert not unpack.failed


def test_what_was_flushed_comes_at_once() -> None:
    engine = zlib.compressobj(wbits=31)
    first = engine.compress(b"data: 1\n\n") + engine.flush(zlib.Z_SYNC_FLUSH)
    assert decoder("gzip", 1000).feed(first) == b"data: 1\n\n"


@each_coding
def test_more_than_the_limit_fails_and_gives_nothing_more(coding: str, encode: Callable[[bytes], bytes]) -> None:
    unpack = decoder(coding, len(TEXT) - 1)
    assert len(unpack.feed(encode(TEXT))) < len(TEXT)
    assert unpack.failed
    assert unpack.feed(b"more") == b""


@pytest.mark.parametrize(("coding", "encode"), [case for case in CODINGS if case[0] not in ("identity", "")])
def test_a_bomb_is_harmless(coding: str, encode: Callable[[bytes], bytes]) -> None:
    bomb = encode(bytes(64 * 1024 * 1024))
    tracemalloc.start()
    unpack = decoder(coding, 1024 * 1024)
    for at in range(0, len(bomb), 65536):
        unpack.feed(bomb[at : at + 65536])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert unpack.failed
    assert peak < 24 * 1024 * 1024


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd", "gzip, br"])
@given(st.binary(min_size=1, max_size=300))
def test_garbage_never_raises(coding: str, garbage: bytes) -> None:
    unpack = decoder(coding, 10_000)
    unpack.feed(garbage)
    unpack.feed(b"")
    unpack.feed(garbage)


@pytest.mark.parametrize("coding", ["compress", "gzip, compress", "gzip, gzip, gzip, gzip"])
def test_what_it_cannot_decode_fails(coding: str) -> None:
    unpack = decoder(coding, 1000)
    assert unpack.failed
    assert unpack.feed(b"x") == b""


def test_padding_behind_the_end_is_passed_by() -> None:
    unpack = decoder("gzip", 1000)
    assert unpack.feed(gzip.compress(b"x") + b"\0\0\0") == b"x"
    assert not unpack.failed
