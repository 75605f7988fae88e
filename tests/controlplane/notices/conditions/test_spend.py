"""Conditions about money: when they hold, and when they must not."""

from __future__ import annotations

from tests.controlplane.notices.conftest import Story

ACCOUNT = ("day", "agent=a")
UNPRICED = "weighbridge_unpriced_calls_total"


def budget(unit: str = "usd", **figures: float) -> dict:
    return {f"weighbridge_budget_{figure}_{unit}": {ACCOUNT: value} for figure, value in figures.items()}


def find(name: str, shown: dict, **thresholds: float) -> dict:
    return Story(name, **thresholds).show(shown).find()


def test_nearly_spent_ends_where_spent_begins() -> None:
    for spent, nearly, wholly in ((79, {}, {}), (80, {80}, {}), (97, {97}, {}), (98, {}, {98}), (130, {}, {130})):
        shown = budget("tokens", limit=100, spent=spent)
        assert find("WeighbridgeBudgetNearlySpent", shown) == {(*ACCOUNT, "tokens"): one / 100 for one in nearly}
        assert find("WeighbridgeBudgetSpent", shown) == {(*ACCOUNT, "tokens"): one / 100 for one in wholly}
    assert find("WeighbridgeBudgetNearlySpent", budget(limit=10, spent=6), budget_share=0.5) == {(*ACCOUNT, "usd"): 0.6}


def test_a_budget_of_nothing_and_one_that_is_not_known_are_no_share() -> None:
    assert find("WeighbridgeBudgetSpent", budget(limit=0, spent=0)) == {}
    assert find("WeighbridgeBudgetSpent", budget(limit=5)) == {}
    assert find("WeighbridgeBudgetForecastBreach", budget(limit=5, spent=3)) == {}


def test_a_forecast_is_heard_while_there_is_something_left_and_something_spent() -> None:
    name = "WeighbridgeBudgetForecastBreach"
    assert find(name, budget(limit=10, spent=5, forecast=15)) == {(*ACCOUNT, "usd"): 1.5}
    assert find(name, budget(limit=10, spent=5, forecast=10)) == {}
    assert find(name, budget(limit=10, spent=0.4, forecast=50)) == {}
    assert find(name, budget(limit=10, spent=9.9, forecast=50)) == {}


def test_unpriced_calls_are_those_of_the_last_hour() -> None:
    model = ("u", "m")
    story = Story("WeighbridgeUnpricedSpend").show({UNPRICED: {model: 40}}, 3)
    assert story.find() == {}
    assert story.show({UNPRICED: {model: 42, ("u", "n"): 0}}).find() == {model: 2}
    assert Story("WeighbridgeUnpricedSpend").show({UNPRICED: {}}).show({UNPRICED: {model: 1}}).find() == {model: 1}
    assert Story("WeighbridgeUnpricedSpend").show({UNPRICED: {model: 40}}).show({UNPRICED: {model: 0}}).find() == {}
