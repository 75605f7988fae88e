"""How far estimates of tokens are off: what the estimator would have said of calls whose provider did report, to what it reported."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import HistogramMetricFamily, Metric

from proxy.controlplane.metrics.histogram import NANO, Histogram, scale, show

_RATIOS = (0.25, 0.5, 0.7, 0.8, 0.9, 0.95, 1.0, 1.05, 1.1, 1.25, 1.5, 2.0, 4.0)


class EstimateErrors:
    """`count` belongs to one thread, `collect` to any."""

    def __init__(self) -> None:
        bounds = scale(_RATIOS, NANO)
        self._kinds = {"input": Histogram(bounds), "output": Histogram(bounds)}

    def count(self, kind: str, estimated: float, reported: int) -> None:
        """An estimate and what came true; `kind` is input or output."""
        if reported > 0:
            self._kinds[kind].add(round(estimated / reported * NANO))

    def collect(self) -> Iterator[Metric]:
        family = HistogramMetricFamily("weighbridge_estimate_ratio", "Estimated to reported tokens of sampled calls.", labels=["kind"])
        for kind, histogram in self._kinds.items():
            family.add_metric([kind], *show(histogram, NANO))
        yield family
