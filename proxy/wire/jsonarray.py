"""The elements of one top-level JSON array, incrementally, as Gemini streams without `alt=sse`: `[{…},\\n{…}]`.

Only brackets, braces and strings are followed; whether an element is JSON is for its reader to find. A top-level object
that stands alone (an error) counts as one element.
"""

from __future__ import annotations

import re

from proxy.wire.sse import EVENT_LIMIT, KEPT, Event

_OUTSIDE = re.compile(rb'[\[\]{}"]')
_INSIDE = re.compile(rb'["\\]')


class ArrayParser:
    """`feed` gives one unnamed event an element (objects and arrays; bare numbers and words are skipped)."""

    __slots__ = ("cut", "failed", "_limit", "_buffer", "_place", "_depth", "_in_array", "_in_string", "_start", "_head")

    def __init__(self, limit: int = EVENT_LIMIT) -> None:
        self.cut: list[bytes] = []
        self.failed = False
        self._limit = limit
        self._buffer = bytearray()
        self._place = 0  # everything before it has been looked at
        self._depth = 0  # brackets open within the present element
        self._in_array = False
        self._in_string = False
        self._start = 0
        self._head: bytes | None = None

    def feed(self, data: bytes) -> list[Event]:
        self._buffer += data
        events: list[Event] = []
        buffer = self._buffer
        while True:
            if self._in_string:
                found = _INSIDE.search(buffer, self._place)
                if found is None:
                    self._place = len(buffer)
                    break
                if found[0] == b"\\":
                    if found.end() == len(buffer):  # the escaped byte is yet to come
                        self._place = found.start()
                        break
                    self._place = found.end() + 1
                    continue
                self._in_string = False
            else:
                found = _OUTSIDE.search(buffer, self._place)
                if found is None:
                    self._place = len(buffer)
                    break
                self._take(found[0], found.start(), events)
            self._place = found.end()
        self._trim()
        return events

    def end(self) -> list[Event]:
        return []

    @property
    def partial_bytes(self) -> int | None:
        """How many of the bytes fed last belong to an element that has not ended; None where that is not known."""
        if self._head is not None:
            return None
        return len(self._buffer) - self._start if self._depth else 0

    def _take(self, mark: bytes, place: int, events: list[Event]) -> None:
        if mark == b'"':
            self._in_string = True
        elif mark in b"[{":
            if self._depth == 0 and mark == b"[" and not self._in_array:
                self._in_array = True
                return
            if self._depth == 0:
                self._start = place
            self._depth += 1
        elif self._depth > 0:
            self._depth -= 1
            if self._depth == 0:
                self._close(bytes(self._buffer[self._start : place + 1]), events)

    def _close(self, element: bytes, events: list[Event]) -> None:
        if self._head is not None:
            self.cut.append(self._head + b"\n" + element[-KEPT:])
            self._head = None
        elif len(element) > self._limit:
            self.cut.append(element[:KEPT] + b"\n" + element[-KEPT:])
        else:
            events.append((b"", element))

    def _trim(self) -> None:
        """Let go of what is behind, and of the middle of an element over the limit."""
        drop = self._place if self._depth == 0 else self._start
        if self._depth and self._head is None and len(self._buffer) - self._start > self._limit:
            self._head = bytes(self._buffer[self._start : self._start + KEPT])
            drop = self._start = self._start + KEPT
        if self._depth and self._head is not None and self._place - drop > 2 * KEPT:
            drop = self._start = self._place - KEPT
        if drop and (drop > KEPT or drop == len(self._buffer)):
            del self._buffer[:drop]
            self._place -= drop
            self._start = max(self._start - drop, 0)
