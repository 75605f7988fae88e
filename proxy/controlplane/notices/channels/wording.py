"""A notice in words: one title, and a line for each alert, cut where there are too many to read."""

from __future__ import annotations

from proxy.controlplane import show
from proxy.controlplane.notices.board import Alert
from proxy.controlplane.notices.told import Notice

MOST_ALERTS = 20  # in one notice; the others are counted
_MOST_LETTERS = 300


def write_title(notice: Notice) -> str:
    """What it is about, on one line."""
    alerts = notice.firing or notice.resolved
    first, others = alerts[0].summary, len(alerts) - 1
    state = f"{alerts[0].severity.upper()}" if notice.firing else "OVER"
    return clean(f"[{state}] {first}" + (f" (and {others} more)" if others else ""))


def list_alerts(notice: Notice) -> tuple[list[Alert], int]:
    """Those that are shown, the ones that hold first, and how many are not."""
    alerts = [*notice.firing, *notice.resolved]
    return alerts[:MOST_ALERTS], max(0, len(alerts) - MOST_ALERTS)


def write_state(alert: Alert) -> str:
    """Whether it holds, and since when; or until when it did."""
    since = show.write_moment(int(alert.since_s * 1e9))
    return f"since {since}" if alert.ended_s is None else f"over since {show.write_moment(int(alert.ended_s * 1e9))}, began {since}"


def write_runbook(alert: Alert) -> str:
    """Where it is said what to do."""
    return f"docs/runbooks.md#{alert.name.lower()}"


def clean(text: str) -> str:
    """On one line and of some length: names come from whoever calls."""
    text = "".join(letter if letter.isprintable() else " " for letter in text)
    return text if len(text) <= _MOST_LETTERS else text[: _MOST_LETTERS - 1] + "…"
