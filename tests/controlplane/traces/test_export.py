"""The exporter: what waits is bounded, what is dropped is counted, and no collector, however slow or dead, holds anybody up."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import msgspec
import pytest
from opentelemetry.sdk._logs.export import LogRecordExportResult
from opentelemetry.sdk.metrics.export import MetricExportResult
from opentelemetry.sdk.trace.export import SpanExportResult
from prometheus_client.core import GaugeMetricFamily

from proxy.config import Capture, Config
from proxy.controlplane.traces import export
from proxy.controlplane.traces.export import DRAIN_S, HOLD_S, METRICS_EVERY_S, Exporter
from proxy.controlplane.traces.transport import Way, open_way
from proxy.otlp import Otlp
from proxy.trace import OF_CALL, make_span_id, make_trace_id
from tests.controlplane.conftest import make_record
from tests.controlplane.traces.collector import read_attributes
from tests.dataplane.routing import down


class Sink:
    """What is sent, and whether it is taken: in the place of a way to a collector."""

    def __init__(self) -> None:
        self.spans: list = []
        self.events: list = []
        self.metrics: list = []
        self.answer: Callable[[], bool] = lambda: True

    def way(self) -> Way:
        def make(kept: list, result: type) -> object:
            class One:
                def export(one, data: object) -> object:
                    kept.extend(data) if isinstance(data, list) else kept.append(data)
                    return result.SUCCESS if self.answer() else result.FAILURE

                def shutdown(one) -> None:
                    """Nothing is open."""

            return One()

        return Way(make(self.spans, SpanExportResult), make(self.events, LogRecordExportResult), make(self.metrics, MetricExportResult))


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def make(sink: Sink, clock: Clock | None = None, *, content: bool = False, families: list | None = None, **otlp: object) -> Exporter:
    config = Config(otlp=Otlp(endpoint="http://x", content=content, **otlp), capture=Capture(content=content))
    return Exporter(config, "1", lambda: families or [], clock or Clock(), sink.way())


def bodies(*numbers: int, **fields: object) -> list[bytes]:
    return [msgspec.json.encode(make_record(number, **fields)) for number in numbers]


def count(exporter: Exporter) -> dict[tuple[str, ...], float]:
    """The samples of what the exporter shows, by their labels."""
    samples = [sample for family in exporter.collect() for sample in family.samples]
    return {(sample.name, *sample.labels.values()): sample.value for sample in samples if sample.value}


def test_calls_become_spans_and_are_counted() -> None:
    sink = Sink()
    exporter = make(sink)
    exporter.take_calls(bodies(1, 2))
    exporter.work()
    assert len(sink.spans) == 4 and count(exporter) == {("weighbridge_spans_sent_total",): 4}


def test_without_traces_none_are_made() -> None:
    sink = Sink()
    exporter = make(sink, traces=False, metrics=True)
    exporter.take_calls(bodies(1))
    exporter.evaluation("call-1", "empty")
    exporter.work()
    assert not sink.spans and not sink.events


def test_what_does_not_fit_is_dropped_and_counted(monkeypatch) -> None:
    monkeypatch.setattr(export, "MOST_WAITING", 3)
    monkeypatch.setattr(export, "MOST_EVENTS", 1)
    sink = Sink()
    exporter = make(sink)
    exporter.take_calls(bodies(*range(5)))
    exporter.take_calls(bodies(6))
    for _ in range(3):
        exporter.evaluation("call-1", "empty")
    assert count(exporter) == {("weighbridge_dropped_total", "spans", "queue_full"): 3, ("weighbridge_dropped_total", "events", "queue_full"): 2}
    exporter.work()
    assert len(sink.spans) == 6 and len(sink.events) == 1


def test_what_is_not_taken_is_dropped_and_told_once(caplog) -> None:
    sink = Sink()
    exporter = make(sink)
    answers = iter([False, False, True])
    sink.answer = lambda: next(answers)
    for number in range(3):
        exporter.take_calls(bodies(number))
        exporter.work()
    assert count(exporter) == {("weighbridge_spans_sent_total",): 2, ("weighbridge_dropped_total", "spans", "not_taken"): 4}
    assert [record.getMessage().split()[4] for record in caplog.records] == ["takes", "takes"]
    assert "http://x takes none" in caplog.messages[0] and "takes them again" in caplog.messages[1]


def test_a_defect_costs_the_spans_of_one_call(monkeypatch) -> None:
    sink = Sink()
    exporter = make(sink)
    made = exporter._maker.make

    def fail(record: object, content: object) -> list:
        if record.id == "call-1":
            raise RuntimeError("a defect")
        return made(record, content)

    monkeypatch.setattr(exporter._maker, "make", fail)
    exporter.take_calls([b"garbage", *bodies(1, 2)])
    exporter.work()
    assert len(sink.spans) == 2
    shown = {key[2]: number for key, number in count(exporter).items() if key[0] == "weighbridge_dropped_total"}
    assert shown == {"malformed": 1, "defect": 1}


def test_a_client_that_raises_does_not_end_the_thread() -> None:
    sink = Sink()

    def raise_it() -> bool:
        raise RuntimeError("of the client")

    sink.answer = raise_it
    exporter = make(sink)
    exporter.take_calls(bodies(1))
    exporter.work()
    assert count(exporter) == {("weighbridge_dropped_total", "spans", "not_taken"): 2}


def test_an_evaluation_is_an_event_on_the_span_of_its_call() -> None:
    sink = Sink()
    exporter = make(sink)
    exporter.evaluation("call-1", "empty", score=0.5, label="fail", explanation="said too little", at_ns=7)
    exporter.evaluation("call-2", "drift", trace_id="ab" * 16, error="timeout")
    exporter.work()
    first, second = [one.log_record for one in sink.events]
    assert (first.event_name, first.timestamp) == ("gen_ai.evaluation.result", 7)
    assert (f"{first.trace_id:032x}", f"{first.span_id:016x}") == (make_trace_id("call-1"), make_span_id("call-1", OF_CALL))
    assert dict(first.attributes) == {
        "gen_ai.evaluation.name": "empty", "gen_ai.evaluation.score.value": 0.5, "gen_ai.evaluation.score.label": "fail",
        "weighbridge.call.id": "call-1",
    }  # fmt: skip
    assert f"{second.trace_id:032x}" == "ab" * 16 and second.attributes["error.type"] == "timeout"


def test_a_flagged_call_that_was_passed_over_is_sent_after_all() -> None:
    sink = Sink()
    exporter = make(sink, share=0.0)
    exporter.take_calls(bodies(1, 2) + bodies(3, outcome="upstream_error"))
    exporter.work()
    assert len(sink.spans) == 2  # of the one that failed
    exporter.evaluation("call-2", "empty", label="fail", flagged=True)
    exporter.work()
    exporter.evaluation("call-2", "other", label="fail", flagged=True)
    exporter.work()
    assert [span.attributes["weighbridge.call.id"] for span in sink.spans[2:]] == ["call-2", "call-2"]


def test_with_content_a_call_waits_for_its_own() -> None:
    sink, clock = Sink(), Clock()
    exporter = make(sink, clock, content=True)
    exporter.take_calls(bodies(1))
    exporter.work()
    assert not sink.spans
    exporter.take_content([("call-1", 1, '{"prompt": "hi"}', "ho", "[]")])
    exporter.evaluation("call-1", "empty", explanation="why")
    clock.now = HOLD_S
    exporter.work()
    assert "hi" in sink.spans[1].attributes["gen_ai.input.messages"]
    assert sink.events[0].log_record.attributes["gen_ai.evaluation.explanation"] == "why"


def test_without_the_setting_content_is_not_even_kept() -> None:
    exporter = make(Sink())
    exporter.take_content([("call-1", 1, '{"prompt": "hi"}', "ho", "[]")])
    assert not exporter._contents


def test_metrics_are_sent_at_the_start_and_once_a_minute() -> None:
    sink, clock = Sink(), Clock()
    exporter = make(sink, clock, metrics=True, families=[GaugeMetricFamily("weighbridge_agents", "Agents.", 3)])
    for clock.now in (0.0, METRICS_EVERY_S - 1, METRICS_EVERY_S, METRICS_EVERY_S + 1):
        exporter.work()
    first, data = sink.metrics
    assert first != data and data.resource_metrics[0].scope_metrics[0].metrics[0].name == "weighbridge_agents"


@pytest.fixture
def running() -> Iterator[Callable[[Exporter], threading.Thread]]:
    threads: list[tuple[Exporter, threading.Thread]] = []

    def start(exporter: Exporter) -> threading.Thread:
        threads.append((exporter, threading.Thread(target=exporter.run)))
        threads[-1][1].start()
        return threads[-1][1]

    yield start
    for exporter, thread in threads:
        exporter.abandon()
        thread.join()


def open_exporter(endpoint: str, protocol: str, timeout_s: float = 10.0) -> Exporter:
    otlp = Otlp(endpoint=endpoint, protocol=protocol)
    return Exporter(Config(otlp=otlp), "1", list, time.monotonic, open_way(otlp, {}, timeout_s))


def test_what_waits_is_sent_before_the_end(serve, protocol, running) -> None:
    with serve() as collector:
        exporter = open_exporter(collector.endpoint, protocol)
        exporter.take_calls(bodies(*range(600)))
        exporter.evaluation("call-1", "empty", score=1.0)
        exporter.stop()
        exporter._stop_at += 60  # however slow the machine
        running(exporter).join()
        assert len(collector.spans) == 1200 and len(collector.events) == 1
        assert read_attributes(collector.events[0])["gen_ai.evaluation.score.value"] == 1.0
        assert collector.events[0].event_name == "gen_ai.evaluation.result"


def test_a_slow_collector_holds_nobody_up(serve, protocol, running) -> None:
    with serve() as collector:
        collector.gate.clear()
        exporter = open_exporter(collector.endpoint, protocol)
        running(exporter)
        exporter.take_calls(bodies(1))
        collector.wait_for(lambda one: one.requests)  # it has the first batch, and answers nothing
        for number in range(2, 30):
            exporter.take_calls(bodies(number))
        assert len(exporter._calls) == 28 and not exporter.sent["spans"]
        collector.gate.set()
        collector.wait_for(lambda one: one.spans, 58)


def test_a_dead_collector_costs_the_spans_only(protocol, running) -> None:
    exporter = open_exporter(down(), protocol, timeout_s=0.5)
    thread = running(exporter)
    exporter.take_calls(bodies(*range(10)))
    deadline = time.monotonic() + 20
    while exporter.dropped["spans", "not_taken"] < 20:
        assert time.monotonic() < deadline and thread.is_alive()
        time.sleep(0.01)
    assert count(exporter) == {("weighbridge_dropped_total", "spans", "not_taken"): 20}


def test_the_end_is_not_waited_for_longer_than_told() -> None:
    clock, sink = Clock(), Sink()
    exporter = make(sink, clock)

    def pass_time() -> bool:
        clock.now += DRAIN_S
        return True

    sink.answer = pass_time
    exporter.take_calls(bodies(*range(600)))
    exporter.stop()
    exporter.run()
    assert exporter.sent["spans"] == 512 and exporter.dropped["spans", "stopped"] == 600 - 256
