"""Counters and histograms: right figures, bounded labels."""

from __future__ import annotations

import re

from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_open
from prometheus_client.parser import text_string_to_metric_families

from proxy.controlplane.events import Batch, Weighed, parse
from proxy.controlplane.metrics import Metrics
from proxy.observing import Shown
from tests.controlplane.conftest import call


def weigh(*lines: bytes) -> list[Weighed]:
    return [parse(one[:-1], Batch())[1] for one in lines]


def read(metrics: Metrics) -> dict[str, float]:
    """Sample name with the labels that differ → value."""
    samples = {}
    for family in text_string_to_metric_families(metrics.render().decode()):
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            samples[f"{sample.name}{{{labels}}}"] = sample.value
    return samples


LABELS = "gen_ai_operation_name=chat,gen_ai_provider_name=openai,gen_ai_request_model=m"


def test_a_call_is_counted_everywhere_it_belongs() -> None:
    metrics = Metrics(["openai"], "1.2.3")
    one = call(
        0,
        model="m",
        input_tokens=100,
        output_tokens=10,
        cost_nano_usd=2_500_000_000,
        first_token_ns=20_000_000,
        added_ns=300_000,
        cache_read_tokens=60,
    )
    failed = call(1, model="m", outcome="upstream_error", cost_nano_usd=None, input_tokens=None, output_tokens=None, duration_ns=100 * 10**9)
    metrics.observe(weigh(one, failed))
    found = read(metrics)
    assert found[f"weighbridge_calls_total{{{LABELS},outcome=ok,upstream=demo}}"] == 1
    assert found[f"weighbridge_calls_total{{{LABELS},outcome=upstream_error,upstream=demo}}"] == 1
    assert found[f"weighbridge_cost_usd_total{{{LABELS},upstream=demo}}"] == 2.5
    assert found[f"weighbridge_unpriced_calls_total{{{LABELS},upstream=demo}}"] == 1
    assert found[f"weighbridge_tokens_total{{{LABELS},kind=cache_read,upstream=demo}}"] == 60
    usage = "gen_ai_client_token_usage_bucket{" + LABELS.replace(",gen_ai_request", ",gen_ai_request") + ",gen_ai_token_type=input,le="
    assert (found[usage + "64.0,upstream=demo}"], found[usage + "256.0,upstream=demo}"], found[usage + "+Inf,upstream=demo}"]) == (0, 1, 1)
    duration = f"gen_ai_client_operation_duration_seconds_sum{{error_type=upstream_error,{LABELS},upstream=demo}}"
    assert found[duration] == 100
    assert found[f"gen_ai_client_operation_time_to_first_chunk_seconds_bucket{{{LABELS},le=0.02,upstream=demo}}"] == 1
    assert found["weighbridge_added_seconds_bucket{le=0.0005}"] == 1
    assert found["weighbridge_build_info{version=1.2.3}"] == 1


def test_labels_are_bounded_whatever_callers_send() -> None:
    metrics = Metrics(["openai"])
    metrics.observe(weigh(*(call(n, model=f"model-{n}", upstream=f"upstream-{n}", outcome=f"outcome-{n}", operation=f"op-{n}") for n in range(300))))
    text = metrics.render().decode()
    assert len(set(re.findall(r'gen_ai_request_model="([^"]*)"', text))) == Shown().models + 1
    assert set(re.findall(r'upstream="([^"]*)"', text)) == {"other"}
    assert set(re.findall(r'outcome="([^"]*)"', text)) == {"other"}
    assert sum(float(value) for value in re.findall(r"^weighbridge_calls_total{.*} (.*)$", text, re.MULTILINE)) == 300


def test_no_label_holds_a_task_or_a_session() -> None:
    metrics = Metrics(["openai"])
    metrics.observe(weigh(call(1, agent="a", task="secret-task", session="secret-session")))
    assert "secret" not in metrics.render().decode()


def test_a_model_name_cannot_break_the_text() -> None:
    metrics = Metrics([])
    metrics.observe(weigh(call(1, model='m"}\n# evil\\')))
    assert any("evil" in name for name in read(metrics))


def test_a_part_that_fails_hides_no_other_and_is_counted() -> None:
    metrics = Metrics([])

    def fail() -> list:
        raise ZeroDivisionError

    metrics.gauges.insert(0, fail)
    metrics.observe(weigh(call(1)))
    found = read(metrics)
    assert found["weighbridge_metrics_failures_total{}"] == 1 and any(name.startswith("weighbridge_calls_total") for name in found)
    assert found["weighbridge_metrics_series{}"] == len(found) - 1


def test_scrapes_within_a_second_share_their_text() -> None:
    now = [0.0]
    metrics = Metrics([], clock=lambda: now[0])
    first, kind = metrics.scrape()
    metrics.observe(weigh(call(1)))
    now[0] = 0.9
    assert (metrics.scrape(), kind) == ((first, kind), "text/plain; version=0.0.4; charset=utf-8")
    now[0] = 1.0
    assert metrics.scrape()[0] != first


def test_the_newest_traced_call_of_a_bucket_is_its_exemplar() -> None:
    metrics = Metrics(["demo"])
    metrics.observe(weigh(*(call(number, model="m", trace_id=f"{number:032x}") for number in (1, 2)), call(3, model="m")))
    text, kind = metrics.scrape("application/openmetrics-text;version=1.0.0")
    assert kind.startswith("application/openmetrics-text")
    marked = [one for family in parse_open(text.decode()) for one in family.samples if one.exemplar]
    assert [(one.name, one.labels["le"], one.exemplar.labels) for one in marked] == [
        ("gen_ai_client_operation_duration_seconds_bucket", "1.28", {"trace_id": f"{2:032x}"})
    ]
    assert abs(float(marked[0].exemplar.timestamp) - (1_790_000_002 + 1.000000002)) < 0.01
