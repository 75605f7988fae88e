"""Sends what happens to a collector, from a thread of its own: spans of calls, evaluations as events, and once a minute what /metrics shows.

What waits is bounded, and what does not fit is dropped and counted: a collector that is slow or dead costs nobody anything but these spans. The
loader only hands over the bytes of its records; they are read here. Where prompts and outputs are sent as well a call waits for its own, which
come another way, for `HOLD_S`.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator

import msgspec
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk._logs.export import LogRecordExportResult
from opentelemetry.sdk.metrics.export import MetricExportResult
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.trace import NonRecordingSpan, set_span_in_context
from prometheus_client.core import CounterMetricFamily, Metric

from proxy.config import Config
from proxy.controlplane.estimator import Content as Row
from proxy.controlplane.traces import semconv
from proxy.controlplane.traces.families import write_metrics
from proxy.controlplane.traces.sampling import is_kept
from proxy.controlplane.traces.spans import Content, SpanMaker, Told, make_context
from proxy.controlplane.traces.transport import Way, open_way
from proxy.trace import OF_CALL, make_span_id, make_trace_id

log = logging.getLogger("weighbridge.otlp")
MOST_WAITING = 20_000  # calls
MOST_EVENTS = 5_000
HOLD_S = 10.0
METRICS_EVERY_S = 60.0
DRAIN_S = 1.5
_MOST_KEPT = 2_000  # contents that wait for their call, and calls that were passed over
_BATCH = 256  # calls
_PAUSE_S = 1.0
_decode = msgspec.json.Decoder(Told).decode
_NAMES = {"spans": "spans", "events": "events", "metrics": "metric points"}


class Exporter:
    """Owns the way to the collector. `take_calls`, `take_content`, `evaluation`, `know` and `collect` are for any thread, `run` is the thread."""

    drain_s = DRAIN_S  # that it goes on when it is told to stop, at most

    def __init__(
        self, config: Config, version: str, families: Callable[[], Iterable[Metric]], clock: Callable[[], float] = time.monotonic,
        way: Way | None = None,
    ) -> None:  # fmt: skip
        self.sent: Counter[str] = Counter()  # spans, events, metrics
        self.dropped: Counter[tuple[str, str]] = Counter()  # (what, why)
        self._otlp = config.otlp
        self._maker = SpanMaker(config.upstreams, version, socket.gethostname(), config.otlp.vocabulary)
        self._way = way or open_way(config.otlp)
        self._families = families
        self._clock = clock
        self._since_ns = time.time_ns()
        self._metrics_at = clock() - METRICS_EVERY_S
        self._calls: deque[tuple[float, bytes]] = deque()  # when it is due, a record
        self._events: deque[ReadableLogRecord] = deque()
        self._contents: OrderedDict[str, Content] = OrderedDict()
        self._passed_over: OrderedDict[str, Told] = OrderedDict()  # ordinary calls of which no spans were made
        self._flagged: deque[str] = deque(maxlen=_MOST_KEPT)
        self._turn = threading.Condition()
        self._stop_at: float | None = None
        self._is_away = False

    # --- what comes in --------------------------------------------------------------------------------------------

    def know(self, config: Config) -> None:
        """Take other upstreams."""
        self._maker.know(config.upstreams)

    def take_calls(self, bodies: list[bytes]) -> None:
        """Take records that have been loaded, as JSON."""
        if not self._otlp.traces:
            return
        due = self._clock() + (HOLD_S if self._otlp.content else 0.0)
        with self._turn:
            room = max(0, MOST_WAITING - len(self._calls))
            self._calls.extend((due, body) for body in bodies[:room])
            self.dropped["spans", "queue_full"] += max(0, len(bodies) - room)
            self._turn.notify()

    def take_content(self, rows: list[Row]) -> None:
        """Take prompts and outputs of calls, as they are kept."""
        if self._otlp.content and self._otlp.traces:
            with self._turn:
                for call_id, _, prompt, output, tools in rows:
                    self._contents[call_id] = Content(prompt, output, tools)
                while len(self._contents) > _MOST_KEPT:
                    self._contents.popitem(last=False)
                    self.dropped["content", "queue_full"] += 1

    def evaluation(
        self, call_id: str, name: str, *, score: float | None = None, label: str | None = None, explanation: str | None = None,
        trace_id: str | None = None, error: str | None = None, flagged: bool = False, at_ns: int | None = None,
    ) -> None:  # fmt: skip
        """Send one evaluator's judgement of a call as an event on the call's span. `trace_id` is the record's.

        `flagged` has the call's spans sent, if it was passed over as ordinary and is still at hand. The explanation is only sent with content.
        """
        attributes = {
            semconv.EVALUATION_NAME: name, semconv.EVALUATION_SCORE: score, semconv.EVALUATION_LABEL: label,
            semconv.EVALUATION_EXPLANATION: explanation if self._otlp.content else None, semconv.ERROR_TYPE: error, semconv.CALL: call_id,
        }  # fmt: skip
        span = NonRecordingSpan(make_context(trace_id or make_trace_id(call_id), make_span_id(call_id, OF_CALL)))
        now_ns = at_ns or time.time_ns()
        record = LogRecord(
            timestamp=now_ns, observed_timestamp=now_ns, context=set_span_in_context(span), severity_number=SeverityNumber.INFO,
            attributes=semconv.speak(attributes, "current"), event_name=semconv.EVALUATION,
        )  # fmt: skip
        if not self._otlp.traces:
            return
        with self._turn:
            if flagged:
                self._flagged.append(call_id)
            if len(self._events) < MOST_EVENTS:
                self._events.append(ReadableLogRecord(record, self._maker.resource, self._maker.scope))
            else:
                self.dropped["events", "queue_full"] += 1
            self._turn.notify()

    def collect(self) -> Iterator[Metric]:
        """What was sent and what was dropped."""
        yield CounterMetricFamily("weighbridge_spans_sent", "Spans that the collector has taken.", self.sent["spans"])
        dropped = CounterMetricFamily("weighbridge_dropped", "What was given up, by why.", labels=["what", "reason"])
        for (what, reason), count in list(self.dropped.items()):
            dropped.add_metric([what, reason], count)
        yield dropped

    # --- what goes out --------------------------------------------------------------------------------------------

    def stop(self) -> None:
        """Send what waits, for `DRAIN_S` at most, and end."""
        with self._turn:
            self._stop_at = self._clock() + DRAIN_S
            self._turn.notify()

    def abandon(self) -> None:
        """End now, in the middle of what is under way."""
        with self._turn:
            self._stop_at = self._clock()
            self._turn.notify()
        self._way.close()

    def run(self) -> None:
        """Work until told to stop."""
        while self._stop_at is None:
            self.work()
            with self._turn:
                if not self._events and not self._is_due():
                    self._turn.wait(_PAUSE_S)
        while (self._calls or self._events) and self._clock() < self._stop_at:
            self.work()
        if self._otlp.metrics and self._clock() < self._stop_at:
            self._send_metrics()
        self.dropped["spans", "stopped"] += len(self._calls)
        with contextlib.suppress(OSError):
            self._way.close()

    def work(self) -> None:
        """Send what is due, a batch of each kind at most."""
        if batch := self._next_calls():
            self._send_calls(batch)
        with self._turn:
            events = [self._events.popleft() for _ in range(min(_BATCH, len(self._events)))]
        if events:
            self._send("events", len(events), lambda: self._way.events.export(events) is LogRecordExportResult.SUCCESS)
        if self._otlp.metrics and self._clock() - self._metrics_at >= METRICS_EVERY_S:
            self._send_metrics()

    def _is_due(self) -> bool:
        return bool(self._flagged) or (bool(self._calls) and (self._stop_at is not None or self._calls[0][0] <= self._clock()))

    def _next_calls(self) -> list[Told]:
        """The calls that are due and kept, and those that were passed over and have been flagged since."""
        found: list[Told] = []
        bodies: list[bytes] = []
        with self._turn:
            while len(bodies) < _BATCH and self._calls and self._is_due_first():
                bodies.append(self._calls.popleft()[1])
            flagged = [self._flagged.popleft() for _ in range(len(self._flagged))]
        for body in bodies:
            try:
                record = _decode(body)
            except (msgspec.MsgspecError, UnicodeError):
                self.dropped["spans", "malformed"] += 1
                continue
            if is_kept(record, self._otlp.share):
                found.append(record)
            else:
                self._passed_over[record.id] = record
                if len(self._passed_over) > _MOST_KEPT:
                    self._contents.pop(self._passed_over.popitem(last=False)[0], None)
        return found + [record for call_id in flagged if (record := self._passed_over.pop(call_id, None)) is not None]

    def _is_due_first(self) -> bool:
        return self._stop_at is not None or self._calls[0][0] <= self._clock()

    def _send_calls(self, records: list[Told]) -> None:
        spans: list[ReadableSpan] = []
        for record in records:
            try:
                spans += self._maker.make(record, self._contents.pop(record.id, None))
            except Exception:  # a defect here must cost the spans of this call only
                self.dropped["spans", "defect"] += 1
                log.exception("making the spans of a call failed; they are left out")
        if spans:
            self._send("spans", len(spans), lambda: self._way.spans.export(spans) is SpanExportResult.SUCCESS)

    def _send_metrics(self) -> None:
        self._metrics_at = self._clock()
        data, points = write_metrics(self._families(), self._maker.resource, self._maker.scope, self._since_ns, time.time_ns())
        self._send("metrics", points, lambda: self._way.metrics.export(data) is MetricExportResult.SUCCESS)

    def _send(self, what: str, count: int, export: Callable[[], bool]) -> None:
        try:
            is_taken = export()
        except Exception:  # of the client on the way, which must not end the thread
            is_taken = False
            log.exception("sending %s failed", _NAMES[what])
        if is_taken:
            self.sent[what] += count
        else:
            self.dropped[what, "not_taken"] += count
        if is_taken is self._is_away:
            self._is_away = not is_taken
            told = "takes them again" if is_taken else f"takes none; they are dropped and counted (weighbridge_dropped_total), {count} now"
            log.warning("%s: the collector %s %s", _NAMES[what], self._otlp.endpoint, told)
