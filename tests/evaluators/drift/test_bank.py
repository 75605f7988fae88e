"""The bank's laws: bets are fair against what the reference says, and their sums grow no faster than the answers while nothing changes."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluators.drift import bets
from evaluators.drift.bank import CELLS, Bank


def test_every_bet_is_a_density() -> None:
    assert np.allclose((bets.DENSITIES * bets.WIDTHS).sum(axis=1), 1)
    assert (bets.DENSITIES > 0).all()


@given(st.lists(st.floats(0.001, 1), min_size=1, max_size=40))
def test_means_over_intervals_that_tile_have_a_mean_of_one(widths: list[float]) -> None:
    ends = np.concatenate([[0.0], np.cumsum(widths) / sum(widths)]).clip(0, 1)
    means = bets.average(ends[:-1], ends[1:])
    assert np.allclose(np.diff(ends) @ means, 1, atol=1e-9)


def test_a_mean_over_an_interval_is_the_integral() -> None:
    low, high = np.array([0.0, 106 / 1024, 1 / 512]), np.array([1 / 256, 0.5, 1.0])
    fine = np.linspace(low, high, 200_001)[:-1] + (high - low) / 400_000
    expected = [bets.DENSITIES[:, np.searchsorted(bets.EDGES, column) - 1].mean(axis=1) for column in fine.T]
    assert np.allclose(bets.average(low, high), expected, rtol=1e-3)


def test_ends_that_are_rounded_take_from_one_interval_what_they_give_to_the_next() -> None:
    ends = np.array([0.0, 1 / 300, 1 / 299, 0.3001, 1.0])
    means = bets.average(ends[:-1], ends[1:])
    assert np.allclose(np.diff(ends) @ means, 1, atol=1e-12)
    assert (means[1] == 0).all(), "narrower than a step"


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**32 - 1), st.integers(0, 60), st.booleans())
def test_the_bets_are_fair_for_the_cells_that_the_reference_expects(seed: int, later: int, tied: bool) -> None:
    rng = np.random.default_rng(seed)
    draw = (lambda *size: rng.poisson(1, size)) if tied else (lambda *size: rng.normal(size=size))
    bank = Bank(draw(100, 1).astype(np.float32))
    bank.count(draw(later, 1).astype(np.float32))
    edges, upto = bank.edges[:, 0], bank.upto[:, 0]
    expected = np.zeros(len(bets.DENSITIES))
    for cell in range(1, CELLS + 3):
        chance = (upto[cell] - upto[cell - 1]) / upto[-1]
        if chance:
            expected += chance * bets.average(np.array([1 - upto[cell] / upto[-1]]), np.array([1 - upto[cell - 1] / upto[-1]]))[0]
    assert upto[-1] == 101 + later
    assert (np.diff(edges) >= 0).all()
    assert np.allclose(expected, 1)


def grows_no_faster_than(answers: int, bank: Bank) -> None:
    means, errors = bank.sums.mean(axis=0), bank.sums.std(axis=0) / np.sqrt(len(bank.sums))
    assert (means < answers + 4 * errors).all()
    # Bolder bets hold their mean in sums too rare to be seen here.
    small = [index for index, shift in enumerate(bets.SHIFTS) if abs(shift) <= 0.5]
    assert np.allclose(means[small], answers, rtol=0.08)


def test_the_sums_grow_as_the_answers_while_nothing_changes() -> None:
    """4,000 features that know nothing of each other: the mean of a bet's sum after t answers is t, whatever the distribution."""
    rng = np.random.default_rng(5)
    values = rng.standard_cauchy((108, 4000)).astype(np.float32)
    bank = Bank(values[:100])
    bank.bet(values[100:], np.ones(4000))
    grows_no_faster_than(8, bank)


def test_an_order_of_the_same_values_makes_no_difference_to_the_mean() -> None:
    """A permutation null: one fixed bag of values in every order, so that nothing but exchangeability holds."""
    rng = np.random.default_rng(6)
    bag = np.concatenate([rng.normal(size=90), rng.normal(8, 1, size=18)])
    values = rng.permuted(np.repeat(bag[:, None], 4000, axis=1), axis=0).astype(np.float32)
    bank = Bank(values[:100])
    bank.bet(values[100:], np.ones(4000))
    grows_no_faster_than(8, bank)


def test_a_shift_makes_its_feature_stand_out_and_only_that() -> None:
    rng = np.random.default_rng(7)
    bank = Bank(rng.normal(size=(100, 5)).astype(np.float32))
    trail = bank.bet((rng.normal(size=(60, 5)) + [0, 0, 1.5, 0, 0]).astype(np.float32), np.full(5, 0.2))
    assert np.isclose(trail[-1], bank.evidence().mean())
    assert bank.evidence().argmax() == 2
    assert bank.evidence()[2] > 1e6 > 1e3 > np.delete(bank.evidence(), 2).max()


def test_what_is_not_known_says_nothing() -> None:
    rng = np.random.default_rng(8)
    first = rng.normal(size=(100, 3)).astype(np.float32)
    first[:, 1] = np.nan
    bank = Bank(first)
    assert bank.index.tolist() == [0, 2]
    ((unknown, known),) = bank.weigh(np.array([[np.nan, 1.0, 0.3]], np.float32))
    assert (unknown == 1).all() and (known != 1).any()
    assert bank.upto[-1].tolist() == [101, 102]


def test_tempering_takes_from_every_bet() -> None:
    first = np.random.default_rng(9).normal(size=(100, 1)).astype(np.float32)
    plain, tempered = Bank(first), Bank(first)
    tempered.powers[:] = 0.25
    for bank in (plain, tempered):
        bank.bet(np.array([[3.0]], np.float32), np.ones(1))
    assert np.allclose(tempered.sums, plain.sums**0.25)


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**32 - 1), st.lists(st.integers(1, 12), min_size=1, max_size=5))
def test_answers_that_are_judged_together_are_judged_as_one_by_one(seed: int, blocks: list[int]) -> None:
    rng = np.random.default_rng(seed)
    first = np.round(rng.normal(size=(100, 4)), 1).astype(np.float32)
    rows = np.round(rng.normal(size=(sum(blocks), 4)), 1).astype(np.float32)
    rows[rng.random(rows.shape) < 0.1] = np.nan
    together, alone = Bank(first), Bank(first)
    trail = np.concatenate([together.bet(block, np.full(4, 0.25)) for block in np.split(rows, np.cumsum(blocks)[:-1])])
    expected = [alone.bet(row[None], np.full(4, 0.25))[0] for row in rows]
    assert np.allclose(trail, expected, rtol=1e-12)
    assert (together.sums == alone.sums).all() and (together.upto == alone.upto).all()
