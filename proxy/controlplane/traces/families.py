"""What /metrics shows, as OTLP has it: the same counts and buckets, under OpenTelemetry's own names where it has them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from prometheus_client import Metric as Family
from prometheus_client.samples import Sample

from proxy.controlplane.traces import semconv

_CUMULATIVE = AggregationTemporality.CUMULATIVE
_SECONDS = "_seconds"


def write_metrics(families: Iterable[Family], resource: Resource, scope: InstrumentationScope, since_ns: int, now_ns: int) -> tuple[MetricsData, int]:
    """(all families at this moment, counted since `since_ns`; how many data points these are)."""
    metrics = [one for family in families if (one := _translate(family, since_ns, now_ns)) is not None]
    points = sum(len(metric.data.data_points) for metric in metrics)
    url = scope.schema_url or ""
    return MetricsData([ResourceMetrics(resource, [ScopeMetrics(scope, metrics, url)], url)]), points


def _translate(family: Family, since_ns: int, now_ns: int) -> Metric | None:
    name, unit = semconv.METRICS.get(family.name, (family.name, "s" if family.name.endswith(_SECONDS) else ""))
    data: Sum | Gauge | Histogram
    if family.type == "histogram":
        data = Histogram(_fold(family.samples, since_ns, now_ns), _CUMULATIVE)
    elif family.type == "counter":
        name = f"{family.name}_total" if name == family.name else name
        data = Sum(_point(family.samples, since_ns, now_ns), _CUMULATIVE, is_monotonic=True)
    else:
        data = Gauge(_point(family.samples, since_ns, now_ns))
    return Metric(name, family.documentation, unit, data) if data.data_points else None


def _point(samples: list[Sample], since_ns: int, now_ns: int) -> list[NumberDataPoint]:
    """One point for each sample; yes and no as numbers, for one truth value costs the encoder the whole batch."""
    values = ((one, int(one.value) if isinstance(one.value, bool) else one.value) for one in samples if not one.name.endswith("_created"))
    return [NumberDataPoint(_name(one.labels), since_ns, now_ns, value) for one, value in values]


def _fold(samples: list[Sample], since_ns: int, now_ns: int) -> list[HistogramDataPoint]:
    """Samples of buckets (cumulative, by their bound), of a count and of a sum, into one point a label set."""
    found: dict[tuple[tuple[str, str], ...], dict[str, Any]] = {}
    for one in samples:
        labels = tuple((name, value) for name, value in one.labels.items() if name != "le")
        parts = found.setdefault(labels, {"bounds": [], "below": [], "sum": 0.0})
        if one.name.endswith("_bucket"):
            parts["bounds"].append(float(one.labels["le"]))
            parts["below"].append(int(one.value))
        elif one.name.endswith("_sum"):
            parts["sum"] = one.value
    points = []
    for labels, parts in found.items():
        counts = [above - below for below, above in zip([0, *parts["below"]], parts["below"], strict=False)]
        total = parts["below"][-1] if parts["below"] else 0
        points.append(
            HistogramDataPoint(_name(dict(labels)), since_ns, now_ns, total, parts["sum"], counts, parts["bounds"][:-1], float("nan"), float("nan"))
        )
    return points


def _name(labels: dict[str, str]) -> dict[str, str]:
    """The labels without those that are empty, which in Prometheus are as good as absent."""
    return {semconv.LABELS.get(name, name): value for name, value in labels.items() if value}
