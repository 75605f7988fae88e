"""What the data plane tells of itself once a second: its calls, its journal, its limits, and the breakers and keys of its upstreams."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from proxy.pulse import Pulse

_GAUGE, _COUNTER = GaugeMetricFamily, CounterMetricFamily
_FIGURES = (
    ("in_flight", _GAUGE, "weighbridge_in_flight_calls", "Calls being carried now."),
    ("opened", _COUNTER, "weighbridge_opened_calls", "Calls let through since the data plane started."),
    ("settled", _COUNTER, "weighbridge_settled_calls", "Calls ended since the data plane started, refused ones included."),
    ("gap", _GAUGE, "weighbridge_accounting_gap_calls", "Calls opened that have no record, and that nothing carries. Must stay 0."),
    ("defects", _COUNTER, "weighbridge_settling_defects", "Steps of settling a call that failed by a defect of ours. Must stay 0."),
    ("samples_sent", _COUNTER, "weighbridge_samples_sent", "Samples that the data plane handed over."),
    ("samples_dropped", _COUNTER, "weighbridge_samples_dropped", "Samples dropped because the socket was full or absent."),
    ("journal_lines", _COUNTER, "weighbridge_journal_lines_written", "Lines written to the journal."),
    ("journal_bytes", _COUNTER, "weighbridge_journal_bytes_written", "Bytes written to the journal."),
    ("journal_waiting", _GAUGE, "weighbridge_journal_waiting_lines", "Lines in memory because the disk refuses them."),
    ("journal_lost", _COUNTER, "weighbridge_journal_lost_lines", "Lines given up. Must stay 0."),
    ("upstream_connections", _GAUGE, "weighbridge_upstream_connections", "Open connections to upstreams."),
    ("estimates", _COUNTER, "weighbridge_estimated_calls", "Calls whose usage had to be estimated."),
    ("unread", _COUNTER, "weighbridge_unread_pieces", "Pieces of answers that could not be understood."),
)


def collect_pulse(pulse: Pulse, lag_ns: int) -> Iterator[Metric]:
    """The families of a pulse; `lag_ns` is the longest pause of the event loop in the last minute."""
    for field, kind, name, text in _FIGURES:
        yield kind(name, text, getattr(pulse, field))
    yield _GAUGE("weighbridge_loop_lag_seconds", "The longest that the data plane's event loop stood still in the last minute.", lag_ns / 1e9)
    yield _GAUGE("weighbridge_data_plane_start_time_seconds", "When the data plane started, since the Unix epoch.", pulse.started_ns / 1e9)
    yield from _collect_limits(pulse)
    yield from _collect_upstreams(pulse)


def _collect_limits(pulse: Pulse) -> Iterator[Metric]:
    running = _GAUGE("weighbridge_running_calls", "Running calls that a limit counts.", labels=["limit"])
    waiting = _GAUGE("weighbridge_waiting_calls", "Calls that wait for a limit.", labels=["limit"])
    for limit in pulse.limits:
        running.add_metric([limit.name], limit.running)
        waiting.add_metric([limit.name], limit.waiting)
    yield from (running, waiting)


def _collect_upstreams(pulse: Pulse) -> Iterator[Metric]:
    keyed = ["upstream", "key"]
    state = _GAUGE("weighbridge_breaker_state", "The breaker of an upstream's key: 0 closed, 1 half open, 2 open.", labels=keyed)
    opened = _COUNTER("weighbridge_breaker_opened", "How often it has opened.", labels=keyed)
    parked = _GAUGE("weighbridge_key_parked", "Whether a key rests because the provider limited or refused it.", labels=keyed)
    refused = _COUNTER("weighbridge_retry_quota_refusals", "Further attempts not made because there were too many.", labels=["upstream"])
    for upstream in pulse.upstreams:
        refused.add_metric([upstream.name], upstream.quota_refused)
        for key in upstream.keys:
            labels = [upstream.name, key.name]
            state.add_metric(labels, key.breaker)
            opened.add_metric(labels, key.opened)
            parked.add_metric(labels, key.is_parked)
    yield from (state, opened, parked, refused)
