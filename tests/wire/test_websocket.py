"""The frame tap: RFC 6455 and RFC 7692, any chunking the same, bounds."""

from __future__ import annotations

import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.wire.websocket import FrameTap, agree_deflate, make_frames


def frame(payload: bytes, kind: int = 1, *, final: bool = True, mask: bytes = b"", squeezed: bool = False) -> bytes:
    first = (0x80 if final else 0) | (0x40 if squeezed else 0) | kind
    size = len(payload)
    if size < 126:
        head = bytes([first, size | (0x80 if mask else 0)])
    elif size < 65536:
        head = bytes([first, 126 | (0x80 if mask else 0)]) + struct.pack(">H", size)
    else:
        head = bytes([first, 127 | (0x80 if mask else 0)]) + struct.pack(">Q", size)
    if mask:
        payload = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))
    return head + mask + payload


def tap(pieces: list[bytes], **options: object) -> tuple[list[bytes], bool, int]:
    one = FrameTap(**options)
    messages = [message for piece in pieces for message in one.feed(piece)]
    return messages, one.failed, one.dropped


class Deflater:
    def __init__(self) -> None:
        self.engine = zlib.compressobj(wbits=-15)

    def squeeze(self, data: bytes) -> bytes:
        return (self.engine.compress(data) + self.engine.flush(zlib.Z_SYNC_FLUSH)).removesuffix(b"\x00\x00\xff\xff")


def test_messages_fragments_and_control_frames() -> None:
    body = frame(b"one") + frame(b"tw", final=False) + frame(b"ping", 9) + frame(b"o", 0) + frame(b"\x00", 2) + frame(b"", 1) + frame(b"", 8)
    assert tap([body]) == ([b"one", b"two", b""], False, 0)


@given(st.lists(st.tuples(st.binary(max_size=300), st.booleans(), st.binary(min_size=4, max_size=4) | st.just(b"")), max_size=5), st.integers(1, 50))
def test_any_chunking_reads_the_same(messages: list[tuple[bytes, bool, bytes]], size: int) -> None:
    deflater = Deflater()
    body = b""
    for payload, squeezed, mask in messages:
        content = deflater.squeeze(payload) if squeezed else payload
        body += frame(content[:7], final=False, mask=mask, squeezed=squeezed) + frame(content[7:], 0, mask=mask)
    expected = ([payload for payload, _, _ in messages], False, 0)
    assert tap([body], deflate=True) == expected
    assert tap([body[at : at + size] for at in range(0, len(body), size)], deflate=True) == expected


def test_long_frames() -> None:
    for size in (125, 126, 65535, 65536, 200_001):
        payload = bytes(at * 7 % 251 for at in range(size))
        body = frame(payload, mask=b"\x01\x02\x03\x04")
        assert tap([body[at : at + 1001] for at in range(0, len(body), 1001)]) == ([payload], False, 0)


def test_compression_without_context() -> None:
    body = b"".join(frame(Deflater().squeeze(b"hello hello"), squeezed=True) for _ in range(3))
    assert tap([body], deflate=True, keeps_context=False) == ([b"hello hello"] * 3, False, 0)


def test_a_message_over_the_limit_is_dropped_and_the_next_one_read() -> None:
    deflater = Deflater()
    body = frame(deflater.squeeze(b"x" * 5000), squeezed=True) + frame(deflater.squeeze(b"x" * 400), squeezed=True) + frame(b"y" * 5000) + frame(b"z")
    for size in (1, len(body)):
        pieces = [body[at : at + size] for at in range(0, len(body), size)]
        assert tap(pieces, deflate=True, limit=1000) == ([b"x" * 400, b"z"], False, 2)


def test_a_bomb_ends_the_reading() -> None:
    engine = zlib.compressobj(wbits=-15)
    bomb = b"".join(engine.compress(bytes(1 << 20)) for _ in range(80)) + engine.flush(zlib.Z_SYNC_FLUSH)
    one = FrameTap(deflate=True)
    assert one.feed(frame(bomb, squeezed=True) + frame(b"z")) == []
    assert one.failed
    assert one.feed(frame(b"z")) == []


@pytest.mark.parametrize(
    "body",
    [
        frame(b"x", 3),  # a reserved opcode
        frame(b"x", 0),  # a continuation of nothing
        frame(b"x", final=False) + frame(b"y"),  # a message within a message
        frame(b"x" * 126, 9),  # a control frame that is too long
        frame(b"x", 9, final=False),
        frame(b"x", squeezed=True),  # compressed though it was not agreed
        b"\xf1\x01x",  # reserved bits
        b"\x81\xff" + b"\xff" * 8 + b"mask",
        b"HTTP/1.1 200 OK\r\n\r\n",
    ],
)
def test_what_is_no_websocket_fails(body: bytes) -> None:
    assert tap([body + frame(b"z")]) == ([], True, 0)


def test_bad_compression_fails() -> None:
    assert tap([frame(b"\xff\xff\xff", squeezed=True)], deflate=True)[1]


@given(st.lists(st.binary(max_size=50), max_size=6))
def test_garbage_never_raises(pieces: list[bytes]) -> None:
    tap(pieces, deflate=True)
    tap(pieces)


def test_what_was_agreed() -> None:
    assert agree_deflate("", "client") == (False, True)
    assert agree_deflate("x-other, permessage-deflate; server_no_context_takeover; client_max_window_bits=12", "server") == (True, False)
    assert agree_deflate("permessage-deflate; server_no_context_takeover", "client") == (True, True)


@pytest.mark.parametrize("size", [0, 125, 126, 65535, 65536])
def test_frames_of_ours_are_read_by_a_client(size: int) -> None:
    message = b"x" * size
    data = make_frames(message, 1008, "policy_budget_exhausted")
    assert FrameTap().feed(data) == [message]
    assert data.endswith(b"\x88\x19" + (1008).to_bytes(2, "big") + b"policy_budget_exhausted")
