"""The rates of flags: a fault that begins is found, a usual one is not, and tables follow what was counted."""

from __future__ import annotations

import numpy as np

from evaluators.drift.rates import HELD_ANSWERS, Rates


def drive(rates: Rates, rng: np.random.Generator, chances: list[float], answers: int) -> float:
    most = 0.0
    for _ in range(answers):
        rates.bet(rates.turn(rng.random(len(chances)) < chances))
        most = max(most, float(rates.weights @ rates.evidence()))
    return most


def make(rng: np.random.Generator, chances: list[float]) -> Rates:
    return Rates(rng.random((300, len(chances))) < chances, np.ones(len(chances)))


def test_rates_that_stay_raise_nothing() -> None:
    alarms = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        chances = [0.0, 0.01, 0.05, 0.97]
        alarms += drive(make(rng, chances), rng, chances, 500) >= 1e4
    assert alarms <= 4  # 20,000 answers at one in 10,000 are expected to give two


def test_a_fault_that_never_was_is_found_in_few_answers() -> None:
    rng = np.random.default_rng(1)
    rates = make(rng, [0.0, 0.05, 1.0])
    assert drive(rates, rng, [0.3, 0.05, 1.0], 40) >= 1e4
    assert rates.evidence()[:3].argmax() == 0
    assert rates.evidence()[3] > 0, "the pooled one sees it too"


def test_what_always_was_is_turned_round() -> None:
    rng = np.random.default_rng(2)
    rates = make(rng, [1.0, 0.0])
    assert rates.turn(np.array([True, False])).tolist() == [False, False, False]
    assert rates.turn(np.array([False, False])).tolist() == [True, False, True]


def test_the_newest_answers_wait_before_they_count() -> None:
    rng = np.random.default_rng(3)
    rates = make(rng, [0.0])
    for _ in range(HELD_ANSWERS):
        rates.bet(rates.turn(np.array([True])))
    assert rates.raised[0] == 0
    for _ in range(HELD_ANSWERS):
        rates.bet(rates.turn(np.array([False])))
    assert rates.raised[0] == HELD_ANSWERS and rates.answers == 300 + HELD_ANSWERS


def test_a_bet_at_the_base_rate_gains_nothing_on_average() -> None:
    rng = np.random.default_rng(4)
    rates = make(rng, [0.3, 0.1])
    base = (rates.raised + 0.5 * np.sqrt(rates.raised) + 0.9) / (rates.answers + 1.8)
    assert np.allclose(base[:, None] * rates.rise + (1 - base[:, None]) * rates.fall, 1)
