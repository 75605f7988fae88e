"""The rates: an e-detector for each flag, which finds a fault that happens in a few answers of a hundred.

A flag is raised with a base rate that earlier answers say; a bet on the rate q multiplies by q/p where the flag is raised and by
(1-q)/(1-p) where it is not, with p the base rate taken on the high side: (raised + sqrt(raised)/2 + 0.6) / (answers + 1.2).
For a base rate not above p this is a supermartingale, so its Shiryaev-Roberts sum is an e-detector (see `bank`).
That p stands above the true rate is likely, not certain: here the guarantee is as good as an estimate, and the benchmark's no-change streams
are its test.
The newest answers are not in p yet, so that a fault that has just begun does not hide itself.

A fault that never happened before is the strongest evidence there is, whichever it is.
So the flags that were never raised in the warm-up are also read together, as one.
"""

from __future__ import annotations

import numpy as np

BETS = np.array([0.03, 0.1, 0.3, 0.8])
# A bet is at least this much above the base rate, and one bet of each flag is that it falls to this part of it.
_LEAST_RISE = 1.5
_FALL = 0.4
_MOST = 0.95
_WEIGHTS = np.array([0.225, 0.225, 0.225, 0.225, 0.1])
_PRIOR = 0.6
_CAUTION = 0.5
HELD_ANSWERS = 80
POOLED_WEIGHT = 0.4


class Rates:
    """The state of each flag's e-detector; the last flag is the pooled one.

    `raised` and `answers` are counted, `held` the newest answers' flags, not counted yet; `sums` flags by bets, with `recent` and `starts`
    as in `Bank`; `weights` of the flags sum to one.
    """

    def __init__(self, warmup: np.ndarray, weights: np.ndarray) -> None:
        """`warmup` are its answers' flags, answers by flags; `weights` say how much each flag is watched for, in any unit."""
        self.usual = warmup.mean(axis=0) > 0.5
        self.is_new = ~(warmup ^ self.usual).any(axis=0)
        flags = warmup.shape[1] + 1
        self.raised = np.append((warmup ^ self.usual).sum(axis=0), 0.0)
        self.answers = float(len(warmup))
        self.held = np.zeros((HELD_ANSWERS, flags), bool)
        self.watched = 0
        self.sums = np.zeros((flags, len(_WEIGHTS)))
        self.recent = np.zeros((flags, len(_WEIGHTS)))
        self.starts = np.zeros((flags, len(_WEIGHTS)), np.int32)
        self.powers = np.ones((flags, 1))
        self.weights = np.append(weights * ((1 - POOLED_WEIGHT) / weights.sum()), POOLED_WEIGHT)

    def turn(self, flags: np.ndarray) -> np.ndarray:
        """The flags as departures from what is usual here, and the pooled one last."""
        turned = flags ^ self.usual
        return np.append(turned, (turned & self.is_new).any())

    def bet(self, flags: np.ndarray, at: int) -> None:
        """Plays the bets on the `flags` of answer number `at`, as turned."""
        base = (self.raised + _CAUTION * np.sqrt(self.raised) + _PRIOR) / (self.answers + 2 * _PRIOR)
        base = np.minimum(base, _MOST / _LEAST_RISE)[:, None]
        shares = np.concatenate([np.minimum(np.maximum(BETS, _LEAST_RISE * base), _MOST), _FALL * base], axis=1)
        factors = np.where(flags[:, None], shares / base, (1 - shares) / (1 - base))
        tempered = self.powers[:, 0] < 1
        if tempered.any():
            factors[tempered] **= self.powers[tempered]
        self._hold(flags)
        np.copyto(self.starts, at, where=self.recent <= 1)
        np.maximum(self.recent, 1, out=self.recent)
        self.recent *= factors
        self.sums += 1
        self.sums *= factors

    def _hold(self, flags: np.ndarray) -> None:
        place = self.watched % HELD_ANSWERS
        if self.watched >= HELD_ANSWERS:
            self.raised += self.held[place]
            self.answers += 1
        self.held[place] = flags
        self.watched += 1

    def evidence(self) -> np.ndarray:
        return self.sums @ _WEIGHTS
