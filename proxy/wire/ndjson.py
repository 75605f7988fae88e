"""Newline-delimited JSON, incrementally: bytes in, whole lines out, however the bytes are split."""

from __future__ import annotations

from proxy.wire.sse import EVENT_LIMIT, KEPT, Event


class LineParser:
    """`feed` and `end` give one unnamed event a line that is not blank. Of a line over the limit both ends go to `cut`."""

    __slots__ = ("cut", "failed", "_limit", "_buffer", "_head")

    def __init__(self, limit: int = EVENT_LIMIT) -> None:
        self.cut: list[bytes] = []
        self.failed = False
        self._limit = limit
        self._buffer = bytearray()
        self._head: bytes | None = None  # set while a line over the limit passes

    def feed(self, data: bytes) -> list[Event]:
        if b"\n" not in data:
            self._buffer += data
            self._bound()
            return []
        lines = (bytes(self._buffer) + data).split(b"\n")
        self._buffer = bytearray(lines.pop())
        events: list[Event] = []
        for line in lines:
            self._take(line, events)
        self._bound()
        return events

    def end(self) -> list[Event]:
        events: list[Event] = []
        self._take(bytes(self._buffer), events)
        self._buffer = bytearray()
        return events

    def _take(self, line: bytes, events: list[Event]) -> None:
        if self._head is not None:
            self.cut.append(self._head + b"\n" + line[-KEPT:])
            self._head = None
        elif len(line) > self._limit:
            self.cut.append(line[:KEPT] + b"\n" + line[-KEPT:])
        elif content := line.strip():
            events.append((b"", content))

    def _bound(self) -> None:
        if self._head is None:
            if len(self._buffer) <= self._limit:
                return
            self._head = bytes(self._buffer[:KEPT])
            self._buffer = self._buffer[KEPT:]
        if len(self._buffer) > 2 * KEPT:
            self._buffer = self._buffer[-KEPT:]
