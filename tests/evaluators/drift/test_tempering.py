"""The autocorrelation time: one for shuffled answers, about the length of a burst for bursts."""

from __future__ import annotations

import numpy as np

from evaluators.drift.tempering import estimate_row_times, estimate_times


def test_shuffled_answers_cost_nothing() -> None:
    values = np.random.default_rng(1).normal(size=(300, 400))
    assert (estimate_times(values) == 1).mean() > 0.85


def test_bursts_are_seen() -> None:
    values = np.repeat(np.random.default_rng(2).normal(size=(20, 50)), 15, axis=0)
    assert 6 < np.median(estimate_times(values)) < 24


def test_both_ways_agree_and_what_never_varies_is_one() -> None:
    series = np.cumsum(np.random.default_rng(3).normal(size=200))
    series -= series.mean()
    assert np.isclose(estimate_row_times(series[None]), estimate_times(series[:, None]))
    assert estimate_times(np.ones((50, 1))) == estimate_row_times(np.zeros((1, 50))) == 1


def test_missing_values_are_left_out() -> None:
    values = np.random.default_rng(4).normal(size=(300, 2))
    values[::3, 0] = np.nan
    values[:, 1] = np.nan
    assert (estimate_times(values) < 2).all()
