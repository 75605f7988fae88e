from __future__ import annotations

import pytest

from tests.observe.selectors import Selector, find_selectors

RECORDS = {"job:errors:ratio5m": 'sum by (job) (rate(errors_total{kind!="none"}[5m])) / job:all:rate5m', "job:all:rate5m": "sum(rate(all_total[5m]))"}


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ("up", ["up{}"]),
        ('rate(a_total{x="1", y=~"b|c"}[5m] offset 1h) > 10e6', ['a_total{x="1", y=~"b|c"}']),
        ("sum by (job, le) (a) / on (job) group_left (x) b and c unless d", ["a{}", "b{}", "c{}", "d{}"]),
        ('label_replace(a, "unit", "usd", "", "") or vector(0)', ["a{}"]),
        ("job:errors:ratio5m > 0.1", ['errors_total{kind!="none"}', "all_total{}"]),
        ('histogram_quantile(0.9, a_bucket{le="1e3}"})', ['a_bucket{le="1e3}"}']),
        ("time() - 5 * a ^ 2", ["a{}"]),
    ],
)
def test_what_an_expression_reads(expression: str, found: list[str]) -> None:
    assert list(map(str, find_selectors(expression, RECORDS))) == found


@pytest.mark.parametrize(
    ("operator", "value", "fits"),
    [
        ("=", "ok", True), ("=", "o", False), ("!=", "ok", False), ("!=", "", True),
        ("=~", "o.", True), ("=~", "o", False), ("!~", "o.+", False), ("!~", "", True),
    ],
)  # fmt: skip
def test_a_matcher_is_as_prometheus_has_it(operator: str, value: str, fits: bool) -> None:
    assert Selector("a", (("x", operator, value),)).fits({"__name__": "a", "x": "ok"}) is fits
    assert Selector("a", (("absent", "=", ""),)).fits({"__name__": "a"})
    assert not Selector("b", ()).fits({"__name__": "a"})
