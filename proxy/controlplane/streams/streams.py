"""The streams of all agents: each answer goes to the detector of its stream, an alarm into the journal, and the state into files.

`watch` is called by the inspector for each answer that was judged; `run`, in a thread of its own, judges answers that have waited for others
long enough and saves what has changed; orders and reports come from others. The least recently heard stream gives its place away where there
are too many.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path

from evaluators.catalog import BUILT_IN
from evaluators.drift import Alarm
from evaluators.sample import Sample
from evaluators.verdict import Verdict
from proxy.controlplane.journal_writer import JournalWriter
from proxy.controlplane.streams.allowance import Allowance
from proxy.controlplane.streams.facts import name_stream, tell
from proxy.controlplane.streams.shelf import Shelf
from proxy.controlplane.streams.stream import Stream, read_stream
from proxy.controlplane.streams.told import ALARMED, StreamUnreadable, Told
from proxy.inspecting import Drift
from proxy.record import AlarmEvent
from proxy.record import Sample as Sent

_LOOK_S = 2.0
_PATIENCE_NS = 10 * 10**9  # after which answers are judged that wait for others

log = logging.getLogger("weighbridge.drift")
Hearer = Callable[[AlarmEvent, Sent], None]


class Streams:
    """Every method may be called from any thread; `watch` from one at a time."""

    def __init__(
        self, drift: Drift, folder: Path, journal: JournalWriter, clock_ns: Callable[[], int] = time.time_ns, allowance: Allowance | None = None,
    ) -> None:  # fmt: skip
        self.hearers: list[Hearer] = []  # told of each alarm, in the thread of `watch` or of `run`
        self.skipped = 0  # answers for which there was no time
        self.forgotten = 0  # streams that gave their place away
        self.failures: dict[str, int] = {"judge": 0, "load": 0, "save": 0}
        self._drift = drift
        self._shelf = Shelf(folder)
        self._journal = journal
        self._allowance = allowance or Allowance()
        self._clock_ns = clock_ns
        self._turn = threading.Lock()
        self._streams: OrderedDict[tuple[str, ...], Stream] = OrderedDict()

    def configure(self, drift: Drift) -> None:
        """Take other settings. Streams that are told apart by something else begin anew."""
        with self._turn:
            if drift.by != self._drift.by:
                while self._streams:
                    self._forget()
            while len(self._streams) > drift.most_streams:
                self._forget()
            for stream in self._streams.values():
                stream.configure(drift)
            self._drift = drift

    def watch(self, sent: Sent, sample: Sample, verdicts: Sequence[Verdict]) -> None:
        """One answer and what our evaluators said of it. Of the evaluators of others it is called again, with which it has nothing to do."""
        if not self._drift.enabled or (verdicts and verdicts[0].name not in BUILT_IN):
            return
        if not self._allowance.begin():
            self.skipped += 1
            return
        try:
            with self._turn:
                stream = self._find(sent)
                stream.last_trace = sent.trace_id
                alarm = stream.take(sample.text, tell(sent, sample, verdicts, self._drift.times), self._clock_ns())
                event = None if alarm is None else self._raise(stream, alarm)
        finally:
            self._allowance.end()
        if event is not None:
            self._tell(event, sent)

    def judge_waiting(self) -> None:
        """Judge the answers of streams that have fallen silent before there were enough to be judged together."""
        if not self._drift.enabled:
            return
        before_ns = self._clock_ns() - _PATIENCE_NS
        with self._turn:
            waiting = [key for key, stream in self._streams.items() if stream.detector.unjudged and stream.last_ns < before_ns]
        for key in waiting:
            try:
                self._judge(key)
            except Exception:  # the guard around one stream: a defect there must end neither this thread nor what the others wait for
                self.failures["judge"] += 1
                log.exception("answers of a stream that waited cannot be judged")

    def _judge(self, key: tuple[str, ...]) -> None:
        with self._turn:
            stream = self._streams.get(key)
            alarm = None if stream is None else stream.judge()
            event = None if alarm is None else self._raise(stream, alarm)
        if event is not None:
            self._tell(event, _outline(event, stream.last_trace))

    def _tell(self, event: AlarmEvent, sent: Sent) -> None:
        for hear in self.hearers:
            hear(event, sent)

    def _find(self, sent: Sent) -> Stream:
        key = name_stream(sent, self._drift.by)
        stream = self._streams.get(key)
        if stream is None:
            while len(self._streams) >= self._drift.most_streams:
                self._forget()
            stream = self._streams[key] = Stream(key, sent.agent, sent.team, self._drift)
        stream.team = sent.team
        self._streams.move_to_end(key)
        return stream

    def _forget(self) -> None:
        key, _ = self._streams.popitem(last=False)
        self._shelf.remove(key)
        self.forgotten += 1

    def _raise(self, stream: Stream, alarm: Alarm) -> AlarmEvent:
        event = stream.remember(alarm, self._clock_ns())
        self._journal.write(event)
        self._save(stream)  # at once: one that is raised is raised once, whatever dies next
        log.warning("drift, agent %s: %s", stream.agent, event.cause)
        return event

    def settle(self, verb: str, agents: Sequence[str], filters: dict[str, str], every: bool) -> list[Told]:
        """Accept or dismiss the alarms of agents, those of `filters` (dimension → value) only; with `every`, learn streams without an alarm anew
        as well. How the streams that were concerned stand now."""
        settled = []
        with self._turn:
            for stream in self._streams.values():
                told = stream.describe()
                if stream.agent not in agents or any((told.name(dimension) or "") != value for dimension, value in filters.items()):
                    continue
                if told.state == ALARMED or every:
                    stream.accept(self._drift) if verb == "accept" else stream.dismiss()
                    self._save(stream)
                    settled.append(stream.describe())
        return settled

    def describe(self) -> list[Told]:
        """All streams, the alarmed first, then those heard last."""
        with self._turn:
            told = [stream.describe() for stream in self._streams.values()]
        return sorted(told, key=lambda one: (one.state != ALARMED, -one.last_ns))

    # --- what is kept ---------------------------------------------------------------------------------------------

    def restore(self) -> None:
        """Take the streams that were kept; one that cannot be read is learned anew."""
        if not self._drift.enabled:
            return
        found = []
        self._shelf.trim(self._drift.most_streams)
        for path, data in self._shelf.read():
            try:
                found.append(read_stream(data, self._drift))
            except StreamUnreadable as error:
                path.unlink(missing_ok=True)
                log.warning("the stream %s is learned anew: %s", path.name, error)
            except Exception:  # the guard around NumPy's reading of what may be spoiled in any way
                self.failures["load"] += 1
                path.unlink(missing_ok=True)
                log.warning("the stream %s is spoiled, and learned anew", path.name, exc_info=True)
        with self._turn:
            for stream in sorted(found, key=lambda one: one.last_ns):
                self._streams.setdefault(stream.key, stream)

    def run(self, stopping: threading.Event) -> None:
        """Look after what waits, and save what has changed every so often, until told to stop."""
        saved_s = time.monotonic()
        while not stopping.wait(min(_LOOK_S, self._drift.save_s)):
            self.judge_waiting()
            if time.monotonic() - saved_s >= self._drift.save_s:
                self.save()
                saved_s = time.monotonic()

    def save(self, limit_s: float = float("inf"), clock: Callable[[], float] = time.monotonic) -> None:
        """Save what has changed, one stream at a time: answers wait for one of them at most. What `limit_s` leaves no time for stays as it was."""
        until = clock() + limit_s
        with self._turn:
            changed = [key for key, stream in self._streams.items() if stream.is_changed]
        for key in reversed(changed):
            if clock() > until:
                log.warning("not all streams could be saved in %.0f s; the others go on from what was saved before", limit_s)
                return
            with self._turn:
                if (stream := self._streams.get(key)) is not None:
                    self._save(stream)

    def _save(self, stream: Stream) -> None:
        try:
            self._shelf.write(stream.key, stream.dump())
            stream.is_changed = False
        except OSError as error:
            self.failures["save"] += 1
            log.error("the state of a stream cannot be saved: %s", error.strerror or error)


def _outline(event: AlarmEvent, trace_id: str | None) -> Sent:
    """The call of an alarm that was raised when the call itself was no longer at hand."""
    return Sent(
        id=event.call, agent=event.agent, team=event.team, task=event.task, model=event.model, upstream=event.upstream, trace_id=trace_id,
        format="", usage_source="",
    )  # fmt: skip
