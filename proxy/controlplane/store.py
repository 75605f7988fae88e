"""The DuckDB file: opening it, setting a broken one aside, loading batches into it, and reading from it within a time limit.

One thread (the loader's) writes; every query runs on a cursor of its own, in the caller's thread, and is interrupted at its
limit. What is loaded and how far the journal was read are one transaction. A batch goes in as a file of JSON lines that
DuckDB parses itself: a quarter of the interpreter time of its Appender, and without holding the interpreter's lock.
The database can be lost without harm: it is set aside and made again from the journal.
"""

from __future__ import annotations

import datetime
import logging
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import duckdb
import msgspec

from proxy.controlplane import schema
from proxy.controlplane.segments import Segment

log = logging.getLogger("weighbridge.store")
_OPTIONS = {
    "autoload_known_extensions": "false",
    "autoinstall_known_extensions": "false",
    "checkpoint_threshold": "64MB",
    "memory_limit": "1GB",
    "threads": "1",  # a second one costs more CPU a row than it saves time, and belongs to the data plane
}
_UNREADABLE = (duckdb.InvalidInputException, duckdb.ConversionException, duckdb.OutOfRangeException)
_BUSY = ("Could not set lock", "Conflicting lock")
_FORGET = {"verdicts": "DELETE FROM verdicts WHERE at_ns < ?", "content": "DELETE FROM content WHERE at_ns < ?"}
DENIED = ("Permission denied", "No space left", "Read-only file system", "Too many open files", "Cannot open file", "Input/output error")


class StoreBusy(Exception):
    """The file is held by another process, or the system refuses it: to be tried again, never to be set aside."""


class StoreBroken(Exception):
    """The file cannot be used, and waiting will not help."""


class StoreAway(Exception):
    """There is no open database at the moment; the message says why and what to do."""


class QueryTooLong(Exception):
    """A query ran into its time limit."""


class Loaded(msgspec.Struct):
    """What one transaction appends: JSON objects by the table they belong to, and the segments whose position changed."""

    rows: dict[str, list[bytes]] = {}  # table of `schema.STRUCTS` → its rows
    segments: list[Segment] = []


class Store:
    """One open database. `open` and `load` belong to one thread; `query` to any."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self._path = path
        self._batch = path.parent / "loading" / "batch.ndjson"
        self._known: set[str] = set()
        self._prepared: set[str] = set()  # tables whose statement is known to the connection
        self._root = connect(path, read_only)
        self._writer = self._root.cursor()
        try:
            if not read_only:
                self._prepare()
        except duckdb.Error as error:
            self.close()
            raise StoreBroken(str(error)) from error
        except BaseException:
            self.close()
            raise

    def _prepare(self) -> None:
        self._batch.parent.mkdir(exist_ok=True)
        self._writer.execute(f"SET allowed_directories=['{str(self._batch.parent).replace(chr(39), chr(39) * 2)}/']")
        self._writer.execute("SET enable_external_access=false")
        self._writer.execute("SET lock_configuration=true")
        self._writer.begin()
        present = set(self._writer.execute("SELECT table_name, column_name FROM information_schema.columns").fetchall())
        for statement in schema.create_statements(present):
            self._writer.execute(statement)
        found = self._writer.execute("SELECT value FROM meta WHERE name = 'version'").fetchone()
        if found is None:
            self._writer.execute("INSERT INTO meta VALUES ('version', ?)", [str(schema.VERSION)])
        elif found[0] != str(schema.VERSION):
            raise StoreBroken(f"its tables have version {found[0]}, this program's have version {schema.VERSION}")
        self._writer.commit()

    def segments(self) -> list[Segment]:
        """How far each segment of the journal has been loaded, oldest first; `Segment`s without their process."""
        rows = self._writer.execute("SELECT name, position, lines, garbage, open_calls, state FROM segments ORDER BY name").fetchall()
        self._known = {row[0] for row in rows}
        return [
            Segment(name=name, started_ns=0, writer="", pid=0, position=position, lines=lines, garbage=garbage, open_calls=open_calls, state=state)
            for name, position, lines, garbage, open_calls, state in rows
        ]

    def load(self, loaded: Loaded) -> list[int]:
        """Append a batch and its positions in one transaction. Indexes of calls that no table can hold, left out.

        Raises `duckdb.Error` if the database fails; then nothing of the batch is in it.
        """
        try:
            self._commit(loaded)
            return []
        except _UNREADABLE:
            unusable = {table: self._sift(table, bodies, 0) for table, bodies in loaded.rows.items()}
        rows = {}
        for table, bodies in loaded.rows.items():
            left_out = set(unusable[table])
            rows[table] = [body for index, body in enumerate(bodies) if index not in left_out]
        self._commit(Loaded(rows=rows, segments=loaded.segments))
        return unusable.get("calls", [])

    def _commit(self, loaded: Loaded) -> None:
        known = self._known
        self._writer.begin()
        try:
            for table, bodies in loaded.rows.items():
                if bodies:
                    self._write_batch(bodies)
                    self._load_batch(table)
            fresh = {one.name for one in loaded.segments} - known
            for one in loaded.segments:
                place = [one.position, one.lines, one.garbage, one.open_calls, one.state, one.name]
                if one.name in fresh:
                    self._writer.execute("INSERT INTO segments (position, lines, garbage, open_calls, state, name) VALUES (?, ?, ?, ?, ?, ?)", place)
                else:
                    self._writer.execute("UPDATE segments SET position = ?, lines = ?, garbage = ?, open_calls = ?, state = ? WHERE name = ?", place)
            self._writer.commit()
        except BaseException:
            self._roll_back()
            raise
        self._known = known | fresh

    def _roll_back(self) -> None:
        try:
            self._writer.rollback()
        except duckdb.Error:  # no transaction is open any more: the failure ended it
            log.debug("nothing to roll back")

    def _load_batch(self, table: str) -> None:
        """Append the file to a table, by a statement that is read and planned once: a third of what a small batch costs otherwise."""
        if table not in self._prepared:
            self._writer.execute(schema.prepare_statement(table, str(self._batch)))
            self._prepared.add(table)
        self._writer.execute(schema.execute_statement(table))

    def _write_batch(self, bodies: list[bytes]) -> None:
        self._batch.write_bytes(b"\n".join(bodies) + b"\n")

    def _sift(self, table: str, bodies: list[bytes], start: int) -> list[int]:
        """Indexes of the rows that DuckDB cannot read, by halving."""
        if not bodies:
            return []
        self._write_batch(bodies)
        try:
            self._writer.execute(schema.probe_statement(table, str(self._batch)))
            return []
        except _UNREADABLE:
            if len(bodies) == 1:
                return [start]
        middle = len(bodies) // 2
        return self._sift(table, bodies[:middle], start) + self._sift(table, bodies[middle:], start + middle)

    def keep_content(self, rows: list[tuple[str, int, str, str, str]]) -> None:
        """Append (call id, at ns, prompt, output, tools as JSON) to the table `content`."""
        appender = self._writer.appender("content")
        appender.append_rows(rows)
        appender.flush()

    def keep_verdicts(self, rows: list[tuple[str, int, str, str, str, float, str]]) -> None:
        """Append (call id, at ns, evaluator, label, severity, score, explanation) to the table `verdicts`."""
        appender = self._writer.appender("verdicts")
        appender.append_rows(rows)
        appender.flush()

    def forget(self, table: str, before_ns: int) -> int:
        """Delete the rows of `verdicts` or `content` that were written before. How many there were."""
        return self._writer.execute(_FORGET[table], [before_ns]).fetchall()[0][0]

    def query(self, sql: str, values: Sequence[Any] = (), limit_s: float = 30.0) -> tuple[list[str], list[tuple]]:
        """(column names, rows) of one of our own statements. Raises `QueryTooLong`, `duckdb.Error`."""
        cursor = self._root.cursor()
        expired = threading.Event()

        def interrupt() -> None:
            expired.set()
            cursor.interrupt()

        timer = threading.Timer(limit_s, interrupt)
        timer.start()
        try:
            rows = cursor.execute(sql, values).fetchall()
            return [column[0] for column in cursor.description], rows
        except duckdb.InterruptException:
            if expired.is_set():
                raise QueryTooLong(f"no answer within {limit_s:g} s; ask for a shorter time (since, until)") from None
            raise
        finally:
            timer.cancel()
            timer.join()
            cursor.close()

    def close(self) -> None:
        """Close the file; DuckDB checkpoints it."""
        self._writer.close()
        self._root.close()


def connect(path: Path, read_only: bool = False) -> duckdb.DuckDBPyConnection:
    """A connection to the file. Raises `StoreBusy` where waiting helps, else `StoreBroken`."""
    try:
        return duckdb.connect(str(path), read_only=read_only, config=_OPTIONS)
    except duckdb.Error as error:
        text = str(error)
        if any(sign in text for sign in (*_BUSY, *DENIED)):
            raise StoreBusy(text) from error
        raise StoreBroken(text) from error


def set_aside(path: Path, now: datetime.datetime) -> Path:
    """Rename a database and its write-ahead log, so that a new one can be made. The new name of the database."""
    aside = path.with_name(f"{path.name}.broken-{now:%Y%m%dT%H%M%S%fZ}")
    for old, new in ((path, aside), (path.with_name(path.name + ".wal"), aside.with_name(aside.name + ".wal"))):
        if old.exists():
            old.rename(new)
    return aside


class Keeper:
    """Opens the store, and opens it again after it failed: waits while another holds it, sets aside what is broken."""

    def __init__(
        self, path: Path, wait: Callable[[float], bool], clock: Callable[[], datetime.datetime] = lambda: datetime.datetime.now(datetime.UTC)
    ) -> None:
        self.rebuilds = 0
        self.message = "the database is being opened; try again in a moment"
        self._path = path
        self._wait = wait  # waits so many seconds; True: stop waiting, the program ends
        self._clock = clock
        self._store: Store | None = None

    @property
    def store(self) -> Store:
        """The open store. Raises `StoreAway`."""
        store = self._store
        if store is None:
            raise StoreAway(self.message)
        return store

    def open(self) -> Store | None:
        """Open the store however long it takes; None if the program ends before. A broken file costs a rebuild."""
        while True:
            try:
                self._store = Store(self._path)
                return self._store
            except StoreBusy as error:
                self.message = (
                    f"the database cannot be opened yet: {error}. Recording goes on in the journal; free the file, nothing else needs to be done"
                )
                log.error("%s", self.message)
            except StoreBroken as error:
                self.replace(str(error))
            if self._wait(1.0):
                return None

    def replace(self, reason: str) -> None:
        """Set the database aside; the next `open` makes a new one, to be filled from the journal."""
        self.close()
        self.rebuilds += 1
        self.message = "the database was broken and is being made again from the journal; try again in a moment"
        try:
            aside = set_aside(self._path, self._clock())
            log.critical("the database %s cannot be used (%s); it is set aside as %s and made again from the journal", self._path, reason, aside.name)
        except OSError as error:
            log.critical("the database %s cannot be used (%s), and cannot be set aside: %s", self._path, reason, error.strerror)

    def close(self) -> None:
        """Close the store, if it is open."""
        store, self._store = self._store, None
        if store is not None:
            try:
                store.close()
            except duckdb.Error:
                log.exception("the database could not be closed in order")
