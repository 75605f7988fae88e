"""The cause: which features and flags moved, from what to what, in units that a person reads."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from evaluators.drift import features, figures
from evaluators.drift.alarm import Move
from evaluators.drift.baseline import Baseline

MOST_MOVES = 8
# A feature that holds less of the evidence than this part of the strongest one's has not been shown to move.
_LEAST_PART = 1e-3

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
    moves = []
    for index in np.argsort(-parts)[:MOST_MOVES]:
        if moves and parts[index] < _LEAST_PART * parts.max():
            break
        scale = _SCALES[index] if index < baseline.outputs else float
        place = index if index < baseline.outputs else index - baseline.outputs + baseline.features
        moves.append(Move(names[index], float(scale(baseline.means[place])), float(scale(since[place])), float(parts[index])))
    return tuple(moves)
