"""The loader's thread: opens the store, steps the journal into it, prunes the journal and the store, and recovers when the store fails.

A failure that time can mend (the disk is full, another process holds the file) is waited out. One that repeats three times is taken
for a broken database: it is set aside and made again from the journal. Traffic never notices.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

import duckdb

from proxy.config import Config
from proxy.controlplane.estimator import Content
from proxy.controlplane.events import Weighed
from proxy.controlplane.inspection.inspector import Row
from proxy.controlplane.journal_reader import JournalReader
from proxy.controlplane.store import DENIED, Keeper, Store

log = logging.getLogger("weighbridge.loader")
_PAUSE_S = 1.0
_PRUNE_EVERY_S = 60.0
_FORGET_EVERY_S = 3600.0
_DAY_NS = 86_400_000_000_000
_FAILURES = 3


class Follower(Protocol):
    """What is told of everything that has been loaded, and must never make the loader wait."""

    def take_calls(self, bodies: list[bytes]) -> None: ...

    def take_content(self, rows: list[Content]) -> None: ...


class Loader:
    """Owns the journal reader and the writing side of the store."""

    def __init__(
        self,
        config: Config,
        observers: list[Callable[[list[Weighed]], None]],
        content: deque[Content],
        follower: Follower | None = None,
        welcome: Callable[[Store], None] = lambda store: None,
        verdicts: deque[Row] | None = None,
        ready: Callable[[Store], None] = lambda store: None,
    ) -> None:
        self.stopping = threading.Event()
        self.reader = JournalReader(config.journal_dir, hand_on=None if follower is None else follower.take_calls)
        self.keeper = Keeper(config.database, self.stopping.wait)
        self.failures = 0
        self._journal = config.journal
        self._retain = config.retain
        self._forgot = float("-inf")
        self._observers = observers
        self._content = content
        self._verdicts: deque[Row] = deque() if verdicts is None else verdicts
        self._welcome = welcome  # told of the first store that is opened, before anything is loaded into it
        self._is_welcome = False
        self._ready = ready  # told once, when all that was in the journal has been loaded
        self._is_ready = False
        self._follower = follower
        self._failed_in_a_row = 0
        self._pruned = 0.0
        self._wake = threading.Event()
        self._turn = threading.Condition()
        self._begun = 0  # steps
        self._done = 0  # the last step that has ended

    def configure(self, config: Config) -> None:
        """Keep rows for another time."""
        self._retain = config.retain

    def stop(self) -> None:
        """Load what is left and end."""
        self.stopping.set()
        self._wake.set()

    def catch_up(self, timeout_s: float = 0.5) -> None:
        """Wait until what the journal holds now has been loaded, so that a report shows the call just made; not longer than told."""
        with self._turn:
            wanted = self._begun + 1  # the step under way may have passed the newest line already
            self._wake.set()
            self._turn.wait_for(lambda: self._done >= wanted, timeout_s)

    def run(self) -> None:
        """Load until told to stop; then load what is left and close."""
        while not self.stopping.is_set():
            rebuilds = self.keeper.rebuilds
            store = self.keeper.open()
            if store is None:
                return
            try:
                self.reader.restore(store, seen=self.keeper.rebuilds > rebuilds)
                if not self._is_welcome:
                    self._is_welcome = True
                    self._welcome(store)
                self._load(store)
            except (duckdb.Error, OSError) as error:
                self._recover(error)
        self.keeper.close()

    def _load(self, store: Store) -> None:
        while True:
            last = self.stopping.is_set()  # before the step: what was written until then is loaded
            with self._turn:
                self._begun += 1
            self.reader.step(store, self._observe)
            with self._turn:
                self._done = self._begun
                self._turn.notify_all()
            self._failed_in_a_row = 0
            self._keep_content(store)
            if time.monotonic() - self._pruned > _PRUNE_EVERY_S:
                self.reader.prune(store, time.time(), self._journal.retain_days, self._journal.retain_bytes)
                self._pruned = time.monotonic()
                self.forget(store, time.time_ns())
            if not (self._is_ready or self.reader.is_behind):
                self._is_ready = True
                self._ready(store)
            if not self.reader.is_behind:  # small steps cost much a call: what comes while one works waits for the next
                if last:
                    return
                self._wake.wait(_PAUSE_S)
                self._wake.clear()

    def forget(self, store: Store, now_ns: int) -> None:
        """Once an hour: delete the verdicts and the content that are too old."""
        if self._pruned - self._forgot < _FORGET_EVERY_S:
            return
        self._forgot = self._pruned
        for table, days in (("verdicts", self._retain.verdicts_days), ("content", self._retain.content_days)):
            if days and (rows := store.forget(table, now_ns - int(days * _DAY_NS))):
                log.info("%d rows of the table %s were older than %g days and are deleted", rows, table, days)

    def _observe(self, weighed: list[Weighed]) -> None:
        for observe in self._observers:
            observe(weighed)

    def _keep_content(self, store: Store) -> None:
        rows = []
        while self._content:
            rows.append(self._content.popleft())
        if rows:
            store.keep_content(rows)
            if self._follower is not None:
                self._follower.take_content(rows)
        verdicts = []
        while self._verdicts:
            verdicts.append(self._verdicts.popleft())
        if verdicts:
            store.keep_verdicts(verdicts)

    def _recover(self, error: Exception) -> None:
        """Close the store; set it aside if it failed too often in a row for reasons that waiting does not mend."""
        self.failures += 1
        passing = isinstance(error, OSError) or any(sign in str(error) for sign in DENIED)
        self._failed_in_a_row += not passing
        log.error("loading the journal into the database failed (%s); nothing is lost, it is tried again", str(error).splitlines()[0])
        if self._failed_in_a_row >= _FAILURES:
            self._failed_in_a_row = 0
            self.keeper.replace(str(error).splitlines()[0])
        else:
            self.keeper.close()
        self.stopping.wait(_PAUSE_S)
