"""Tails the journal into the store: every event once, whatever dies when.

A step reads what is new in all segments, in the order of their names, into one batch, and loads it in one transaction
with the positions reached. After a failure or a restart the positions in the database are the truth, so nothing is lost
or doubled. A line without its end waits while its writer lives and is counted as torn when it is gone.

A call that was `opened` and has no `call` line is remembered; when its process has ended and all its segments are read, it
becomes a row with the outcome `weighbridge_crashed`, in one transaction with the note that it did. What is remembered is in
no table: `open_calls` of a segment tells which loaded segments to scan again after a restart.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path

import msgspec

from proxy.controlplane.events import Batch, Weighed, close_crashed, parse
from proxy.controlplane.segments import Segment, find_ended, identify, is_alive, list_names, parse_name
from proxy.controlplane.store import Loaded, Store
from proxy.record import Extended, Opened

log = logging.getLogger("weighbridge.reader")
_CHUNK = 4 * 1024 * 1024
_DAY_S = 86400


class Open(msgspec.Struct, gc=False):
    """A call let through and not known to have ended."""

    segment: str
    event: Opened
    extended: Extended | None = None  # the last time it reserved more


class JournalReader:
    """Reads one journal folder into one store; `step` and `prune` belong to one thread."""

    def __init__(
        self, folder: Path, *, batch_rows: int = 5000, chunk_bytes: int = _CHUNK, alive: Callable[[int], bool] = is_alive,
        hand_on: Callable[[list[bytes]], None] | None = None,
    ) -> None:  # fmt: skip
        self.torn = 0
        self.garbage = 0
        self.unknown = 0
        self.crashed = 0
        self.lines = 0
        self.is_behind = False  # whether the last step ended at its limit, so that more is likely to wait
        self._folder = folder
        self._batch_rows = batch_rows
        self._chunk_bytes = chunk_bytes
        self._alive = alive
        self._hand_on = hand_on  # told of the same calls, as the journal has them
        self._segments: dict[str, Segment] = {}
        self._open: dict[str, dict[str, Open]] = {}  # process → id → open call
        self._seen: dict[str, int] = {}  # segment → position up to which calls were told to `observe`

    def restore(self, store: Store, *, seen: bool = False) -> None:
        """Take the positions in the store as the truth. `seen`: what the journal holds now was observed in an earlier life."""
        self._segments = {}
        self._open = {}
        for known in store.segments():
            named = parse_name(known.name)
            if named is not None:
                self._segments[known.name] = msgspec.structs.replace(known, started_ns=named.started_ns, writer=named.writer, pid=named.pid)
                self._seen[known.name] = max(self._seen.get(known.name, 0), known.position)
        self._discover()
        if seen:
            for name in self._segments:
                self._seen[name] = max(self._seen.get(name, 0), self._size(name))
        self._remember_open_calls()

    def step(self, store: Store, observe: Callable[[list[Weighed]], None]) -> int:
        """Load one batch; tell `observe` of its calls. Number of events loaded: 0 when there is nothing new.

        Raises `duckdb.Error` if the store fails: then `restore` before the next step.
        """
        self._discover()
        ended = find_ended(list(self._segments.values()), self._alive)  # before reading: what they wrote is all there
        batch = Batch()
        followed = self._followed()
        for name in sorted(name for name, one in self._segments.items() if not one.finished):
            self._read(self._segments[name], name in followed or self._segments[name].process in ended, batch)
            if batch.rows >= self._batch_rows:
                break
        self.is_behind = batch.rows >= self._batch_rows
        self._close_ended(ended, batch)
        if not batch.touched:
            return 0
        segments = [self._segments[name] for name in sorted(batch.touched)]
        rejected = set(store.load(Loaded(rows=batch.bodies, segments=segments)))
        self._count(batch, len(rejected))
        fresh = [index for index, one in enumerate(batch.weighed) if one is not None and index not in rejected]
        observe([batch.weighed[index] for index in fresh])
        if self._hand_on is not None and fresh:
            self._hand_on([batch.bodies["calls"][index] for index in fresh])
        return batch.lines

    def _count(self, batch: Batch, rejected: int) -> None:
        self.lines += batch.lines
        self.torn += batch.torn
        self.unknown += batch.unknown
        self.crashed += batch.crashed
        self.garbage += batch.garbage + rejected
        if batch.garbage or rejected or batch.torn:
            log.warning(
                "the journal holds %d line(s) that cannot be read and %d torn by a crash; they are skipped", batch.garbage + rejected, batch.torn
            )
        for name, position in batch.seen.items():
            self._seen[name] = max(self._seen.get(name, 0), position)

    def waiting_bytes(self) -> int:
        """How many bytes of the journal are not loaded yet."""
        return sum(max(0, self._size(name) - one.position) for name, one in self._segments.items() if not one.finished)

    def _size(self, name: str) -> int:
        try:
            return (self._folder / name).stat().st_size
        except OSError:
            return 0

    def _discover(self) -> None:
        """Learn of new segments, and to which process each belongs."""
        for name in list_names(self._folder):
            segment = self._segments.get(name)
            if segment is None:
                segment = parse_name(name)
                assert segment is not None
                self._segments[name] = segment
            if not segment.process and segment.state != "deleted":
                dead = not self._alive(segment.pid)  # before reading: what it wrote is all there
                segment.process = identify(segment, self._read_bytes(name, 0, 4096), dead)

    def _followed(self) -> set[str]:
        """Segments after which the same process has begun another: nothing more is written to them."""
        newest: dict[str, str] = {}
        followed = set()
        for name in sorted(self._segments):
            process = self._segments[name].process
            if process and process in newest:
                followed.add(newest[process])
            newest[process] = name
        return followed

    def _read_bytes(self, name: str, position: int, most: int) -> bytes:
        try:
            file = os.open(self._folder / name, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return b""
        try:
            return os.pread(file, most, position)
        finally:
            os.close(file)

    def _read(self, segment: Segment, final: bool, batch: Batch) -> None:
        """Add a segment's new lines to the batch. `final`: its writer adds nothing any more."""
        while batch.rows < self._batch_rows:
            chunk = self._read_bytes(segment.name, segment.position, self._chunk_bytes)
            end = chunk.rfind(b"\n") + 1
            if end:
                self._take(segment, chunk[:end], batch)
                continue
            if len(chunk) == self._chunk_bytes:  # longer than any line of ours
                segment.position += len(chunk)
                segment.garbage += 1
                batch.garbage += 1
                batch.touched.add(segment.name)
                continue
            if batch.closed == segment.name and not chunk:
                segment.state = "closed"
                batch.touched.add(segment.name)
            elif final:
                segment.position += len(chunk)
                segment.state = "torn" if chunk else "ended"
                batch.torn += bool(chunk)
                batch.touched.add(segment.name)
            return

    def _take(self, segment: Segment, chunk: bytes, batch: Batch) -> None:
        """Add whole lines to the batch, up to its limit."""
        batch.touched.add(segment.name)
        process = self._open.setdefault(segment.process, {})
        seen = self._seen.get(segment.name, 0)
        garbage = batch.garbage
        start, taken = 0, 0
        while start < len(chunk) and batch.rows < self._batch_rows:
            end = chunk.index(b"\n", start)
            kind, event = parse(chunk[start:end], batch)
            if kind == "call":
                batch.rows += 1
                batch.weighed.append(event if segment.position + start >= seen else None)
                past = process.pop(event.id, None)
                if past is not None:
                    self._segments[past.segment].open_calls -= 1
                    batch.touched.add(past.segment)
            elif kind == "opened":
                if event.id in process:
                    process[event.id].event = event  # another attempt: this is where it went last
                else:
                    process[event.id] = Open(segment.name, event)
                    segment.open_calls += 1
            elif kind == "extended":
                _extend(process, event)
            elif kind == "closed":
                batch.closed = segment.name
            taken += 1
            start = end + 1
        segment.position += start
        segment.lines += taken
        segment.garbage += batch.garbage - garbage
        batch.lines += taken
        batch.seen[segment.name] = segment.position

    def _close_ended(self, ended: set[str], batch: Batch) -> None:
        """Turn the open calls of ended and fully read processes into rows."""
        for process in ended & set(self._open):
            if any(not one.finished for one in self._segments.values() if one.process == process):
                continue
            for call in self._open.pop(process).values():  # all in one transaction: a second reading must find all or none
                body, weighed = close_crashed(call.event, call.extended)
                batch.add("calls", body)
                batch.weighed.append(weighed)
                batch.rows += 1
                batch.crashed += 1
                self._segments[call.segment].open_calls -= 1
                batch.touched.add(call.segment)

    def _remember_open_calls(self) -> None:
        """After a restart: which calls of the loaded part of the journal have not ended."""
        begun: set[str] = set()
        for name in sorted(self._segments):
            segment = self._segments[name]
            if segment.open_calls and segment.state != "deleted":
                begun.add(segment.process)
            if segment.process in begun and segment.position:
                self._scan(segment)

    def _scan(self, segment: Segment) -> None:
        process = self._open.setdefault(segment.process, {})
        position, ignored = 0, Batch()
        while position < segment.position:
            chunk = self._read_bytes(segment.name, position, min(self._chunk_bytes, segment.position - position))
            end = chunk.rfind(b"\n") + 1
            if not chunk:
                return
            for line in chunk[:end].split(b"\n")[:-1]:
                kind, event = parse(line, ignored)
                if kind == "call":
                    process.pop(event.id, None)
                elif kind == "opened":
                    process.setdefault(event.id, Open(segment.name, event)).event = event
                elif kind == "extended":
                    _extend(process, event)
            ignored = Batch()
            position += end or len(chunk)

    def prune(self, store: Store, now_s: float, retain_days: float, retain_bytes: int) -> int:
        """Delete segments that are loaded, ended and too old or, oldest first, too many. How many were deleted.

        What the ledger needs stays: the data plane's newest checkpoint, and corrections that it may not have counted yet.
        """
        old = [one for name, one in sorted(self._segments.items()) if one.state in ("closed", "torn", "ended") and not one.open_calls]
        newest = max((one for one in self._segments.values() if one.writer == "d"), key=lambda one: one.name, default=None)
        begun_s = newest.started_ns / 1e9 if newest is not None else 0.0
        old = [one for one in old if one is not newest and (one.writer == "d" or self._is_older(one.name, begun_s))]
        sizes = {one.name: self._size(one.name) for one in old}
        total = sum(sizes.values()) + sum(self._size(one.name) for one in self._segments.values() if not one.finished)
        deleted = 0
        for one in old:
            if total <= retain_bytes and not self._is_older(one.name, now_s - retain_days * _DAY_S):
                continue
            (self._folder / one.name).unlink(missing_ok=True)
            one.state = "deleted"
            store.load(Loaded(segments=[one]))
            total -= sizes[one.name]
            deleted += 1
        return deleted

    def _is_older(self, name: str, limit_s: float) -> bool:
        try:
            return (self._folder / name).stat().st_mtime < limit_s
        except OSError:
            return True


def _extend(process: dict[str, Open], event: Extended) -> None:
    call = process.get(event.id)
    if call is not None:
        call.extended = event
