"""What must never be lost: records, the books, and what is dropped on the way to observers."""

from __future__ import annotations

from collections.abc import Iterable

from proxy.controlplane.notices.conditions.condition import Condition, Finding, label
from proxy.controlplane.notices.window import Figure, Labels, Window
from proxy.notify import Thresholds

_LOST, _WAITING = "weighbridge_journal_lost_lines_total", "weighbridge_journal_waiting_lines"
_GARBAGE, _UNKNOWN = "weighbridge_journal_garbage_lines_total", "weighbridge_journal_unknown_lines_total"
_FAILURES, _REBUILDS = "weighbridge_database_failures_total", "weighbridge_database_rebuilds_total"
_GAP, _DROPPED = "weighbridge_accounting_gap_calls", "weighbridge_dropped_total"
_WHAT: Labels = ("what", "reason")
FIGURES = (
    *(Figure(name) for name in (_LOST, _WAITING, _GARBAGE, _UNKNOWN, _FAILURES, _REBUILDS, _GAP)),
    Figure(_DROPPED, _WHAT, is_older=True),
)
_MOST_FAILURES = 3


def find_lost(window: Window, _: Thresholds) -> Iterable[Finding]:
    return label((), {one: lines for one, lines in window.measure(_LOST, 900).items() if lines > 0})


def find_waiting(window: Window, _: Thresholds) -> Iterable[Finding]:
    return label((), {one: lines for one, lines in window.read(_WAITING).items() if lines > 0})


def find_unreadable(window: Window, _: Thresholds) -> Iterable[Finding]:
    lines = sum((*window.measure(_GARBAGE, 900).values(), *window.measure(_UNKNOWN, 900).values()))
    return [Finding({}, lines)] if lines > 0 else []


def find_failing_database(window: Window, _: Thresholds) -> Iterable[Finding]:
    failures, rebuilds = (sum(window.measure(name, 600).values()) for name in (_FAILURES, _REBUILDS))
    return [Finding({}, failures + rebuilds)] if failures > _MOST_FAILURES or rebuilds > 0 else []


def find_gap(window: Window, _: Thresholds) -> Iterable[Finding]:
    return label((), {one: calls for one, calls in window.read(_GAP).items() if calls != 0})


def find_dropped(window: Window, _: Thresholds) -> Iterable[Finding]:
    return label(_WHAT, {one: pieces for one, pieces in window.measure(_DROPPED, 900, _WHAT).items() if pieces > 0})


CONDITIONS = (
    Condition(
        name="WeighbridgeRecordsLost",
        severity="critical",
        find=find_lost,
        needs_s=900,
        summary="{instance} has lost records",
        description="{value} lines were given up because the disk refused them for too long: these calls are in no report.",
    ),
    Condition(
        name="WeighbridgeDiskRefusesJournal",
        severity="critical",
        find=find_waiting,
        for_s=60,
        summary="The disk of {instance} refuses the journal",
        description="{value} records wait in memory; they are lost if the process dies now.",
    ),
    Condition(
        name="WeighbridgeJournalUnreadable",
        severity="warning",
        find=find_unreadable,
        needs_s=900,
        summary="{instance} cannot read lines of its journal",
        description="{value} lines could not be read or are of an unknown kind.",
    ),
    Condition(
        name="WeighbridgeDatabaseFailing",
        severity="critical",
        find=find_failing_database,
        needs_s=600,
        summary="The database of {instance} fails",
        description="{value} attempts to load it failed, or it was made again, within ten minutes. Calls go on; reports fall behind.",
    ),
    Condition(
        name="WeighbridgeAccountingGap",
        severity="critical",
        find=find_gap,
        for_s=600,
        summary="The books of {instance} do not close",
        description="{value} calls were let through that neither ended nor are running.",
    ),
    Condition(
        name="WeighbridgeObserversDropping",
        severity="warning",
        find=find_dropped,
        for_s=300,
        needs_s=900,
        summary="{instance} drops {what}",
        description="{value} {what} were dropped in 15 minutes ({reason}). Records and budgets are whole; what observers see is not.",
    ),
)
