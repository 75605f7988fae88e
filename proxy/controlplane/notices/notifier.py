"""The notifier's thread: it looks at the figures every so often, lets the board judge them, and gives each channel what it has to be told.

A channel was told only when its receiver took the notice; until then every look plans it anew, from what holds by then. So nothing is told
twice in good order, and what a crash leaves undecided is told again rather than not at all.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
from prometheus_client.core import CounterMetricFamily, Metric

from proxy.controlplane.notices import channels
from proxy.controlplane.notices.board import Alert, Board
from proxy.controlplane.notices.conditions import CONDITIONS, FIGURES
from proxy.controlplane.notices.outbox import DROPS, NotDelivered, Outbox
from proxy.controlplane.notices.state import State, read_state, write_state
from proxy.controlplane.notices.told import Notice, forget, make_ear, note, plan
from proxy.controlplane.notices.window import Window
from proxy.controlplane.reports import Report
from proxy.notify import Channel, Notify

log = logging.getLogger("weighbridge.notices")


class _Line(msgspec.Struct):
    """A channel and the way to it."""

    channel: Channel
    link: str | None
    outbox: Outbox
    hears: Callable[[Alert], bool]


class Notifier:
    """`run` belongs to one thread; all else may be called by any. `look_up` gives what /metrics shows."""

    def __init__(
        self,
        notify: Notify,
        path: Path,
        instance: str,
        look_up: Callable[[], Iterable[Metric]],
        environment: Mapping[str, str],
        clock_s: Callable[[], float] = time.time,
    ) -> None:
        self._path = path
        self._look_up = look_up
        self._environment = environment
        self._clock_s = clock_s
        self._lock = threading.Lock()
        self._window = Window(FIGURES)
        state = read_state(path)
        self._board = Board(CONDITIONS, instance, state.alerts)
        self._told = state.told
        self._written = b""
        self._lines: dict[str, _Line] = {}
        self._gone: dict[str, tuple[int, dict[str, int]]] = {}  # what outboxes that are closed have sent and dropped
        self._failures = 0
        self.configure(notify)

    def configure(self, notify: Notify) -> None:
        """Take other channels and thresholds; what a channel was told it stays told, by its name."""
        with self._lock:
            self._notify = notify
            before, self._lines = self._lines, {}
            for channel in notify.channels:
                known = before.pop(channel.name, None)
                if known is not None and (known.channel, known.link) == (channel, notify.link):
                    outbox = known.outbox
                else:
                    self._retire(known)
                    outbox = self._open(channel, notify.link)
                self._lines[channel.name] = _Line(channel, notify.link, outbox, make_ear(notify, channel))
            for line in before.values():
                self._retire(line)

    def _open(self, channel: Channel, link: str | None) -> Outbox:
        send = channels.make_send(channel, link, self._environment)
        outbox = Outbox(channel.name, send, lambda notice: self._note(channel.name, notice))
        threading.Thread(target=outbox.run, name=f"notices to {channel.name}", daemon=True).start()
        return outbox

    def _retire(self, line: _Line | None) -> None:
        """Close a channel that is no more; what it has counted stays counted."""
        if line is not None:
            line.outbox.close()
            self._gone[line.channel.name] = _add(self._gone.get(line.channel.name), line.outbox)

    def _note(self, name: str, notice: Notice) -> None:
        with self._lock:
            note(self._told.setdefault(name, {}), notice)

    def run(self, stopping: threading.Event) -> None:
        """Look at once, for rates count from there, then again and again until told to stop."""
        while True:
            self.look()
            if stopping.wait(self._notify.every_s):
                break
        self.close()

    def close(self) -> None:
        """End the threads of the channels, and keep what they were told."""
        with self._lock:
            for line in self._lines.values():
                line.outbox.close()
        self._keep()

    def look(self) -> None:
        """One look: what holds, what is to be told, what is to be kept. A defect costs this look and is counted, not the thread."""
        try:
            now_s = self._clock_s()
            self._window.take(now_s, self._look_up())
            self._board.judge(self._window, self._notify.conditions)
            self._tell(now_s)
            self._keep()
        except Exception:
            self._failures += 1
            log.exception("the figures could not be looked at for alerts; it is tried again")

    def _tell(self, now_s: float) -> None:
        with self._lock:
            self._told = {name: told for name, told in self._told.items() if name in self._lines}
            for name, line in self._lines.items():
                told = self._told.setdefault(name, {})
                forget(told, now_s, self._notify)
                notices = plan(told, self._board.firing, line.hears, now_s, self._notify)
                line.outbox.withdraw({notice.name for notice in notices})
                for notice in notices:
                    line.outbox.offer(notice)

    def _keep(self) -> None:
        """Write the state down where it has changed."""
        with self._lock:
            kept = [msgspec.structs.replace(alert, value=0.0, description="") for alert in self._board.alerts]  # these change all the time
            text = msgspec.json.encode(State(kept, self._told))
        if text == self._written:
            return
        try:
            write_state(self._path, text)
            self._written = text
        except OSError as error:
            log.error("%s cannot be written (%s); after a restart what was told may be told again", self._path, error.strerror)

    def test(self, by: str) -> list[dict[str, object]]:
        """Send a test notice through every channel at once, past all waiting; what came of each, in words."""
        now_s = self._clock_s()
        text = f"{by} asked for it; nothing is wrong"
        alert = Alert("WeighbridgeTest", "info", {}, "This is a test of Weighbridge's notices", text, 0.0, now_s, now_s)
        with self._lock:
            lines = list(self._lines.values())
        if not lines:
            return []
        with ThreadPoolExecutor(len(lines)) as threads:
            return list(threads.map(lambda line: self._try(line, Notice(alert.name, now_s, [alert])), lines))

    def _try(self, line: _Line, notice: Notice) -> dict[str, object]:
        said = {"channel": line.channel.name, "kind": line.channel.kind}
        try:
            channels.make_send(line.channel, line.link, self._environment)(notice)
        except NotDelivered as error:
            return {**said, "sent": False, "message": str(error)}
        return {**said, "sent": True, "message": "its receiver took it"}

    def list_alerts(self) -> Report:
        """What holds now: firing, or pending until it has held for long enough."""
        columns = ["alert", "severity", "state", "summary", "description", "labels", "value", "started_ns"]
        rows = [
            [one.name, one.severity, "pending" if one.fired_s is None else "firing", one.summary, one.description, one.labels, one.value]
            + [int(one.since_s * 1e9)]
            for one in sorted(self._board.alerts, key=lambda one: (one.fired_s is None, one.severity != "critical", one.since_s))
        ]
        return Report("alerts", columns, rows, "")

    def collect(self) -> Iterator[Metric]:
        """The notifier's own figures."""
        with self._lock:
            counts = dict(self._gone)
            for name, line in self._lines.items():
                counts[name] = _add(counts.get(name), line.outbox)
        sent = CounterMetricFamily("weighbridge_notices_sent", "Notices that their receiver took.", labels=["channel"])
        for name, (number, _) in counts.items():
            sent.add_metric([name], number)
        yield sent
        dropped = CounterMetricFamily("weighbridge_dropped", "What was dropped, and why; never a record.", labels=["what", "reason"])
        for reason in DROPS:
            dropped.add_metric(["notices", reason], sum(numbers[reason] for _, numbers in counts.values()))
        yield dropped
        failures = self._failures + self._board.failures
        yield CounterMetricFamily("weighbridge_notices_failures", "Looks and conditions of the notifier that failed by a defect.", failures)


def _add(before: tuple[int, dict[str, int]] | None, outbox: Outbox) -> tuple[int, dict[str, int]]:
    sent, dropped = before or (0, {})
    return sent + outbox.sent, {reason: dropped.get(reason, 0) + number for reason, number in outbox.dropped.items()}
