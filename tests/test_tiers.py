"""The rules of model tiers: what is checked, and said."""

import pytest

from proxy.config import ConfigError, parse
from proxy.tiers import Tier, read_hours

UP = "upstreams: {up: {url: 'http://127.0.0.1:1'}}\ntiers:\n"


def test_all_of_it_is_read():
    when = "most_prompt_bytes: 9, hours: 22-6, timezone: Europe/Berlin, share: 0.05"
    text = UP + "  - {name: a, model: {x: y}, match: {agent: 'd-*', 'tag:t': s}, " + when + "}"
    wanted = Tier("a", {"x": "y"}, {"agent": "d-*", "tag:t": "s"}, most_prompt_bytes=9, hours="22-6", timezone="Europe/Berlin", share=0.05)
    assert parse(text).tiers == [wanted]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- {name: A B, model: {x: y}}", "tiers[0].name: a name is"),
        ("- {name: a, model: {x: y}}\n  - {name: a, model: {x: y}}", "tiers[1].name: is also the name"),
        ("- {name: a, model: {}}", "tiers[0].model: names no model"),
        ("- {name: a, model: {x: y}, match: {colour: red}}", "tiers[0].match.colour: expected team"),
        ("- {name: a, model: {x: y}, share: 5}", "tiers[0].share: a share is 0 to 1"),
        ("- {name: a, model: {x: y}, least_prompt_bytes: 9, most_prompt_bytes: 8}", "tiers[0].least_prompt_bytes: must be 0 or more"),
        ("- {name: a, model: {x: y}, hours: night}", "tiers[0].hours: expected two different hours"),
        ("- {name: a, model: {x: y}, timezone: Nowhere/Land}", "tiers[0].timezone: is no time zone"),
    ],
)
def test_what_is_wrong_is_said(text, said):
    with pytest.raises(ConfigError) as caught:
        parse(UP + "  " + text)
    assert len(caught.value.faults) == 1 and said in str(caught.value.faults[0])


def test_hours():
    assert [read_hours(text) for text in ("22-6", "09-17", "23-24")] == [(22, 6), (9, 17), (23, 0)]
    for text in ("", "9", "9-9", "0-24", "25-3", "9-25", "9 - 17"):
        with pytest.raises(ValueError, match="^" + text):
            read_hours(text)
