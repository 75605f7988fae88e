"""Amazon's binary event stream (`application/vnd.amazon.eventstream`), incrementally.

A message is: total length, header length, CRC of these 8 bytes (all 4 bytes, big-endian), headers, payload, CRC of all before it.
A header is: name length (1 byte), name, type (1 byte), value; strings (type 7) and bytes (6) carry 2 bytes of length. Format:
https://docs.aws.amazon.com/transcribe/latest/dg/event-stream.html. A wrong checksum ends the reading: nothing behind it can be trusted.
"""

from __future__ import annotations

import struct
import zlib

from proxy.wire.sse import EVENT_LIMIT, Event

_PRELUDE = struct.Struct(">III")
_FIXED = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}  # header type → bytes of its value
_MOST_MESSAGE = 32 * 1024 * 1024


class EventStreamParser:
    """`feed` gives (event type, payload) pairs; an exception's type is `exception:<type>`, an error's `exception:<code>`."""

    __slots__ = ("cut", "failed", "_limit", "_buffer", "_skip")

    def __init__(self, limit: int = EVENT_LIMIT) -> None:
        self.cut: list[bytes] = []
        self.failed = False
        self._limit = limit
        self._buffer = bytearray()
        self._skip = 0  # bytes of a message over the limit still to pass by

    def feed(self, data: bytes) -> list[Event]:
        events: list[Event] = []
        if self.failed:
            return events
        if self._skip:
            passed = min(self._skip, len(data))
            self._skip -= passed
            data = data[passed:]
        buffer = self._buffer
        buffer += data
        place = 0
        while len(buffer) - place >= _PRELUDE.size and not self.failed:
            total, header_size, checksum = _PRELUDE.unpack_from(buffer, place)
            if zlib.crc32(buffer[place : place + 8]) != checksum or not 16 + header_size <= total <= _MOST_MESSAGE:
                self.failed = True
            elif total > self._limit:
                rest = total - (len(buffer) - place)
                self.cut.append(b"")
                self._skip = max(rest, 0)
                place = min(place + total, len(buffer))
            elif len(buffer) - place < total:
                break
            else:
                self._take(bytes(buffer[place : place + total]), header_size, events)
                place += total
        del buffer[:place]
        if self.failed:
            buffer.clear()
        return events

    def end(self) -> list[Event]:
        return []

    @property
    def partial_bytes(self) -> int | None:
        """How many of the bytes fed last belong to a message that has not ended; None where that is not known."""
        return None if self.failed or self._skip else len(self._buffer)

    def _take(self, message: bytes, header_size: int, events: list[Event]) -> None:
        if zlib.crc32(message[:-4]) != int.from_bytes(message[-4:], "big"):
            self.failed = True
            return
        headers = _read_headers(message[12 : 12 + header_size])
        name = headers.get(b":event-type", b"")
        if headers.get(b":message-type") in (b"exception", b"error"):
            name = b"exception:" + (headers.get(b":exception-type") or headers.get(b":error-code") or b"")
        events.append((name, message[12 + header_size : -4]))


def _read_headers(block: bytes) -> dict[bytes, bytes]:
    """The string and bytes headers; reading stops at anything malformed."""
    headers: dict[bytes, bytes] = {}
    place = 0
    while place < len(block):
        name_end = place + 1 + block[place]
        if name_end >= len(block):
            break
        name, kind = block[place + 1 : name_end], block[name_end]
        place = name_end + 1
        if kind in (6, 7):
            size = int.from_bytes(block[place : place + 2], "big")
            headers[name] = block[place + 2 : place + 2 + size]
            place += 2 + size
        elif kind in _FIXED:
            place += _FIXED[kind]
        else:
            break
    return headers
