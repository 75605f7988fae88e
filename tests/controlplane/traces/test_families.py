"""What /metrics shows comes out the same by OTLP."""

from __future__ import annotations

from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.sdk.metrics.export import Gauge, Histogram, Metric, Sum
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

from proxy.controlplane.metrics import Metrics
from proxy.controlplane.traces.families import write_metrics
from proxy.controlplane.traces.semconv import METRICS


def write(*families: object) -> dict[str, Metric]:
    data, points = write_metrics(families, Resource({}), InstrumentationScope("weighbridge"), 5, 9)
    ((scope,),) = [one.scope_metrics for one in data.resource_metrics]
    assert points == sum(len(one.data.data_points) for one in scope.metrics)
    return {one.name: one for one in scope.metrics}


def test_a_counter_is_a_cumulative_sum() -> None:
    family = CounterMetricFamily("weighbridge_calls", "Calls.", labels=["upstream", "gen_ai_provider_name", "team"])
    family.add_metric(["demo", "openai", ""], 7)
    metric = write(family)["weighbridge_calls_total"]
    (point,) = metric.data.data_points
    assert isinstance(metric.data, Sum) and metric.data.is_monotonic and metric.data.aggregation_temporality == 2
    assert (point.value, point.start_time_unix_nano, point.time_unix_nano) == (7, 5, 9)
    assert point.attributes == {"upstream": "demo", "gen_ai.provider.name": "openai"}


def test_a_gauge_is_one_and_an_empty_family_is_left_out() -> None:
    found = write(GaugeMetricFamily("weighbridge_pulse_age_seconds", "Age.", 1.5), GaugeMetricFamily("weighbridge_none", "None.", labels=["a"]))
    metric = found["weighbridge_pulse_age_seconds"]
    assert isinstance(metric.data, Gauge) and metric.data.data_points[0].value == 1.5 and metric.unit == "s" and len(found) == 1


def test_yes_and_no_are_numbers_that_can_be_sent() -> None:
    family = GaugeMetricFamily("weighbridge_key_parked", "Parked.", labels=["key"])
    for number, is_parked in enumerate((False, True)):
        family.add_metric([str(number)], is_parked)
    data, _ = write_metrics([family], Resource({}), InstrumentationScope("weighbridge"), 5, 9)
    sent = encode_metrics(data).resource_metrics[0].scope_metrics[0].metrics[0].gauge.data_points
    assert [point.as_int for point in sent] == [0, 1]


def test_a_histogram_keeps_its_buckets() -> None:
    family = HistogramMetricFamily("gen_ai_client_token_usage", "Tokens.", labels=["gen_ai_token_type"])
    family.add_metric(["input"], [("1.0", 2), ("4.0", 5), ("+Inf", 6)], 40)
    family.add_metric(["output"], [("1.0", 0), ("4.0", 0), ("+Inf", 0)], 0)
    metric = write(family)["gen_ai.client.token.usage"]
    first, second = metric.data.data_points
    assert isinstance(metric.data, Histogram) and metric.unit == "{token}"
    assert (first.bucket_counts, first.explicit_bounds, first.count, first.sum) == ([2, 3, 1], [1.0, 4.0], 6, 40)
    assert first.attributes == {"gen_ai.token.type": "input"} and second.count == 0


def test_opentelemetry_s_own_names_are_those_that_are_shown() -> None:
    assert set(METRICS) <= {family.name for family in Metrics({"demo"}).collect()}
