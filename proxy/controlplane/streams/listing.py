"""The report on streams: how each stands, and its last alarm."""

from __future__ import annotations

from collections.abc import Iterable

from proxy.controlplane.reports import Report
from proxy.controlplane.streams.told import Told

COLUMNS = [
    "agent", "task", "model", "upstream", "state", "answers", "missing", "baseline", "last_seen_ns", "severity", "kind", "alarmed_ns", "said",
    "cause", "call", "calls_before", "calls_after",
]  # fmt: skip


def list_drift(streams: Iterable[Told]) -> Report:
    """The streams, how they stand, and the last alarm of each."""
    rows = []
    for told in streams:
        alarm = told.alarm
        rows.append([
            told.agent, told.name("task"), told.name("model"), told.name("upstream"), told.state, told.answers, told.missing, told.baseline,
            told.last_ns,
            *([None] * 8 if alarm is None else [
                alarm.severity, alarm.kind, alarm.at_ns, alarm.said or None, alarm.cause, alarm.call, " ".join(alarm.before), " ".join(alarm.after),
            ]),
        ])  # fmt: skip
    return Report("drift", COLUMNS, rows, "")
