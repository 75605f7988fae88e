"""Tempering: what bursts take from a bet.

Neighbours in real traffic are alike (one session, one job), so evidence comes in lumps that a bet would count many times.
If values further apart than tau answers are independent, the product of e_t^(1/tau) still has a mean of at most one: split the answers into
tau interleaved rows, each a martingale, and apply Hoelder's inequality to the tau products.
tau is estimated from the warm-up as the integrated autocorrelation time 1 + 2 sum (1 - k/L) rho_k (Bartlett's weights), less what it would be by chance.
"""

from __future__ import annotations

import numpy as np

_LAGS = 24
# Standard errors that the estimate must stand above one before it is believed.
_BELIEVED = 1.5
_MOST = 24.0


def estimate_times(values: np.ndarray) -> np.ndarray:
    """The autocorrelation time of each column, at least 1; rows are answers in their order."""
    known = ~np.isnan(values)
    means = np.where(known, values, 0).sum(axis=0) / np.maximum(1, known.sum(axis=0))
    centred = np.where(known, values - means, 0.0)
    variance = (centred**2).mean(axis=0)
    lags = np.arange(1, _LAGS)
    weights = 1 - lags / _LAGS
    rho = np.array([(centred[lag:] * centred[:-lag]).sum(axis=0) for lag in lags]) / (len(values) * np.where(variance > 0, variance, 1.0))
    chance = 2 * np.sqrt((weights**2).sum() / len(values))
    excess = 2 * weights @ rho
    return np.clip(np.where(excess > _BELIEVED * chance, 1 + excess, 1.0), 1.0, _MOST)
