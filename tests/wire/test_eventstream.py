"""Amazon's binary event stream: against botocore's own messages where it is there, any chunking the same, checksums, bounds."""

from __future__ import annotations

import struct
import zlib

from hypothesis import given
from hypothesis import strategies as st

from proxy.wire.eventstream import EventStreamParser


def message(payload: bytes, headers: dict[bytes, bytes] | None = None, extra: bytes = b"") -> bytes:
    """A message with string headers; `extra` are further header bytes."""
    block = b"".join(bytes([len(name)]) + name + b"\x07" + struct.pack(">H", len(value)) + value for name, value in (headers or {}).items()) + extra
    total = 16 + len(block) + len(payload)
    prelude = struct.pack(">II", total, len(block))
    body = prelude + struct.pack(">I", zlib.crc32(prelude)) + block + payload
    return body + struct.pack(">I", zlib.crc32(body))


def event(name: str, payload: bytes) -> bytes:
    return message(payload, {b":event-type": name.encode(), b":message-type": b"event"})


def parse(pieces: list[bytes]) -> tuple[list[tuple[bytes, bytes]], bool]:
    parser = EventStreamParser()
    events = [one for piece in pieces for one in parser.feed(piece)]
    return events + parser.end(), parser.failed


def test_events_exceptions_and_other_headers() -> None:
    body = event("metadata", b"{}")
    body += message(b'{"message":"slow"}', {b":exception-type": b"throttlingException", b":message-type": b"exception"})
    body += message(b"x", {b":message-type": b"error", b":error-code": b"Internal"})
    body += message(b"y", extra=b"\x01a\x00\x01b\x05" + bytes(8) + b"\x0b:event-type\x07\x00\x01z")
    assert parse([body]) == (
        [(b"metadata", b"{}"), (b"exception:throttlingException", b'{"message":"slow"}'), (b"exception:Internal", b"x"), (b"z", b"y")],
        False,
    )


@given(st.lists(st.binary(max_size=30), max_size=5), st.integers(1, 25))
def test_any_chunking_reads_the_same(payloads: list[bytes], size: int) -> None:
    body = b"".join(event("chunk", payload) for payload in payloads)
    events, failed = parse([body[at : at + size] for at in range(0, len(body), size)])
    assert events == [(b"chunk", payload) for payload in payloads]
    assert not failed


@given(st.integers(0, 60), st.integers(1, 255), st.integers(1, 7))
def test_a_changed_byte_ends_the_reading(place: int, change: int, size: int) -> None:
    good, bad = event("a", b"1"), bytearray(event("b", b"22"))
    bad[place % len(bad)] ^= change
    body = good + bytes(bad) + good
    events, failed = parse([body[at : at + size] for at in range(0, len(body), size)])
    assert events == [(b"a", b"1")]
    assert failed


def test_a_message_over_the_limit_passes_by() -> None:
    body = event("a", b"1") + event("b", b"x" * 5000) + event("c", b"2")
    for size in (1, 700, len(body)):
        parser = EventStreamParser(limit=1000)
        events = []
        for at in range(0, len(body), size):
            events += parser.feed(body[at : at + size])
            assert len(parser._buffer) <= 1000
        assert events == [(b"a", b"1"), (b"c", b"2")]
        assert len(parser.cut) == 1


@given(st.binary(max_size=200))
def test_garbage_never_raises(body: bytes) -> None:
    parse([body, body])
