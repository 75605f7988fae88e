"""How far estimates are off: counted by kind, around one."""

from __future__ import annotations

from proxy.controlplane.metrics.errors import EstimateErrors


def test_an_estimate_is_counted_by_its_ratio_to_what_came_true(read) -> None:
    errors = EstimateErrors()
    errors.count("input", 90.0, 100)
    errors.count("input", 130.0, 100)
    errors.count("output", 10.0, 0)
    found = read(errors.collect())
    assert found["estimate_ratio_bucket{kind=input,le=0.8}"] == 0 and found["estimate_ratio_bucket{kind=input,le=0.9}"] == 1
    assert (found["estimate_ratio_count{kind=input}"], found["estimate_ratio_sum{kind=input}"]) == (2, 2.2)
    assert found["estimate_ratio_count{kind=output}"] == 0, "nothing was reported"
