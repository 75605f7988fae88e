"""The rates of flags: a fault that begins is found, a usual one is not, and tables follow what was counted."""

from __future__ import annotations

import numpy as np

from evaluators.drift.rates import HELD_ANSWERS, Rates


def drive(rates: Rates, rng: np.random.Generator, chances: list[float], answers: int) -> float:
    trail = rates.bet(rates.turn(rng.random((answers, len(chances))) < chances))
    assert np.isclose(trail[-1], rates.weights @ rates.evidence())
    return float(trail.max())


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
    assert rates.turn(np.array([[True, False], [False, False]])).tolist() == [[False, False, False], [True, False, True]]
    assert rates.is_first([False, False]) and not rates.is_first([True, False])
    assert not make(rng, [1.0, 0.2]).is_first([True, True]), "that one was raised before"


def test_the_newest_answers_wait_before_they_count() -> None:
    rng = np.random.default_rng(3)
    rates = make(rng, [0.0])
    rates.bet(rates.turn(np.full((HELD_ANSWERS, 1), True)))
    assert rates.raised[0] == 0
    rates.bet(rates.turn(np.full((HELD_ANSWERS, 1), False)))
    assert rates.raised[0] == HELD_ANSWERS and rates.answers == 300 + HELD_ANSWERS


def test_a_bet_at_the_base_rate_gains_nothing_on_average() -> None:
    rng = np.random.default_rng(4)
    rates = make(rng, [0.3, 0.1])
    base = (rates.raised + 0.5 * np.sqrt(rates.raised) + 0.8) / (rates.answers + 1.6)
    assert np.allclose(base[:, None] * rates.rise + (1 - base[:, None]) * rates.fall, 1)


def test_answers_that_are_judged_together_are_judged_as_one_by_one() -> None:
    rng = np.random.default_rng(5)
    chances = [0.0, 0.1, 0.97]
    together, alone = Rates(rng.random((300, 3)) < chances, np.ones(3)), Rates(np.zeros((300, 3), bool), np.ones(3))
    alone.__dict__.update({name: np.copy(value) if isinstance(value, np.ndarray) else value for name, value in vars(together).items()})
    flags = rng.random((3 * HELD_ANSWERS + 7, 3)) < chances
    trail = together.bet(together.turn(flags))
    assert np.allclose(trail, [alone.bet(alone.turn(row[None]))[0] for row in flags])
    assert np.array_equal(together.sums, alone.sums) and np.array_equal(together.raised, alone.raised)
