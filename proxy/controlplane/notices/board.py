"""Which alerts there are: what the conditions find becomes pending, after its time firing, and goes when they find it no more.

A condition that cannot be judged yet, because the figures do not reach back far enough, leaves its alerts as they were: so after a restart
what fired goes on firing until the figures say something else, and nobody is told that all is well because nothing is known.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence

import msgspec

from proxy.controlplane.notices.conditions.condition import Condition, Finding
from proxy.controlplane.notices.window import Window
from proxy.notify import Severity, Thresholds

log = logging.getLogger("weighbridge.notices")
MOST_OF_ONE = 200  # alerts of one name; a thousand agents that fail alike are no thousand messages


class Alert(msgspec.Struct, frozen=True):
    """One that holds. Times are seconds since the Unix epoch."""

    name: str
    severity: Severity
    labels: dict[str, str]
    summary: str
    description: str
    value: float
    since_s: float  # when the condition was first found
    fired_s: float | None = None  # when it had held for long enough; None: it is pending
    ended_s: float | None = None  # of one that is told to be over

    @property
    def key(self) -> str:
        """What it is the same by."""
        return f"{self.name}{sorted(self.labels.items())}"


class Board:
    """Belongs to one thread; `alerts` may be read by any."""

    def __init__(self, conditions: Sequence[Condition], instance: str, alerts: Iterable[Alert] = ()) -> None:
        self._instance = instance
        self._conditions = conditions
        self.alerts: list[Alert] = [alert for alert in alerts if any(alert.name == one.name for one in conditions)]
        self.failures = 0

    @property
    def firing(self) -> list[Alert]:
        """Those that have held for long enough."""
        return [alert for alert in self.alerts if alert.fired_s is not None]

    def judge(self, window: Window, thresholds: Thresholds) -> None:
        """Look at the figures as they are now."""
        before: dict[str, dict[str, Alert]] = {}
        for alert in self.alerts:
            before.setdefault(alert.name, {})[alert.key] = alert
        now: list[Alert] = []
        for condition in self._conditions:
            known = before.get(condition.name, {})
            found = self._find(condition, window, thresholds)
            made = {} if found is None else {one.key: one for one in (self._make(condition, finding, known, window.now_s) for finding in found)}
            if found is None or window.span_s < condition.needs_s:
                made = known | made
            now += list(made.values())[:MOST_OF_ONE]
        self.alerts = now

    def _find(self, condition: Condition, window: Window, thresholds: Thresholds) -> list[Finding] | None:
        """What a condition finds; None where it fails, which must not take the others with it."""
        try:
            return list(condition.find(window, thresholds))
        except Exception:
            self.failures += 1
            log.exception("the condition of %s cannot be judged; its alerts stay as they are", condition.name)
            return None

    def _make(self, condition: Condition, finding: Finding, known: dict[str, Alert], now_s: float) -> Alert:
        labels = {**finding.labels, "instance": self._instance}
        words = {**labels, **finding.words, "value": condition.write(finding.value)}
        alert = Alert(
            condition.name,
            condition.severity,
            labels,
            condition.summary.format_map(words),
            condition.description.format_map(words),
            finding.value,
            now_s,
        )
        before = known.get(alert.key)
        since_s = now_s if before is None else before.since_s
        fired_s = None if before is None else before.fired_s
        if fired_s is None and now_s - since_s >= condition.for_s:
            fired_s = now_s
        return msgspec.structs.replace(alert, since_s=since_s, fired_s=fired_s)
