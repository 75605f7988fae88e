"""The journal's writer: one line per event into append-only segments, one `os.write` for all lines of a turn of the event loop.

The outbox flushes it before anything leaves by a socket. When the disk refuses it (full, read-only),
lines wait in memory, in order, and are tried again each second; only past `_MAX_WAITING` are the oldest given up, and
counted as lost. Segment names sort by their start: `<start, 20 digits>-d<pid>.ndjson`; where the clock was set back, a name still
sorts behind all that were there.

Each segment opens with the ledger's checkpoint: what the lines before it add up to. So a segment is begun only when every line
that was noted has been written.
"""

from __future__ import annotations

import logging
import os
import re
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from proxy.record import Extended, Opened, Record
from proxy.toll.checkpoint import write_checkpoint

_MAX_WAITING = 200_000
_NAME = re.compile(r"(\d{20})-d?\d+\.ndjson\Z", re.ASCII)
log = logging.getLogger("weighbridge.journal")
_encode = msgspec.json.Encoder().encode


class JournalWriter:
    """Appends to the newest segment of a folder. One writer a process."""

    def __init__(self, folder: Path, segment_bytes: int, checkpoint: Callable[[], dict[str, Any]] | None = None) -> None:
        self.lines = 0
        self.bytes = 0
        self.lost = 0
        self._process_ns = time.time_ns()  # with the pid it names this process, also where a container gives the same pid again
        self._folder = folder
        self._segment_bytes = segment_bytes
        self._checkpoint = checkpoint
        self._pending: list[bytes] = []  # noted in this turn
        self._waiting: deque[tuple[bytes, int]] = deque()  # (lines, how many they are)
        self._waiting_lines = 0
        self._file = -1
        self._size = 0
        self._most = 0  # the size at which another segment is begun
        self._segment_lines = 0
        folder.mkdir(parents=True, exist_ok=True)
        self._newest_ns = max((int(found[1]) for name in os.listdir(folder) if (found := _NAME.match(name))), default=0)
        self._open_segment()

    @property
    def waiting(self) -> int:
        """Lines held in memory because the disk refused them."""
        return self._waiting_lines

    @property
    def has_pending(self) -> bool:
        """Whether lines have been noted in this turn that are not written yet."""
        return bool(self._pending)

    def opened(self, event: Opened) -> None:
        """Note that a call goes upstream now."""
        self._pending.append(b'{"opened":' + _encode(event) + b"}\n")

    def extended(self, event: Extended) -> None:
        """Note that a running call has reserved more."""
        self._pending.append(b'{"extended":' + _encode(event) + b"}\n")

    def settled(self, record: Record) -> None:
        """Note how a call ended."""
        self._pending.append(b'{"call":' + _encode(record) + b"}\n")

    def flush(self) -> None:
        """Write the lines noted since the last time, in one go."""
        if self._pending:
            count = len(self._pending)
            lines = self._pending[0] if count == 1 else b"".join(self._pending)
            self._pending.clear()
            self._append(lines, count)
            if self._size >= self._most and not self._waiting:
                self._change_segment()

    def retry(self) -> None:
        """Try to write what waits. Called once a second."""
        while self._waiting:
            lines, count = self._waiting[0]
            if not self._write(lines, count):
                return
            self._waiting.popleft()
            self._waiting_lines -= count
            if not self._waiting:
                log.warning("the journal takes lines again; none waits any more")

    def close(self) -> None:
        """Write what waits, end the segment in order."""
        self.flush()
        self.retry()
        self.lost += self._waiting_lines
        if self._file >= 0:
            file, self._file = self._file, -1
            self._close_segment(file, self._size, self._segment_lines)

    def _append(self, lines: bytes, count: int) -> None:
        if not self._waiting and self._write(lines, count):
            return
        if not self._waiting:
            log.error("the journal cannot be written; lines wait in memory until the disk takes them again")
        self._waiting.append((lines, count))
        self._waiting_lines += count
        while self._waiting_lines > _MAX_WAITING:
            _, oldest = self._waiting.popleft()
            self._waiting_lines -= oldest
            self.lost += oldest

    def _write(self, lines: bytes, count: int) -> bool:
        try:
            written = os.write(self._file, lines)
            if written < len(lines):  # the disk filled up in the middle: take the torn part back
                os.ftruncate(self._file, self._size)
                return False
        except OSError:
            return False
        self._size += written
        self._segment_lines += count
        self.lines += count
        self.bytes += written
        return True

    def _change_segment(self) -> None:
        """Begin another segment, then end the old one; where the disk refuses it, the old one grows for a while."""
        file, size, lines = self._file, self._size, self._segment_lines
        try:
            self._open_segment()
        except OSError:
            self._most = size + self._segment_bytes // 4
            return
        self._close_segment(file, size, lines)

    def _open_segment(self) -> None:
        """Begin a segment. Raises OSError, and leaves everything as it was."""
        now = max(time.time_ns(), self._newest_ns + 1)
        path = self._folder / f"{now:020d}-d{os.getpid()}.ndjson"
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        head = _encode({"segment": {"version": 1, "started_ns": now, "process_ns": self._process_ns, "pid": os.getpid(), "writer": "d"}}) + b"\n"
        if self._checkpoint is not None:
            head += write_checkpoint(self._checkpoint())
        try:
            if os.write(file, head) < len(head):
                raise OSError("no room for the head of a segment")
        except OSError:
            os.close(file)
            path.unlink(missing_ok=True)
            raise
        self._file, self._size, self._segment_lines, self._newest_ns = file, len(head), 0, now
        self._most = len(head) + max(self._segment_bytes, len(head))  # checkpoints take half of the disk at most

    def _close_segment(self, file: int, size: int, lines: int) -> None:
        line = _encode({"closed": {"at_ns": time.time_ns(), "lines": lines}}) + b"\n"
        try:
            if os.write(file, line) < len(line):
                os.ftruncate(file, size)
        except OSError:
            log.error("a journal segment could not be ended in order; it is complete but for its last line")
        finally:
            os.close(file)
