"""The learned direction: many small moves are found together, and nothing is found where nothing moved."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluators.drift.direction import Direction


def drive(seed: int, shift: float, answers: int) -> tuple[np.ndarray, Direction]:
    rng = np.random.default_rng(seed)
    direction = Direction(rng.normal(size=(300, 60)).astype(np.float32), 40)
    moved = np.zeros(60)
    moved[::3] = shift
    most = np.zeros(2)
    for _ in range(answers):
        most = np.maximum(most, direction.bet((rng.normal(size=(1, 60)) + moved).astype(np.float32))[0])
    assert np.allclose(direction.evidence(), direction.sums.mean(axis=(1, 2)))
    return most, direction


def test_twenty_small_moves_are_found_together() -> None:
    (careful, quick), direction = drive(1, 0.5, 120)
    assert quick >= careful >= 1e4
    pull = direction.pull(60)
    assert pull[::3].sum() > 0.7 * pull.sum()
    moved = np.zeros((2, 40))
    moved[1, ::3] = 0.5
    usual, newest = direction.rate(moved)
    assert newest - usual > 1


def test_nothing_is_found_where_nothing_moved() -> None:
    """A sum over all times of change stands at about their number, 300, while nothing moves: here above ten times that in one stream of twenty."""
    most = sorted(drive(seed, 0.0, 300)[0][0] for seed in range(20))
    assert most[-1] < 1e4 and most[-2] < 3e3


def test_the_newest_are_a_mean_of_rows_whose_weights_sum_to_one() -> None:
    direction = Direction(np.random.default_rng(4).normal(size=(300, 20)).astype(np.float32), 10)
    direction.bet(np.full((1, 20), 2.0, np.float32))
    first = direction.newest.copy()
    assert (first > 1).all()
    direction.bet(np.full((200, 20), 2.0, np.float32))
    assert np.allclose(direction.newest, first, rtol=1e-5)


def test_features_on_a_small_scale_are_seen_beside_a_fingerprint_on_a_large_one() -> None:
    rng = np.random.default_rng(5)
    scale = np.repeat([0.1, 20.0], 40)
    direction = Direction((rng.normal(size=(300, 80)) * scale).astype(np.float32), 40)
    moved = np.repeat([0.6, 0.0], 40)
    direction.bet(((rng.normal(size=(80, 80)) + moved) * scale).astype(np.float32))
    assert direction.evidence()[0] >= 1e4


def test_rows_that_never_vary_are_no_reason_to_fail() -> None:
    direction = Direction(np.ones((300, 4), np.float32), 2)
    direction.bet(np.ones((40, 4), np.float32))
    assert (direction.evidence() == 0).all()


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**32 - 1), st.lists(st.integers(1, 30), min_size=1, max_size=8))
def test_answers_that_are_judged_together_are_judged_as_one_by_one(seed: int, blocks: list[int]) -> None:
    rng = np.random.default_rng(seed)
    reference = rng.normal(size=(120, 30)).astype(np.float32)
    rows = (rng.normal(size=(sum(blocks), 30)) + np.linspace(0, 1, 30)).astype(np.float32)
    together, alone = Direction(reference, 20), Direction(reference, 20)
    trail = np.concatenate([together.bet(block) for block in np.split(rows, np.cumsum(blocks)[:-1])])
    assert np.array_equal(trail, np.concatenate([alone.bet(row[None]) for row in rows]))
    assert np.array_equal(together.sums, alone.sums) and np.array_equal(together.newest, alone.newest)
