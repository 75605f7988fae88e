"""Steering: hears what the evaluators find, and has the desk give the orders that controls want, and lift those whose time is up.

`hear` is called from the threads that judge and only puts into a bounded queue; all else belongs to the thread of `run`. The desk has a thread
of its own, which `reach` asks.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import duckdb
import msgspec
from prometheus_client.core import CounterMetricFamily, Metric

from evaluators.sample import Sample
from evaluators.verdict import Verdict
from proxy.controlplane.controls.stream import Stream
from proxy.controlplane.desk import Desk
from proxy.controlplane.door import NotDone
from proxy.controlplane.reports import BadQuestion
from proxy.controlplane.store import QueryTooLong, StoreAway
from proxy.controls import DRIFT, SEVERITIES, TIERED, Control
from proxy.orders import Order
from proxy.record import AlarmEvent
from proxy.record import Sample as Sent
from proxy.toll.subject import Picker, Subject, make_picker

log = logging.getLogger("weighbridge.controls")
_MOST_WAITING = 1000  # inspected calls
_MOST_STREAMS = 10_000
_LOOK_S = 1.0  # from one look after orders whose time is up to the next
_VERBS = {"pause": "pause", "downgrade": "tier", "upgrade": "tier", "raise_sampling": "inspect"}
_BY = "control "
_MOST_REASON = 900  # letters
Impose = Callable[[str, bytes], Any]  # `Quarantines.impose`
Reach = Callable[[Callable[[], Any]], Any]  # does something in the desk's thread, and waits for it; raises what that raises


class Steering:
    """All controls that act by order."""

    def __init__(
        self, controls: Sequence[Control], desk: Desk, reach: Reach, impose: Impose, drop: Callable[[str], None],
        clock: Callable[[], float] = time.time,
    ) -> None:  # fmt: skip
        self._impose = impose
        self._drop = drop  # told why a call is not counted
        self._desk = desk
        self._reach = reach
        self._clock = clock
        self._heard: queue.Queue[tuple[Sent, list[Verdict] | AlarmEvent]] = queue.Queue(_MOST_WAITING)
        self._streams: OrderedDict[tuple[str, str], Stream] = OrderedDict()  # control, name → the longest silent first
        self._counts: dict[tuple[str, str], int] = {}  # control, action
        self._looked_s = 0.0
        self._fault: str | None = None  # what keeps the desk from lifting
        self._rules: list[tuple[Control, Picker]] = []
        self.configure(controls)

    def configure(self, controls: Sequence[Control]) -> None:
        """Take other controls, from the next call on; those that have changed count anew."""
        self._next: Sequence[Control] | None = controls
        for control in controls:
            if not control.is_inline:
                self._counts.setdefault((control.name, control.do), 0)

    def hear(self, sent: Sent, _: Sample, verdicts: list[Verdict]) -> None:
        """What was found in a call."""
        self._put(sent, verdicts)

    def hear_alarm(self, event: AlarmEvent, sent: Sent) -> None:
        """Drift was alarmed."""
        self._put(sent, event)

    def _put(self, sent: Sent, found: list[Verdict] | AlarmEvent) -> None:
        if self._next or self._rules:
            try:
                self._heard.put_nowait((sent, found))
            except queue.Full:
                self._drop("controls_behind")

    def run(self, stopping: threading.Event) -> None:
        """Steer until told to stop."""
        while not stopping.is_set():
            self.look()
            try:
                self.weigh(*self._heard.get(timeout=_LOOK_S / 2))
            except queue.Empty:
                continue

    def look(self) -> None:
        """Once a second: lift the orders whose time is up, also those that people gave."""
        now_s = self._clock()
        if 0 <= now_s - self._looked_s < _LOOK_S:
            return
        self._looked_s = now_s
        try:
            ended = self._reach(self._desk.end_past)
        except NotDone as error:
            if str(error) != self._fault:  # told once, and not at every look
                log.error("orders whose time is up stay in the file for now, and hold nobody up: %s", error)
            self._fault = str(error)
            return
        self._fault = None
        for order in ended:
            if order.by.startswith(_BY):
                self._count(order.by.removeprefix(_BY), "lifted")

    def weigh(self, sent: Sent, found: list[Verdict] | AlarmEvent) -> None:
        """Count a call for every control that it concerns, and act where it is time to; an alarm of drift is time by itself."""
        self._take_config()
        model = sent.model_asked or sent.model
        subject = Subject(sent.agent, sent.upstream or "", model, team=sent.team, task=sent.task)
        for control, pick in self._rules:
            names = pick(subject)
            if names is None:
                continue
            stream = self._find_stream(control, names[0])
            now_s = self._clock()
            if isinstance(found, AlarmEvent):
                is_meant = bool({DRIFT, f"{DRIFT}/{found.severity}"} & {*control.when}) and not stream.is_holding(now_s)
                reason = f"drift: {found.cause}" if is_meant else None
            else:
                reason = stream.note(sent.id, _find(control, found), now_s)
            if reason is not None:
                self._act(control, names[0], stream, reason)

    def _take_config(self) -> None:
        controls, self._next = self._next, None
        if controls is None:
            return
        before = {control.name: control for control, _ in self._rules}
        self._rules = [(one, make_picker([one.each], one.match)) for one in controls if not one.is_inline]
        same = {control.name for control, _ in self._rules if before.get(control.name) == control}
        self._streams = OrderedDict((key, stream) for key, stream in self._streams.items() if key[0] in same)

    def _find_stream(self, control: Control, name: str) -> Stream:
        key = (control.name, name)
        stream = self._streams.get(key)
        if stream is None:
            stream = self._streams[key] = Stream(control)
            if len(self._streams) > _MOST_STREAMS:
                self._streams.popitem(last=False)
        self._streams.move_to_end(key)
        return stream

    def _act(self, control: Control, name: str, stream: Stream, reason: str) -> None:
        now_s = self._clock()
        length_s, start_s = stream.choose_length(now_s), stream.find_start(now_s)
        stream.begin_anew()
        reason = reason[:_MOST_REASON]
        try:
            if control.do == "quarantine":
                since, until = (datetime.fromtimestamp(each_s, UTC).isoformat() for each_s in (start_s, now_s + length_s))
                body = {control.each: name, "since": since, "until": until, "reason": reason, "by": _BY + control.name}
                self._impose("", msgspec.json.encode(body))
            else:
                self._give(control, name, reason, int((now_s + length_s) * 1e9))
        except (NotDone, BadQuestion, duckdb.Error, QueryTooLong, StoreAway) as error:  # the last three: the database is busy or away
            is_held = isinstance(error, NotDone) and error.name == "held"
            self._count(control.name, "yielded" if is_held else "failed")
            log.log(logging.INFO if is_held else logging.ERROR, "control %s: %s", control.name, error)
            return
        stream.hold(now_s, length_s)
        self._count(control.name, control.do)
        log.warning("control %s: %s for %s %s, for %g s: %s", control.name, control.do, control.each, name, length_s, reason)

    def _give(self, control: Control, name: str, reason: str, until_ns: int) -> None:
        """Have the desk give the order. Raises `NotDone`."""
        tier = control.tier if control.do in TIERED else None
        order = Order(
            verb=_VERBS[control.do], dimension=control.each, value=name, reason=reason, by=_BY + control.name, tier=tier, until_ns=until_ns
        )
        self._reach(lambda: self._desk.give(order, yields=True))

    def _count(self, control: str, action: str) -> None:
        self._counts[control, action] = self._counts.get((control, action), 0) + 1

    def collect(self) -> Iterator[Metric]:
        """What was done, by control."""
        acts = CounterMetricFamily("weighbridge_controls", "What controls did by order.", labels=["control", "action"])
        for key, count in list(self._counts.items()):
            acts.add_metric(key, count)
        yield acts


def _find(control: Control, verdicts: list[Verdict]) -> str | None:
    """What of it is bad for this control, as `json/invalid`."""
    for verdict in verdicts:
        label = f"{verdict.name}/{verdict.label}"
        for word in control.when:
            if word == label:
                return label
            name, _, severity = word.rpartition("/")
            is_meant = word == verdict.name or (name in ("", verdict.name) and severity in SEVERITIES[: 1 + (verdict.severity == "error")])
            if is_meant and verdict.failed:
                return label
    return None
