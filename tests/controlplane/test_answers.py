"""The words of a question: which report they make, and what is said of wrong ones."""

from __future__ import annotations

import pytest

from proxy.controlplane.answers import REPORTS, answer
from proxy.controlplane.reports import BadQuestion
from proxy.controlplane.store import Loaded, Store
from proxy.toll.terms import Balance
from tests.controlplane.conftest import START_NS, call


def weigh() -> list[Balance]:
    return [
        Balance(
            budget="day", unit="calls", mode="warn", per="lifetime", scope={}, limit=number, spent=1, reserved=0, starts_ns=None, resets_at_ns=None
        )
        for number in range(1, 4)
    ]


@pytest.fixture
def filled(store: Store) -> Store:
    store.load(Loaded(rows={"calls": [call(number, task=f"t{number}", tags={"stage": "test"})[8:-2] for number in range(3)]}))
    return store


def ask(store: Store, name: str, **asked: str) -> list[list]:
    return answer(store.query, name, asked, START_NS, weigh).rows


def test_every_report_has_an_answer_without_any_word(filled: Store) -> None:
    for name in REPORTS:
        made = answer(filled.query, name, {}, START_NS, weigh)
        assert made.name == name and (made.rows or name in ("unpriced", "verdicts", "reviews", "agreement", "quarantines"))


def test_words_reach_the_reports(filled: Store) -> None:
    assert len(ask(filled, "report", by="task")) == 3 and len(ask(filled, "report", by="")) == 1
    assert len(ask(filled, "calls", last="2")) == len(ask(filled, "tasks", last="2")) == len(ask(filled, "budgets", last="2")) == 2
    assert ask(filled, "tasks", by="agent, tag:stage")[0][:3] == ["agent-2", "test", 1]
    assert answer(filled.query, "calls", {"tag:stage": "live"}, START_NS, weigh).rows == []
    assert ask(filled, "budgets", budget="week") == []


@pytest.mark.parametrize(
    ("name", "asked", "hint"),
    [
        ("budgets", {"since": "1h"}, "as they are now"),
        ("budgets", {"colour": "red"}, "choose from budget"),
        ("tasks", {"by": "colour"}, "choose from agent"),
        ("tasks", {"last": "0"}, "from 1 to"),
        ("calls", {"last": "²"}, "a number"),
        ("agents", {"colour": "red"}, "tag:NAME"),
    ],
)
def test_wrong_words_say_which_are_right(filled: Store, name: str, asked: dict[str, str], hint: str) -> None:
    with pytest.raises(BadQuestion, match=hint):
        answer(filled.query, name, asked, START_NS, weigh)
