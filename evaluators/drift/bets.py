"""The bets: densities on [0, 1] that a conformal p-value is played against, and their means over an interval of it.

Under the null hypothesis a p-value is uniform, so every density is a fair bet: its mean is one (Vovk and Wang, *E-values*, 2021).
Here a small p means a value that is large beside the reference.
The bets: a shift of the mean by so many standard deviations (exponential tilts of the normal score), a wider or narrower spread, and a
share of values in one extreme tail (contamination).
"""

from __future__ import annotations

from statistics import NormalDist

import numpy as np

_TAILS = 2.0 ** -np.arange(9, 0, -1)
EDGES = np.unique(np.concatenate([[0.0], _TAILS, 1 - _TAILS, np.linspace(0, 1, 33)]))
WIDTHS = np.diff(EDGES)
_SCORES = np.array([NormalDist().inv_cdf(middle) for middle in (EDGES[1:] + EDGES[:-1]) / 2])

SHIFTS = (-2.0, -1.0, -0.5, -0.3, 0.3, 0.5, 1.0, 2.0)
SPREADS = (1.5, 0.6)
# (share of the values, tail that they are bet to fall into); both tails.
CONTAMINATIONS = ((0.1, 1 / 128), (0.3, 1 / 32))


def _normalise(density: np.ndarray) -> np.ndarray:
    return density / (density * WIDTHS).sum()


def _tilt(shift: float) -> np.ndarray:
    return _normalise(np.exp(shift * _SCORES))


def _spread(factor: float) -> np.ndarray:
    return _normalise(np.exp((1 - factor**-2) * _SCORES**2 / 2))


def _contaminate(share: float, tail: float) -> np.ndarray:
    return _normalise(np.where(EDGES[1:] <= tail, share / tail, 0.0) + (1 - share))


DENSITIES = np.array(
    [
        *(_tilt(shift) for shift in SHIFTS),
        *(_spread(factor) for factor in SPREADS),
        *(density for share, tail in CONTAMINATIONS for density in (_contaminate(share, tail), _contaminate(share, tail)[::-1])),
    ]
)
# Every edge is a multiple of 1/512, and so on this grid.
_GRID = 1024
_STEPS = DENSITIES[:, np.searchsorted(EDGES, (np.arange(_GRID) + 0.5) / _GRID) - 1].T / _GRID
_INTEGRALS = np.concatenate([np.zeros((1, len(DENSITIES))), np.cumsum(_STEPS, axis=0)])


def average(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Each bet's mean over each interval [low, high] of p: intervals by bets.

    The ends of the integral are rounded to the grid and the width is not, so the means of intervals that tile [0, 1] have a mean of one,
    however narrow they are.
    """
    at = np.concatenate([low, high])
    at *= _GRID
    found = _INTEGRALS.take(np.rint(at, out=at).astype(np.intp), axis=0)
    means = found[len(low) :]
    means -= found[: len(low)]
    means *= (1 / (high - low))[:, None]
    return means
