"""What a channel was told, and what it has to be told now: alerts of one name make one notice.

What is new is told at once; what changes after that is gathered for a while, so that a hundred agents that fall silent one after the other
do not make a hundred messages; what still holds is told again after a long while; and what is over is told once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase

import msgspec

from proxy.controlplane.notices.board import Alert
from proxy.notify import SEVERITIES, Channel, Notify, read_silence


class Notice(msgspec.Struct, frozen=True):
    """All alerts of one name: those that hold, and those that do no longer."""

    name: str
    at_s: float
    firing: list[Alert]
    resolved: list[Alert] = []

    @property
    def is_over(self) -> bool:
        return not self.firing


class Told(msgspec.Struct, frozen=True):
    """When a channel was last told of alerts of one name, and which of them it was told to hold."""

    at_s: float
    firing: list[Alert] = []


def make_ear(notify: Notify, channel: Channel) -> Callable[[Alert], bool]:
    """Whether a channel is to hear of an alert: by its severity, and by `silence`."""
    least = SEVERITIES.index(channel.severity)
    silenced = [read_silence(text) for text in notify.silence]

    def hears(alert: Alert) -> bool:
        return SEVERITIES.index(alert.severity) >= least and not any(
            alert.name == name and all(fnmatchcase(alert.labels.get(label, ""), pattern) for label, pattern in labels.items())
            for name, labels in silenced
        )

    return hears


def plan(told: Mapping[str, Told], firing: Iterable[Alert], hears: Callable[[Alert], bool], now_s: float, notify: Notify) -> list[Notice]:
    """What a channel has to be told now."""
    groups: dict[str, list[Alert]] = {name: [] for name in told}
    for alert in firing:
        if hears(alert):
            groups.setdefault(alert.name, []).append(alert)
    notices = []
    for name, alerts in groups.items():
        before = told.get(name)
        known = {} if before is None else {alert.key: alert for alert in before.firing}
        present = {alert.key for alert in alerts}
        over = [msgspec.structs.replace(alert, ended_s=now_s) for key, alert in known.items() if key not in present and hears(alert)]
        has_changed = bool(over or present - known.keys())
        age_s = notify.repeat_s if before is None else now_s - before.at_s
        if (has_changed and age_s >= notify.gather_s) or (has_changed and before is None) or (alerts and age_s >= notify.repeat_s):
            notices.append(Notice(name, now_s, alerts, over))
    return notices


def note(told: dict[str, Told], notice: Notice) -> None:
    """Remember that a channel was told."""
    told[notice.name] = Told(notice.at_s, notice.firing)


def forget(told: dict[str, Told], now_s: float, notify: Notify) -> None:
    """Let go what was told to be over, once nothing that changes is gathered for it any more."""
    for name in [name for name, one in told.items() if not one.firing and now_s - one.at_s >= notify.gather_s]:
        del told[name]
