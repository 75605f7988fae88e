"""A stream: one detector, whose answers it judges, and what is known of its last alarm; as bytes and back."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import msgspec

from evaluators.drift import Alarm, Detector
from evaluators.drift.settings import LEAST_FIRST, Settings
from evaluators.drift.state import StateError, load, save
from proxy.controlplane.streams.told import LastAlarm, StreamUnreadable, Told, read_head
from proxy.inspecting import Drift
from proxy.record import AlarmEvent

_CELLS = 100  # answers that set the cells of a detector, where the warm-up is long enough
_PART = 3  # of a short warm-up, one in so many


def make_settings(drift: Drift) -> Settings:
    """The settings of a detector."""
    first = min(_CELLS, max(LEAST_FIRST, drift.warmup // _PART))
    return Settings(alpha=drift.alpha, warmup=drift.warmup, first=first, sensitive=drift.sensitive)


class Stream:
    """Belongs to whoever holds the turn of its `Streams`."""

    def __init__(self, key: tuple[str, ...], agent: str, team: str | None, drift: Drift) -> None:
        self.key = key
        self.agent = agent
        self.team = team
        self.detector = Detector(**dataclasses.asdict(make_settings(drift)))
        self.alarm: LastAlarm | None = None
        self.last_ns = 0
        self.last_trace: str | None = None  # of the answer heard last
        self.is_changed = False
        self._by = list(drift.by)

    def configure(self, drift: Drift) -> None:
        """Take another alpha and another sensitivity now; another warm-up is for the next baseline, since this one has been begun."""
        settings = dataclasses.replace(self.detector.settings, alpha=drift.alpha, sensitive=drift.sensitive)
        self.is_changed |= settings != self.detector.settings
        self.detector.settings = settings

    def take(self, text: str, facts: Mapping[str, Any], at_ns: int) -> Alarm | None:
        """One answer."""
        self.last_ns = at_ns
        self.is_changed = True
        return self.detector.update(text, facts)

    def judge(self) -> Alarm | None:
        """The answers that wait for others to be judged with."""
        self.is_changed = True
        return self.detector.judge()

    def remember(self, alarm: Alarm, at_ns: int) -> AlarmEvent:
        """Keep what an alarm says; the line of the journal that tells of it."""
        told = self.describe()
        before, after = ([identity for identity, _ in shown] for shown in (alarm.before, alarm.after))
        self.alarm = LastAlarm(at_ns, alarm.severity, alarm.kind, alarm.explain(), after[-1], before, after)
        return AlarmEvent(
            at_ns=at_ns, call=after[-1], agent=self.agent, team=self.team, task=told.name("task"), model=told.name("model"),
            upstream=told.name("upstream"), severity=alarm.severity, kind=alarm.kind, answer=alarm.at, began=alarm.began,
            evidence=_bound(alarm.evidence), alpha=1 / alarm.threshold, baseline=alarm.baseline, cause=self.alarm.cause,
            moves=[(move.name, _bound(move.before), _bound(move.after)) for move in alarm.moves],
            wire=[(each.name, each.before, each.after) for each in alarm.wire],
            before=before, after=after,
        )  # fmt: skip

    def accept(self, drift: Drift) -> None:
        """What comes now is the new normal."""
        self.detector.settings = make_settings(drift)
        self.detector.accept()
        self._say("accepted")

    def dismiss(self) -> None:
        """The alarm was false, or the change was undone."""
        self.detector.dismiss()
        self._say("dismissed")

    def _say(self, word: str) -> None:
        self.is_changed = True
        if self.alarm is not None and not self.alarm.said:
            self.alarm = msgspec.structs.replace(self.alarm, said=word)

    def describe(self) -> Told:
        """How it stands."""
        status = self.detector.status
        return Told(
            by=self._by, key=list(self.key), agent=self.agent, team=self.team, state=status.state, answers=status.answers, missing=status.missing,
            baseline=status.baseline, evidence=_bound(status.evidence), last_ns=self.last_ns, alarm=self.alarm,
        )  # fmt: skip

    def dump(self) -> bytes:
        """All of it, but for the texts of answers: one line of JSON, then the detector."""
        return msgspec.json.encode(self.describe()) + b"\n" + save(self.detector)


def read_stream(data: bytes, drift: Drift) -> Stream:
    """A stream that was dumped. Raises `StreamUnreadable`, and whatever else NumPy raises where its part is spoiled."""
    told = read_head(data)
    if told.by != list(drift.by):
        raise StreamUnreadable("streams are told apart by something else now")
    stream = Stream(tuple(told.key), told.agent, told.team, drift)
    try:
        stream.detector = load(data.partition(b"\n")[2])
    except StateError as error:
        raise StreamUnreadable(str(error)) from None
    stream.alarm, stream.last_ns = told.alarm, told.last_ns
    stream.configure(drift)
    return stream


def _bound(value: float) -> float:
    """A figure that JSON can hold."""
    return value if abs(value) < float("inf") else 0.0 if value != value else 1e300 if value > 0 else -1e300
