"""Seams: where, in the bytes of a stream, whole events end, and how events of ours are written behind them.

The parsers of framings normalise and buffer what they read; a seam speaks of the bytes as they were passed on. It is told of
each piece, and asked only about the last one.
"""

from __future__ import annotations

import re
import struct
import zlib
from typing import Protocol

from proxy.wire.eventstream import EventStreamParser
from proxy.wire.jsonarray import ArrayParser
from proxy.wire.ndjson import LineParser
from proxy.wire.sse import Event, SseParser

_EMPTY_LINE = re.compile(rb"(?>\r\n|\n|\r)(?>\r\n|\n|\r)")
_KEPT = 16
_PRELUDE = struct.Struct(">II")
_EXCEPTION = b"exception:"


class Seam(Protocol):
    """Of one stream."""

    def pass_by(self, data: bytes) -> None:
        """A piece has been given to the parser."""

    def find_end(self, data: bytes) -> int | None:
        """Behind which byte of the last piece its last event ends; 0 if the one before it ended with an event; else None."""

    def write(self, data: bytes, events: list[Event]) -> bytes | None:
        """The bytes of events that follow on `data`, the last piece up to that place. None: nothing can follow."""


class SseSeam:
    """Of server-sent events: behind an empty line, whatever its line ends are."""

    __slots__ = ("_before", "_last")

    def __init__(self) -> None:
        self._before = b""  # the last bytes before the last piece
        self._last = b""

    def pass_by(self, data: bytes) -> None:
        self._before = self._last
        self._last = (self._last + data[-3:])[-3:]

    def find_end(self, data: bytes) -> int | None:
        end = -1
        for found in _EMPTY_LINE.finditer(self._before + data):
            end = found.end() - len(self._before)
        if not self._before and not data:  # nothing has come yet
            return 0
        return end if end >= 0 else None

    def write(self, data: bytes, events: list[Event]) -> bytes | None:
        broken_line = b"\n" if (self._before + data).endswith(b"\r") else b""  # the other half of a CRLF
        return broken_line + b"".join(b"event: %b\ndata: %b\n\n" % event if event[0] else b"data: %b\n\n" % event[1] for event in events)


class LineSeam:
    """Of lines of JSON."""

    __slots__ = ("_before", "_last")

    def __init__(self) -> None:
        self._before = self._last = b""

    def pass_by(self, data: bytes) -> None:
        self._before = self._last
        self._last = data[-1:] or self._last

    def find_end(self, data: bytes) -> int | None:
        end = data.rfind(b"\n") + 1
        return end if end or self._before in (b"", b"\n") else None

    def write(self, data: bytes, events: list[Event]) -> bytes | None:
        return b"".join(event[1] + b"\n" for event in events)


class ArraySeam:
    """Of the elements of a JSON array, which ours close."""

    __slots__ = ("_parser", "_before", "_last")

    def __init__(self, parser: ArrayParser) -> None:
        self._parser = parser
        self._before = self._last = b""  # the last bytes that are no blanks

    def pass_by(self, data: bytes) -> None:
        self._before = self._last
        self._last = data[-_KEPT:].rstrip()[-1:] or data.rstrip()[-1:] or self._last

    def find_end(self, data: bytes) -> int | None:
        return _behind(data, self._parser.partial_bytes)

    def write(self, data: bytes, events: list[Event]) -> bytes | None:
        last = data.rstrip()[-1:] or self._before
        opening = {b"": b"[", b"[": b"", b",": b"", b"}": b","}.get(last)
        return None if opening is None else opening + b",\n".join(data for _, data in events) + b"]"


class FrameSeam:
    """Of Amazon's binary event stream."""

    __slots__ = ("_parser",)

    def __init__(self, parser: EventStreamParser) -> None:
        self._parser = parser

    def pass_by(self, data: bytes) -> None:
        """The parser knows all."""

    def find_end(self, data: bytes) -> int | None:
        return _behind(data, self._parser.partial_bytes)

    def write(self, data: bytes, events: list[Event]) -> bytes | None:
        return b"".join(_write_frame(name, payload) for name, payload in events)


def _behind(data: bytes, partial_bytes: int | None) -> int | None:
    return len(data) - partial_bytes if partial_bytes is not None and partial_bytes <= len(data) else None


def _write_frame(name: bytes, payload: bytes) -> bytes:
    """An event, or an exception, whose name its parser gives as `exception:<type>`."""
    is_exception = name.startswith(_EXCEPTION)
    kind = (b":exception-type", name.removeprefix(_EXCEPTION)) if is_exception else (b":event-type", name)
    given = (kind, (b":content-type", b"application/json"), (b":message-type", b"exception" if is_exception else b"event"))
    headers = b"".join(b"%c%b\x07%b%b" % (len(word), word, len(value).to_bytes(2, "big"), value) for word, value in given)
    prelude = _PRELUDE.pack(len(headers) + len(payload) + 16, len(headers))
    message = prelude + zlib.crc32(prelude).to_bytes(4, "big") + headers + payload
    return message + zlib.crc32(message).to_bytes(4, "big")


def open_seam(parser: SseParser | LineParser | ArrayParser | EventStreamParser) -> Seam:
    """The seam of the stream that a parser reads."""
    if isinstance(parser, SseParser):
        return SseSeam()
    if isinstance(parser, LineParser):
        return LineSeam()
    return ArraySeam(parser) if isinstance(parser, ArrayParser) else FrameSeam(parser)
