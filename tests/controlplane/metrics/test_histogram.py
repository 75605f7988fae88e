"""A histogram of whole numbers: bounds belong to their bucket, and buckets add up."""

from __future__ import annotations

from proxy.controlplane.metrics.histogram import NANO, SECONDS, Histogram, scale, show


def test_a_bound_is_within_its_bucket_and_buckets_add_up() -> None:
    histogram = Histogram(scale((0.01, 0.02), NANO))
    assert [histogram.add(value) for value in (10_000_000, 10_000_001, 20_000_001)] == [0, 1, 2]
    assert show(histogram, NANO) == ([("0.01", 1.0), ("0.02", 2.0), ("+Inf", 3.0)], 0.040000002)


def test_bounds_are_shown_as_they_were_named() -> None:
    assert [bound for bound, _ in show(Histogram(scale(SECONDS, NANO)), NANO)[0]] == [*map(str, SECONDS), "+Inf"]
