"""Tempering: what bursts take from a bet.

Neighbours in real traffic are alike (one session, one job), so evidence comes in lumps that a bet would count many times.
If values further apart than tau answers are independent, the product of e_t^(1/tau) still has a mean of at most one: split the answers into
tau interleaved rows, each a martingale, and apply Hoelder's inequality to the tau products.
tau is estimated from the warm-up as the integrated autocorrelation time, 1 + 2 sum (1 - k/L) rho_k (Bartlett's weights), and taken for one
where chance alone could make it so long.
"""

from __future__ import annotations

import math

import numpy as np

_LAGS = 24
# Standard errors that the estimate must stand above one before it is believed.
_BELIEVED = 1.5
_MOST = 24.0


_AT = np.arange(1, _LAGS)
_WEIGHTS = 1 - _AT / _LAGS
_CHANCE = 2 * math.sqrt((_WEIGHTS**2).sum())


def estimate_times(values: np.ndarray) -> np.ndarray:
    """The autocorrelation time of each column, at least 1; rows are answers in their order."""
    known = ~np.isnan(values)
    means = np.where(known, values, 0).sum(axis=0) / np.maximum(1, known.sum(axis=0))
    centred = np.where(known, values - means, 0.0)
    variance = (centred**2).sum(axis=0)
    products = np.array([(centred[lag:] * centred[:-lag]).sum(axis=0) for lag in _AT])
    return _judge(products / np.where(variance > 0, variance, 1.0), len(values))


def estimate_row_times(centred: np.ndarray) -> np.ndarray:
    """The same of a few series (rows) whose means are zero; faster."""
    padded = np.zeros((len(centred), centred.shape[1] + _LAGS - 1), centred.dtype)
    padded[:, : centred.shape[1]] = centred
    products = np.array([np.correlate(longer, row, "valid") for longer, row in zip(padded, centred, strict=True)]).T
    return _judge(products[1:] / np.maximum(products[0], np.finfo(float).tiny), centred.shape[1])


def _judge(rho: np.ndarray, number: int) -> np.ndarray:
    excess = (2 * _WEIGHTS) @ rho
    return np.where(excess > _BELIEVED * _CHANCE / math.sqrt(number), np.minimum(1 + excess, _MOST), 1.0)
