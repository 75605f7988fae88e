"""Whom a rule concerns."""

from __future__ import annotations

import pytest

from proxy.toll.subject import Subject, make_picker

CALL = Subject("researcher", "openai", "gpt-4o", team="red", task="t-1", tags={"stage": "test"})


@pytest.mark.parametrize(
    ("each", "match", "expected"),
    [
        ([], {}, ()),
        (["agent"], {}, ("researcher",)),
        (["session"], {}, None),
        (["agent", "model"], {}, ("researcher", "gpt-4o")),
        (["agent", "key"], {}, None),
        (["tag:stage"], {}, ("test",)),
        (["tag:customer"], {}, None),
        ([], {"team": "red"}, ()),
        ([], {"team": "blue"}, None),
        ([], {"agent": "re*", "tag:stage": "t?st"}, ()),
        (["task"], {"agent": "RE*"}, None),
        (["task"], {"key": "*"}, None),
    ],
)
def test_the_account_of_a_call(each: list[str], match: dict[str, str], expected: tuple[str, ...] | None) -> None:
    assert make_picker(each, match)(CALL) == expected
