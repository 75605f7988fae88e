"""What /metrics tells of reviews: the queue, and the decisions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from proxy.controlplane.metrics.histogram import NANO, Histogram, scale, show

KINDS = ("sampled", "flagged", "held")  # why a call waits, the least urgent first
DECISIONS = ("pass", "fail", "unsure", "approved", "rejected")  # of people …
ENDINGS = ("timed_out", "released", "dropped")  # … and what became of calls on which nobody decided
_SECONDS = (1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14400.0, 86400.0, 259200.0, 604800.0)


class Counts:
    """Counts of one queue; its owner holds the lock."""

    def __init__(self) -> None:
        self.unkept = 0  # texts that were let go before anybody read them, for want of room
        self._ended = dict.fromkeys((*DECISIONS, *ENDINGS), 0)
        self._waited = Histogram(scale(_SECONDS, NANO))

    def end(self, state: str, waited_ns: int | None) -> None:
        """A call has left the queue, or was decided on without having been in it (None)."""
        self._ended[state] += 1
        if waited_ns is not None and state in DECISIONS:
            self._waited.add(max(0, waited_ns))

    def collect(self, waiting: Mapping[str, int], oldest_ns: int) -> Iterator[Metric]:
        """All of it; `waiting` are the calls of each kind."""
        queue = GaugeMetricFamily("weighbridge_review_queue_calls", "Calls that wait for a reviewer.", labels=["kind"])
        for kind in KINDS:
            queue.add_metric([kind], waiting[kind])
        yield queue
        yield GaugeMetricFamily("weighbridge_review_oldest_seconds", "How long the oldest of them has waited.", oldest_ns / NANO)
        decisions = CounterMetricFamily("weighbridge_reviews", "Calls that were reviewed, or left the queue otherwise.", labels=["decision"])
        for state, count in list(self._ended.items()):
            decisions.add_metric([state], count)
        yield decisions
        yield CounterMetricFamily("weighbridge_review_texts_unkept", "Texts let go for want of room before anybody read them.", self.unkept)
        yield HistogramMetricFamily("weighbridge_review_seconds", "From the queue to a reviewer's decision.", *show(self._waited, NANO))
