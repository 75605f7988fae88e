"""Quarantine: the calls of a time, an agent, a task, a model or an upstream that are not to be relied on, marked as such in every report.

    POST    /api/quarantines         {agent | task | model | upstream: name, since, until, reason, by}
    DELETE  /api/quarantines/<name>  {by, reason}

It changes nothing of the traffic and nothing of what the calls cost. What is said stands in the journal, one line each; the view `calls_now` has
the column `quarantined` by what holds when it is asked.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import duckdb
import msgspec
from prometheus_client.core import GaugeMetricFamily, Metric

from proxy.controlplane.changes import ANYONE, check_text
from proxy.controlplane.door import Change, NotDone, read_body
from proxy.controlplane.journal_writer import JournalWriter
from proxy.controlplane.reports import MAX_ROWS, BadQuestion, Query, Report, make_limit, parse_time, run
from proxy.controlplane.store import QueryTooLong, StoreAway
from proxy.reviewed import QuarantineEvent

log = logging.getLogger("weighbridge.quarantine")
DIMENSIONS = ("agent", "task", "model", "upstream")
MOST = 50  # that hold at the same time: a report over a million calls takes 0.035 s more for each of them (DuckDB, one thread)
_HOLDING = "SELECT name FROM quarantines WHERE NOT lifted AND name NOT IN (SELECT name FROM quarantines WHERE lifted)"
_COUNT = "SELECT count(*) FROM calls_now WHERE quarantined"
_LOOK_S = 60.0  # from one count of the calls to the next, and longer where counting takes long:
_REST = 20.0  # … so many times what it took
_LIST = (
    'SELECT q.name, q.since_ns, q.until_ns, q.agent, q.task, q.model, q.upstream, q.reason, q."by", q.at_ns, l."by" AS lifted_by '
    'FROM quarantines q LEFT JOIN quarantines l ON l.name = q.name AND l.lifted WHERE NOT q.lifted ORDER BY l."by" IS NOT NULL, q.at_ns DESC'
)


class GivenQuarantine(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    agent: str | None = None
    task: str | None = None
    model: str | None = None
    upstream: str | None = None
    since: str | None = None
    until: str | None = None
    reason: str = ""
    by: str = ANYONE


class Lifting(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    reason: str = ""
    by: str = ANYONE


class Quarantines:
    """Asks the database what holds, so it is for a thread that may wait."""

    def __init__(self, query: Query, catch_up: Callable[[], None], journal: JournalWriter, clock_ns: Callable[[], int] = time.time_ns) -> None:
        self._query = query
        self._catch_up = catch_up
        self._journal = journal
        self._clock_ns = clock_ns
        self._marked: tuple[int, int] | None = None  # quarantines that hold, and the calls in them, as they were counted last

    def run(self, stopping: threading.Event, clock: Callable[[], float] = time.monotonic) -> None:
        """Count the calls in quarantine until told to stop."""
        rest_s = 1.0  # for the database to be there
        while not stopping.wait(rest_s):
            started_s = clock()
            is_done = self.count()
            rest_s = max(_LOOK_S if is_done else 1.0, _REST * (clock() - started_s))

    def count(self) -> bool:
        """Count them; whether the database could be asked."""
        try:
            held = len(self._query(_HOLDING, [])[1])
            self._marked = (held, self._query(_COUNT, [])[1][0][0] if held else 0)
        except (duckdb.Error, QueryTooLong, StoreAway) as error:
            log.info("the calls in quarantine could not be counted: %s", str(error).splitlines()[0])
            return False
        return True

    def collect(self) -> Iterator[Metric]:
        """What was counted last; nothing before that."""
        if self._marked is not None:
            yield GaugeMetricFamily("weighbridge_quarantines", "Quarantines that hold.", self._marked[0])
            yield GaugeMetricFamily("weighbridge_quarantined_calls", "Calls that are in quarantine.", self._marked[1])

    @property
    def changes(self) -> list[Change]:
        """What can be done."""
        return [Change("POST", "/api/quarantines", self.impose), Change("DELETE", "/api/quarantines/{id}", self.lift)]

    def impose(self, _: str, body: bytes) -> dict[str, Any]:
        """Put calls into quarantine. Raises `BadQuestion`, `NotDone`."""
        given = read_body(body, GivenQuarantine)
        for name, value in msgspec.structs.asdict(given).items():
            if value is not None:
                check_text(name, value)
        now_ns = self._clock_ns()
        since_ns, until_ns = (None if text is None else parse_time(text, now_ns) for text in (given.since, given.until))
        whom = {name: value for name in DIMENSIONS if (value := getattr(given, name)) is not None}
        if not whom and since_ns is None:
            raise BadQuestion(f"say which calls: one or more of {', '.join(DIMENSIONS)}, or since when")
        if since_ns is not None and until_ns is not None and until_ns <= since_ns:
            raise BadQuestion("until is not after since, so that no call would be concerned")
        if len(self._find()) >= MOST:
            raise NotDone(409, "too_many", f"{MOST} quarantines hold; lift those that need not hold any more")
        event = QuarantineEvent(
            name=f"q-{secrets.token_hex(4)}", at_ns=now_ns, by=given.by, since_ns=since_ns, until_ns=until_ns, reason=given.reason or None, **whom
        )
        self._write(event)
        return {"name": event.name, **whom, "since_ns": since_ns, "until_ns": until_ns}

    def lift(self, target: str, body: bytes) -> dict[str, Any]:
        """Rely on the calls again. Raises `BadQuestion`, `NotDone`."""
        given = read_body(body, Lifting)
        check_text("by", given.by)
        check_text("reason", given.reason)
        if target not in self._find():
            raise NotDone(404, "unknown_quarantine", "no quarantine of this name holds; `weighbridge quarantines` lists them")
        self._write(QuarantineEvent(name=target, at_ns=self._clock_ns(), by=given.by, lifted=True, reason=given.reason or None))
        return {"lifted": target}

    def _find(self) -> set[str]:
        """The names of those that hold."""
        self._catch_up()
        return {name for (name,) in self._query(_HOLDING, [])[1]}

    def _write(self, event: QuarantineEvent) -> None:
        if not self._journal.write(event):
            raise NotDone(503, "journal_away", "the quarantine could not be written to the journal (see the log); nothing was changed, try again")
        self._catch_up()


def quarantines(query: Query) -> Report:
    """All that were ever imposed: those that hold first, the newest before all."""
    return run(query, "quarantines", _LIST + make_limit(MAX_ROWS), [])
