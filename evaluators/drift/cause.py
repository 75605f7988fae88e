"""The cause: which features and flags moved, from what to what, in units that a person reads.

One has moved where its mean since the change stands away from the usual one by more than CLEAR standard errors of a mean of so many answers.
Where none has (what varied more or less than usual may keep its mean) the one with the strongest evidence is named alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from evaluators.drift import features, figures
from evaluators.drift.alarm import Move
from evaluators.drift.baseline import Baseline

MOST_MOVES = 8
# A feature that holds less of the evidence than this part of the strongest one's has not been shown to move.
_LEAST_PART = 1e-3
CLEAR = 2.0

_SCALES = (*features.SCALES, *(np.expm1 if name not in figures.RATIOS else np.exp for name in figures.NAMES))


def find_moves(baseline: Baseline, names: Sequence[str], began: int) -> tuple[Move, ...]:
    """The moves, the strongest first; `names` are of all features and then of the flags, without the pooled one."""
    parts = np.zeros(len(names))
    parts[baseline.bank.index[baseline.bank.index < baseline.outputs]] = baseline.weigh_features()[baseline.bank.index < baseline.outputs]
    parts[baseline.outputs :] = baseline.weigh_flags()[: len(names) - baseline.outputs]
    if baseline.is_spread():
        # No feature has enough evidence by itself: those are named that weigh most in the direction.
        pull = baseline.direction.pull(baseline.texts)
        parts[: baseline.texts] += baseline.weigh_spread() * pull / max(pull.sum(), np.finfo(float).tiny)
    since = baseline.average_since(began)
    places = np.arange(len(names))
    places[baseline.outputs :] += baseline.features - baseline.outputs
    steps = np.abs(since - baseline.means)[places] / baseline.deviations[places] * np.sqrt(baseline.count_since(began))
    strongest = np.argsort(-parts)
    moved = [index for index in strongest if steps[index] > CLEAR and parts[index] >= _LEAST_PART * parts.max()]
    moves = []
    for index in moved[:MOST_MOVES] or strongest[:1]:
        scale = _SCALES[index] if index < baseline.outputs else float
        before, after = (float(scale(means[places[index]])) for means in (baseline.means, since))
        moves.append(Move(names[index], before, after, float(parts[index])))
    return tuple(moves)
