"""The fold of the journal: each line once, however often it is read, and also where another one was lost."""

from __future__ import annotations

import pytest

from proxy.toll import fold
from proxy.toll.fold import Fold
from proxy.toll.terms import Weight


def cells(ledger: Fold) -> dict[str, list[int]]:
    return ledger.checkpoint()["cells"]


def test_a_call_in_lines() -> None:
    ledger = Fold()
    ledger.fold_opened("1", {"all.usd@": 30, "all.calls@": 1})
    ledger.fold_extended("1", {"all.usd@": 45, "all.calls@": 1})
    assert (cells(ledger), ledger.reserved_of("1")) == ({"all.usd@": [0, 45], "all.calls@": [0, 1]}, {"all.usd@": 45, "all.calls@": 1})
    ledger.fold_settled("1", {"all.usd@": 40, "all.calls@": 1})
    assert (cells(ledger), ledger.open_ids) == ({"all.usd@": [40, 0], "all.calls@": [1, 0]}, [])


def test_lines_that_are_read_twice_count_once() -> None:
    ledger = Fold()
    for _ in range(2):
        ledger.fold_opened("1", {"all.usd@": 30})
    for _ in range(2):
        ledger.fold_extended("1", {"all.usd@": 45})
    for _ in range(2):
        ledger.fold_settled("1", {"all.usd@": 40})
    ledger.fold_opened("1", {"all.usd@": 30})
    ledger.fold_extended("1", {"all.usd@": 45})
    assert cells(ledger) == {"all.usd@": [40, 0]} and ledger.open_ids == []


def test_a_line_that_was_lost_costs_nothing_of_the_others() -> None:
    ledger = Fold()
    ledger.fold_extended("1", {"all.usd@": 45})
    assert ledger.reserved_of("1") == {"all.usd@": 45}
    ledger.fold_settled("2", {"all.usd@": 5})
    assert cells(ledger) == {"all.usd@": [5, 45]}


def test_a_call_that_was_charged_nothing_frees_what_it_had() -> None:
    ledger = Fold()
    ledger.fold_opened("1", {"all.usd@": 30})
    ledger.fold_settled("1", {})
    assert cells(ledger) == {} and ledger.open_ids == []
    ledger.fold_opened("2", {})
    assert ledger.open_ids == []


def test_what_was_reserved_at_a_crash_is_presumed_spent_once() -> None:
    ledger = Fold()
    ledger.fold_opened("1", {"all.usd@": 30})
    for _ in range(2):
        ledger.presume()
    assert cells(ledger) == {"all.usd@": [30, 0]}
    ledger.fold_settled("1", {"all.usd@": 10})
    assert cells(ledger) == {"all.usd@": [30, 0]}, "it has been charged"
    ledger.fold_adjusted({"all.usd@": -20})
    assert cells(ledger) == {"all.usd@": [10, 0]}


def test_a_checkpoint_is_the_whole_truth() -> None:
    ledger, other = Fold(), Fold()
    ledger.fold_opened("1", {"all.usd@": 30, "r.usd@1h:5?agent=x": 30})
    ledger.fold_settled("0", {"all.usd@": 5})
    other.fold_opened("9", {"all.usd@": 1})
    other.restore(ledger.checkpoint())
    assert other.checkpoint() == ledger.checkpoint() == {
        "cells": {"all.usd@": [5, 30], "r.usd@1h:5?agent=x": [0, 30]},
        "open": {"1": {"all.usd@": 30, "r.usd@1h:5?agent=x": 30}},
    }
    assert other.settle("1", Weight(20)) == {"all.usd@": 20, "r.usd@1h:5?agent=x": 20}


@pytest.mark.parametrize("step", ["fold_opened", "fold_extended", "fold_settled"])
def test_a_cell_that_is_none_changes_nothing(step: str) -> None:
    ledger = Fold()
    ledger.fold_opened("1", {"all.usd@": 30})
    with pytest.raises(ValueError):
        getattr(ledger, step)("2" if step == "fold_opened" else "1", {"all.usd@": 1, "nonsense": 1})
    with pytest.raises(ValueError):
        ledger.fold_adjusted({"all.usd@": 1, "nonsense": 1})
    with pytest.raises(ValueError):
        ledger.restore({"cells": {"nonsense": [1, 1]}, "open": {}})
    assert cells(ledger) == {"all.usd@": [0, 30]} and ledger.open_ids == ["1"]


def test_what_is_remembered_of_calls_that_have_ended_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fold, "_MOST_DONE", 3)
    ledger = Fold()
    for number in range(10):
        ledger.fold_settled(str(number), {"all.usd@": 1})
    assert len(ledger._done) == 3
