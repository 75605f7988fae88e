"""Prices of one's own: what is checked, and said."""

import pytest

from proxy.config import ConfigError, parse
from proxy.prices import Price

UP = "upstreams: {up: {url: 'http://127.0.0.1:1'}}\nprices:\n  - "


def test_they_are_read():
    assert parse(UP + "{model: m, input: 1, output: 2, upstream: up}").prices == [Price("m", 1.0, 2.0, "up")]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{model: m, input: 1, output: 2, upstream: nowhere}", "prices[0].upstream: names no configured upstream; known: up"),
        ("{model: m, input: -1, output: 2}", "prices[0].input: expected 0 or more"),
    ],
)
def test_what_is_wrong_is_said(text, said):
    with pytest.raises(ConfigError) as caught:
        parse(UP + text)
    assert len(caught.value.faults) == 1 and said in str(caught.value.faults[0])
