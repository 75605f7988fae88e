"""The learned direction: many small moves are found together, and nothing is found where nothing moved."""

from __future__ import annotations

import numpy as np

from evaluators.drift.direction import Direction


def drive(seed: int, shift: float, answers: int) -> tuple[np.ndarray, Direction]:
    rng = np.random.default_rng(seed)
    direction = Direction(rng.normal(size=(300, 60)).astype(np.float32), 40)
    moved = np.zeros(60)
    moved[::3] = shift
    most = np.zeros(2)
    for _ in range(answers):
        direction.bet((rng.normal(size=60) + moved).astype(np.float32))
        most = np.maximum(most, direction.evidence())
    return most, direction


def test_twenty_small_moves_are_found_together() -> None:
    (paid, bare), direction = drive(1, 0.5, 120)
    assert bare >= paid >= 1e4
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


def test_features_on_a_small_scale_are_seen_beside_a_fingerprint_on_a_large_one() -> None:
    rng = np.random.default_rng(5)
    scale = np.repeat([0.1, 20.0], 40)
    direction = Direction((rng.normal(size=(300, 80)) * scale).astype(np.float32), 40)
    moved = np.repeat([0.6, 0.0], 40)
    for _ in range(80):
        direction.bet(((rng.normal(size=80) + moved) * scale).astype(np.float32))
    assert direction.evidence()[0] >= 1e4


def test_rows_that_never_vary_are_no_reason_to_fail() -> None:
    direction = Direction(np.ones((300, 4), np.float32), 2)
    for _ in range(40):
        direction.bet(np.ones(4, np.float32))
    assert (direction.evidence() == 0).all()
