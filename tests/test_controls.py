"""The rules of controls: what is checked, and said."""

import pytest

from proxy.config import ConfigError, parse
from proxy.controls import Control

TIERS = "tiers: [{name: strong, model: {m: big}, by_order: true}, {name: plain, model: {m: big}}]\n"
UP = "upstreams: {up: {url: 'http://127.0.0.1:1'}}\n" + TIERS + "controls:\n"


def test_all_of_it_is_read():
    text = "{name: a, when: [json/invalid, error], match: {agent: 'r-*'}, at_least: 3, of: 9, within_s: 60, for_s: 5, each: task, tier: strong"
    text += ", do: upgrade}"
    wanted = Control("a", ["json/invalid", "error"], "upgrade", {"agent": "r-*"}, 3, 9, 60.0, 5.0, "task", "strong")
    config = parse(f"{UP}  - {text}\n  - {{name: b, when: [empty, invalid_tools], do: retry}}")
    assert config.controls == [wanted, Control("b", ["empty", "invalid_tools"], "retry")]
    assert [one.is_inline for one in config.controls] == [False, True]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{name: A B, when: [json], do: pause}", "controls[0].name: a name is"),
        ("{name: a, when: [json], do: pause}\n  - {name: a, when: [json], do: pause}", "controls[1].name: is also the name"),
        ("{name: a, when: [], do: pause}", "controls[0].when: names nothing"),
        ("{name: a, when: [jason], do: pause}", "controls[0].when: `jason` is unknown; expected warning, error, an evaluator (empty, json,"),
        ("{name: a, when: [error/x], do: pause}", "controls[0].when: `error/x` is unknown"),
        ("{name: a, when: [json/], do: pause}", "controls[0].when: `json/` is unknown"),
        ("{name: a, when: [json], do: retry}", "controls[0].when: `json` is not seen before an answer is passed on; there are empty, invalid_json,"),
        ("{name: a, when: [empty], do: fall_back}", "controls[0].do: no upstream has `fallbacks`"),
        ("{name: a, when: [json], do: pause, match: {key: x}}", "controls[0].match.key: an inspected call is known by agent,"),
        ("{name: a, when: [json], do: pause, at_least: 2}", "controls[0].at_least: expected 3 or more"),
        ("{name: a, when: [json], do: pause, at_least: 9, of: 8}", "controls[0].at_least: expected 3 or more"),
        ("{name: a, when: [json], do: pause, of: 5000}", "controls[0].at_least: expected 3 or more"),
        ("{name: a, when: [json], do: pause, for_s: 0}", "controls[0].for_s: must be greater than 0"),
        ("{name: a, when: [json], do: pause, tier: strong}", "controls[0].tier: means something to downgrade and upgrade only"),
        ("{name: a, when: [json], do: upgrade}", "controls[0].tier: names no rule of `tiers` that has `by_order: true`"),
        ("{name: a, when: [json], do: upgrade, tier: plain}", "controls[0].tier: names no rule of `tiers` that has `by_order: true`"),
        ("{name: a, when: [json], do: quarantine, each: team}", "controls[0].each: a quarantine concerns an agent"),
        ("{name: a, when: [json], do: dance}", "controls[0].do: expected one of retry, fall_back, pause"),
    ],
)
def test_what_is_wrong_is_said(text, said):
    with pytest.raises(ConfigError) as caught:
        parse(UP + "  - " + text)
    assert len(caught.value.faults) == 1 and said in str(caught.value.faults[0])
