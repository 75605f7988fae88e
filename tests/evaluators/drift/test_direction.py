"""The learned direction: many small moves are found together, and nothing is found where nothing moved."""

from __future__ import annotations

import numpy as np

from evaluators.drift.direction import Direction


def drive(seed: int, shift: float, answers: int) -> tuple[np.ndarray, Direction]:
    rng = np.random.default_rng(seed)
    direction = Direction(rng.normal(size=(300, 60)).astype(np.float32))
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
    assert direction.find_start() > 60


def test_nothing_is_found_where_nothing_moved() -> None:
    assert max(drive(seed, 0.0, 300)[0][0] for seed in range(20)) < 1e4


def test_rows_that_never_vary_are_no_reason_to_fail() -> None:
    direction = Direction(np.ones((300, 4), np.float32))
    for _ in range(40):
        direction.bet(np.ones(4, np.float32))
    assert (direction.evidence() == 0).all()
