"""A histogram of whole numbers: counts in buckets, and of each bucket the newest call that has a trace."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

from prometheus_client.samples import Exemplar

from proxy.controlplane.events import Weighed

# https://github.com/open-telemetry/semantic-conventions-genai, advisory boundaries; the seconds go on past 81.92 for long reasoning calls
TOKENS = tuple(4.0**power for power in range(14))
SECONDS = tuple(round(0.01 * 2**power, 2) for power in range(17))
TOKEN_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5)
ADDED_SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)
NANO, ONE = 1e9, 1.0  # what is counted to the unit that is shown


class Histogram:
    """Counts in buckets over whole bounds; the last one has no bound. Of one thread; shown by any."""

    __slots__ = ("bounds", "counts", "newest", "total")

    def __init__(self, bounds: tuple[int, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0
        self.newest: dict[int, Weighed] = {}  # bucket → the newest call in it that has a trace; of durations only

    def add(self, value: int) -> int:
        """Count a value; its bucket."""
        bucket = bisect_left(self.bounds, value)
        self.counts[bucket] += 1
        self.total += value
        return bucket


def scale(bounds: Sequence[float], unit: float) -> tuple[int, ...]:
    """Bounds as they are shown, in the unit that is counted."""
    return tuple(round(bound * unit) for bound in bounds)


def show(histogram: Histogram, unit: float) -> tuple[list[tuple], float]:
    """(cumulative buckets, sum) as a family of prometheus_client takes them."""
    buckets: list[tuple] = []
    below, newest = 0, dict(histogram.newest)
    bounds = [*(str(bound / unit) for bound in histogram.bounds), "+Inf"]
    for index, (bound, count) in enumerate(zip(bounds, list(histogram.counts), strict=True)):
        below += count
        if index in newest:
            call, value = newest[index], newest[index].duration_ns or 0
            exemplar = Exemplar({"trace_id": call.trace_id}, value / unit, (call.started_ns + value) / NANO)
            buckets.append((bound, float(below), exemplar))
        else:
            buckets.append((bound, float(below)))
    return buckets, histogram.total / unit
