"""Values in the words of Grafana."""

from __future__ import annotations

import datetime
import math

import pytest

from dashboards.wording import find_words, write_value


@pytest.mark.parametrize(
    ("value", "unit", "decimals", "text"),
    [
        (None, "short", None, "-"),
        (math.nan, "s", None, "-"),
        (0.0314, "percentunit", 1, "3.1 %"),
        (86.5, "percent", None, "86.5 %"),
        (-0.5, "currencyUSD", 2, "-$0.50"),
        (12_345.0, "currencyUSD", None, "$12.3k"),
        (0.0021, "s", None, "2.1 ms"),
        (7.2e9, "ns", None, "7.2 s"),
        (5_400.0, "s", None, "1.5 h"),
        (0.0, "s", None, "0 s"),
        (2_940.0, "bytes", None, "2.94k B"),
        (3.0, "reqps", None, "3 req/s"),
        ("x" * 40, "string", None, "x" * 29 + "…"),
        (datetime.datetime(2026, 11, 21, 12, tzinfo=datetime.UTC), "dateTimeAsIso", None, "2026-11-21 12:00:00"),
    ],
)
def test_values_are_written_in_their_unit(value: object, unit: str, decimals: int | None, text: str) -> None:
    assert write_value(value, unit, decimals) == text


def test_moments_may_be_told_from_now() -> None:
    now = datetime.datetime.now(datetime.UTC)
    assert write_value(now + datetime.timedelta(hours=2, minutes=1), "dateTimeFromNow").startswith("in 2.0")
    assert write_value(now - datetime.timedelta(days=3), "dateTimeFromNow") == "3 d ago"


def test_words_come_before_colours_of_steps() -> None:
    steps = {"steps": [{"value": None, "color": "green"}, {"value": 0.8, "color": "orange"}]}
    states = [{"options": {"2": {"text": "open", "color": "red"}}}]
    assert find_words(2.0, {"mappings": states, "thresholds": steps}) == ("open", "red")
    assert [find_words(value, {"thresholds": steps}) for value in (0.7, 0.8)] == [(None, "green"), (None, "orange")]
    assert find_words("text", {"thresholds": steps}) == (None, None)
