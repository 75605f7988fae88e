"""The words: what two calls do not share, and what cannot be changed."""

from __future__ import annotations

import pytest

from proxy.call import Answer, Call, Reading, Usage


def test_two_calls_share_nothing_that_changes() -> None:
    one, other = (Call(id=name, started_ns=0, method="GET", path="/") for name in "ab")
    one.answer.status = 200
    one.reading.text = "x"
    one.reading.tools.append(("f", "{}"))
    assert (other.answer, other.reading) == (Answer(), Reading())


def test_usage_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        Usage().input_tokens = 5
