"""The text of a scrape: what the parsers of both formats read is what was put in."""

from __future__ import annotations

import math

import pytest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_open
from prometheus_client.parser import text_string_to_metric_families as parse_plain
from prometheus_client.samples import Exemplar

from proxy.controlplane.metrics.text import merge, prefers_open, write

NASTY = 'm"}\n# evil\\ ü'


def make_families() -> list:
    counter = CounterMetricFamily("calls", "How many.", labels=["model"])
    counter.add_metric([NASTY], 3)
    gauge = GaugeMetricFamily("left", "What is left.", labels=[])
    gauge.add_metric([], math.inf)
    histogram = HistogramMetricFamily("seconds", "How long.", labels=["kind"])
    histogram.add_metric(["a"], [("0.5", 1.0, Exemplar({"trace_id": "ab" * 16}, 0.25, 1_790_000_000.5)), ("+Inf", 2.0)], 3.5)
    return [counter, gauge, histogram]


@pytest.mark.parametrize(("parse", "is_open"), [(parse_plain, False), (parse_open, True)])
def test_both_formats_read_back(parse, is_open: bool) -> None:
    text = write(make_families(), is_open).decode()
    found = {(one.name, *one.labels.values()): one for family in parse(text) for one in family.samples}
    assert found["calls_total", NASTY].value == 3 and found[("left",)].value == math.inf
    assert (found["seconds_sum", "a"].value, found["seconds_count", "a"].value) == (3.5, 2)
    exemplar = found["seconds_bucket", "a", "0.5"].exemplar
    if is_open:
        assert (exemplar.labels, exemplar.value, float(exemplar.timestamp)) == ({"trace_id": "ab" * 16}, 0.25, 1_790_000_000.5)
    else:
        assert exemplar is None
    assert text.endswith("# EOF\n") is is_open


def test_a_family_is_written_once_however_many_have_a_part_in_it() -> None:
    more = CounterMetricFamily("calls", "How many.", labels=["model"])
    more.add_metric(["b"], 1)
    text = write(merge([*make_families(), more]), False).decode()
    assert text.count("# TYPE calls_total counter") == 1 and 'calls_total{model="b"} 1.0' in text


def test_openmetrics_is_for_those_who_ask_for_it() -> None:
    assert prefers_open("application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1")
    assert not prefers_open("text/plain;version=0.0.4;q=0.5,*/*;q=0.1") and not prefers_open("")
