"""The control plane's own journal segments: corrections, which reach the tables the same way as everything else.

A segment is begun with the first correction, `<start, 20 digits>-c<pid>.ndjson`; one `os.write` a line. What the disk refuses is
counted as lost: the call keeps its first estimate.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from proxy.record import Correction

log = logging.getLogger("weighbridge.corrections")
_encode = msgspec.json.Encoder().encode


class CorrectionWriter:
    """Appends to the newest segment of this process. Belongs to one thread."""

    def __init__(self, folder: Path, segment_bytes: int, clock_ns: Callable[[], int] = time.time_ns) -> None:
        self.written = 0
        self.lost = 0
        self._folder = folder
        self._segment_bytes = segment_bytes
        self._clock_ns = clock_ns
        self._process_ns = clock_ns()
        self._file = -1
        self._size = 0
        self._lines = 0

    def write(self, correction: Correction) -> None:
        """Append one correction."""
        line = b'{"correction":' + _encode(correction) + b"}\n"
        try:
            if self._file >= 0 and self._size >= self._segment_bytes:
                self.close()
            if self._file < 0:
                self._begin()
            written = os.write(self._file, line)
            if written < len(line):
                os.ftruncate(self._file, self._size)
                raise OSError("no room for a whole line")
        except OSError as error:
            self.lost += 1
            log.error("a correction could not be written to the journal: %s", error.strerror or error)
            return
        self._size += written
        self._lines += 1
        self.written += 1

    def close(self) -> None:
        """End the segment in order."""
        if self._file < 0:
            return
        file, self._file = self._file, -1
        try:
            os.write(file, _encode({"closed": {"at_ns": self._clock_ns(), "lines": self._lines}}) + b"\n")
        except OSError as error:
            log.error("a segment of corrections could not be ended in order: %s", error.strerror)
        finally:
            os.close(file)

    def _begin(self) -> None:
        now = self._clock_ns()
        head = {"version": 1, "started_ns": now, "pid": os.getpid(), "writer": "c", "process_ns": self._process_ns}
        path = self._folder / f"{now:020d}-c{os.getpid()}.ndjson"
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._size = os.write(self._file, _encode({"segment": head}) + b"\n")
        self._lines = 0
