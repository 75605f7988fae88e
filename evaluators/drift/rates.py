"""The rates: an e-detector for each flag, which finds a fault that happens in a few answers of a hundred.

A flag is raised with a base rate that the answers before say; a bet on the rate q multiplies by q/p where the flag is raised and by
(1-q)/(1-p) where it is not, with p the base rate taken on the high side, (raised + 1/2) / (answers + 1).
For a base rate not above p this is a supermartingale, so its Shiryaev-Roberts sum is an e-detector (see `bank`).
That p stands above the true rate is likely, not certain: here the guarantee is an estimate's, and the benchmark's no-change streams are its test.

A fault that never happened before is the strongest evidence there is, whichever it is.
So the flags that were rare at first are also read together, as one: "a fault that is rare here".
"""

from __future__ import annotations

import numpy as np

BETS = np.array([0.03, 0.1, 0.3, 0.8])
# A bet is at least this much above the base rate, and one bet of each flag is that it falls to this part of it.
_LEAST_RISE = 1.5
_FALL = 0.4
_MOST = 0.95
_RARE = 0.02
_WEIGHTS = np.array([0.24, 0.24, 0.24, 0.18, 0.1])
POOLED_WEIGHT = 0.25


class Rates:
    """The state of each flag's e-detector: `raised` and `answers` counted so far, `sums` flags by bets, with `recent` and `starts` as in `Bank`; the last flag is the pooled one."""

    def __init__(self, first: np.ndarray) -> None:
        """`first` are the first answers' flags, answers by flags."""
        self.usual = first.mean(axis=0) > 0.5
        turned = first ^ self.usual
        self.is_rare = turned.mean(axis=0) <= _RARE
        flags = first.shape[1] + 1
        self.raised = np.append(turned.sum(axis=0), (turned & self.is_rare).any(axis=1).sum()).astype(float)
        self.answers = float(len(first))
        self.sums = np.zeros((flags, len(_WEIGHTS)))
        self.recent = np.zeros((flags, len(_WEIGHTS)))
        self.starts = np.zeros((flags, len(_WEIGHTS)), np.int32)
        self.powers = np.ones((flags, 1))
        self.weights = np.append(np.full(flags - 1, (1 - POOLED_WEIGHT) / (flags - 1)), POOLED_WEIGHT)

    def turn(self, flags: np.ndarray) -> np.ndarray:
        """The flags as departures from what is usual here, and the pooled one last."""
        turned = flags ^ self.usual
        return np.append(turned, (turned & self.is_rare).any())

    def count(self, flags: np.ndarray) -> np.ndarray:
        """Each flag's e-values (flags by bets) for `flags` as turned; takes them into the base rates."""
        base = ((self.raised + 0.5) / (self.answers + 1))[:, None]
        shares = np.concatenate([np.minimum(np.maximum(BETS, _LEAST_RISE * base), _MOST), _FALL * base], axis=1)
        factors = np.where(flags[:, None], shares / base, (1 - shares) / (1 - base))
        self.raised += flags
        self.answers += 1
        return factors

    def bet(self, flags: np.ndarray, at: int) -> None:
        factors = self.count(flags) ** self.powers
        np.copyto(self.starts, at, where=self.recent <= 1)
        np.maximum(self.recent, 1, out=self.recent)
        self.recent *= factors
        self.sums += 1
        self.sums *= factors

    def evidence(self) -> np.ndarray:
        return self.sums @ _WEIGHTS
