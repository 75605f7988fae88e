"""Server-sent events, incrementally: bytes in, whole events out, however the bytes are split.

Follows https://html.spec.whatwg.org/multipage/server-sent-events.html: lines end in LF, CR or CRLF, a BOM may open the
stream, comments and unknown fields are skipped, `data` may span lines and stand before `event`, the blank after the
colon is optional. All line ends become LF first, so an event is what stands between two empty lines.

Unlike a browser, `end` also gives the event that the stream ended in: several providers leave out the last empty line.
An event over the limit, or of more lines than anybody writes, is not kept; its first and last bytes go to `cut`, where usage can still be found.
"""

from __future__ import annotations

from itertools import repeat

EVENT_LIMIT = 1024 * 1024
KEPT = 32 * 1024
MOST_LINES = 10_000  # of one event
_BOM = b"\xef\xbb\xbf"
Event = tuple[bytes, bytes]


class SseParser:
    """`feed` and `end` give (event name, data) pairs; an unnamed event has the name b""."""

    __slots__ = ("cut", "failed", "_limit", "_buffer", "_after_cr", "_opened", "_head", "_tail")

    def __init__(self, limit: int = EVENT_LIMIT) -> None:
        self.cut: list[bytes] = []  # head and tail of events over the limit, to be taken by the reader
        self.failed = False
        self._limit = limit
        self._buffer = bytearray()
        self._after_cr = False
        self._opened = False
        self._head = b""
        self._tail: bytearray | None = None  # set while an event over the limit passes

    def feed(self, data: bytes) -> list[Event]:
        if self._after_cr or b"\r" in data:
            data = self._normalise(data)
        buffer = self._buffer
        if buffer:
            start = len(buffer) - 1
            buffer += data
            if buffer.find(b"\n\n", start) < 0:
                self._bound()
                return []
            data = bytes(buffer)
            buffer.clear()
        end = data.rfind(b"\n\n") + 2
        if end > 1 and self._opened and self._tail is None and data.startswith(b"data: "):
            events = self._take_plain(data, end)
            if events:
                return events
        events = []
        blocks = data.split(b"\n\n")
        buffer += blocks.pop()
        for block in blocks:
            if block or self._tail is not None:
                self._take(block, events)
        self._bound()
        return events

    def _take_plain(self, data: bytes, end: int) -> list[Event]:
        """The common case at the speed of the interpreter's own loops: nothing but one-line unnamed events up to `end`."""
        if end > self._limit or data.count(b"\n", 0, end) != 2 * (data.count(b"\n\ndata: ", 0, end) + 1):
            return []
        if end < len(data):
            self._buffer += data[end:]
            self._bound()
        return list(zip(repeat(b""), data[6 : end - 2].split(b"\n\ndata: ")))

    def end(self) -> list[Event]:
        events: list[Event] = []
        self._take(bytes(self._buffer).removesuffix(b"\n"), events)
        self._buffer.clear()
        return events

    def _normalise(self, data: bytes) -> bytes:
        if self._after_cr and data.startswith(b"\n"):
            data = data[1:]
            self._after_cr = False
        if data:
            self._after_cr = data.endswith(b"\r")
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _bound(self) -> None:
        """Let go of an unfinished event that is over the limit, but for its head and tail."""
        buffer = self._buffer
        if self._tail is None:
            if len(buffer) <= self._limit + 1:
                return
            self._head = bytes(buffer[: min(KEPT, len(buffer) - 1)])  # but for the last byte: it may be half of an empty line
            self._tail = bytearray()
            self._buffer = buffer = buffer[len(self._head) :]
        if len(buffer) > 2 * KEPT:
            self._buffer = buffer[-KEPT:]

    def _take(self, block: bytes, events: list[Event]) -> None:
        if self._tail is not None:
            self.cut.append(self._head + b"\n" + block[-KEPT:])
            self._tail = None
            return
        if len(block) > self._limit:
            self.cut.append(block[:KEPT] + b"\n" + block[-KEPT:])
            return
        if not self._opened and block:
            self._opened = True
            block = block.removeprefix(_BOM)
        if block.startswith(b"event: ") and block.count(b"\n") == 1:
            name, found, value = block.partition(b"\ndata: ")
            if found:
                events.append((name[7:], value))
                return
        if block.count(b"\n") > MOST_LINES:
            self.cut.append(block[:KEPT] + b"\n" + block[-KEPT:])
            return
        name, lines = b"", []
        for line in block.split(b"\n"):
            field, _, value = line.partition(b":")
            if field == b"data":
                lines.append(value.removeprefix(b" "))
            elif field == b"event":
                name = value.removeprefix(b" ")
        if lines:
            events.append((name, lines[0] if len(lines) == 1 else b"\n".join(lines)))
