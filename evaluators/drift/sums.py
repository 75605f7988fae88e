"""The sums of Shiryaev and Roberts: the evidence for a change at any time so far, one bet's e-values after another (see `bank`)."""

from __future__ import annotations

import numpy as np


def run(sums: np.ndarray, factors: np.ndarray, begun: np.ndarray | float = 1.0) -> np.ndarray:
    """The sums after each answer, in the place of its `factors` (answers first, then the shape of `sums`): M = (M + begun) e."""
    for each in factors:
        sums = np.multiply(sums + begun, each, out=each)
    return factors
