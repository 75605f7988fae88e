"""The control plane's own journal segments: what is corrected, ordered, decided and found reaches the tables as everything else does.

A segment is begun with the first line, `<start, 20 digits>-c<pid>.ndjson`; one `os.write` a line. What the disk refuses is
counted as lost and told to whoever wrote it.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from proxy.record import AlarmEvent, Correction, OrderEvent, TaskEvent
from proxy.reviewed import QuarantineEvent, ReviewEvent

log = logging.getLogger("weighbridge.journal")
_encode = msgspec.json.Encoder().encode
_NAMES: dict[type, bytes] = {
    Correction: b"correction", OrderEvent: b"order", TaskEvent: b"task", AlarmEvent: b"alarm", ReviewEvent: b"review",
    QuarantineEvent: b"quarantine",
}  # fmt: skip
Event = AlarmEvent | Correction | OrderEvent | TaskEvent | ReviewEvent | QuarantineEvent


class JournalWriter:
    """Appends to the newest segment of this process, from any thread. One writer a process."""

    def __init__(self, folder: Path, segment_bytes: int, clock_ns: Callable[[], int] = time.time_ns) -> None:
        self.written = 0
        self.lost = 0
        self._lock = threading.Lock()
        self._folder = folder
        self._segment_bytes = segment_bytes
        self._clock_ns = clock_ns
        self._process_ns = clock_ns()
        self._file = -1
        self._size = 0
        self._lines = 0

    def write(self, event: Event) -> bool:
        """Append one event. Whether the disk took it."""
        line = b'{"%b":%b}\n' % (_NAMES[type(event)], _encode(event))
        with self._lock:
            try:
                self._append(line)
            except OSError as error:
                self.lost += 1
                log.error("a line (%s) could not be written to the journal: %s", _NAMES[type(event)].decode(), error.strerror or error)
                return False
            self.written += 1
            return True

    def _append(self, line: bytes) -> None:
        if self._file >= 0 and self._size >= self._segment_bytes:
            self._end()
        if self._file < 0:
            self._begin()
        written = os.write(self._file, line)
        if written < len(line):
            os.ftruncate(self._file, self._size)
            raise OSError("no room for a whole line")
        self._size += written
        self._lines += 1

    def close(self) -> None:
        """End the segment in order; a line that comes later begins another."""
        with self._lock:
            if self._file >= 0:
                self._end()

    def _end(self) -> None:
        file, self._file = self._file, -1
        try:
            os.write(file, _encode({"closed": {"at_ns": self._clock_ns(), "lines": self._lines}}) + b"\n")
        except OSError as error:
            log.error("a segment could not be ended in order: %s", error.strerror)
        finally:
            os.close(file)

    def _begin(self) -> None:
        now = self._clock_ns()
        head = {"version": 1, "started_ns": now, "pid": os.getpid(), "writer": "c", "process_ns": self._process_ns}
        path = self._folder / f"{now:020d}-c{os.getpid()}.ndjson"
        line = _encode({"segment": head}) + b"\n"
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            if os.write(file, line) < len(line):
                raise OSError("no room for a segment's first line")
        except OSError:
            os.close(file)
            path.unlink(missing_ok=True)
            raise
        self._file, self._size, self._lines = file, len(line), 0
