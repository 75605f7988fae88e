"""The rates: an e-detector for each flag, which finds a fault that happens in a few answers of a hundred.

A flag is raised with a base rate that earlier answers say; a bet on the rate q multiplies by q/p where the flag is raised and by
(1-q)/(1-p) where it is not, with p the base rate taken on the high side: (raised + sqrt(raised)/2 + 0.8) / (answers + 1.6).
For a base rate not above p this is a supermartingale, so its Shiryaev-Roberts sum is an e-detector (see `bank`).
That p stands above the true rate is likely, not certain: here the guarantee is as good as an estimate, and the benchmark's no-change streams
are its test.
The newest answers are not in p yet, so that a fault that has just begun does not hide itself.

A fault that never happened before is the strongest evidence there is, whichever it is.
So the flags that were never raised in the warm-up are also read together, as one.
"""

from __future__ import annotations

import numpy as np

from evaluators.drift import sums

BETS = np.array([0.05, 0.1, 0.3, 0.8])
# A bet is at least this much above the base rate, and one bet of each flag is that it falls to this part of it.
_LEAST_RISE = 1.5
_FALL = 0.4
_MOST = 0.95
_WEIGHTS = np.array([0.225, 0.225, 0.225, 0.225, 0.1])
_PRIOR = 0.8
_CAUTION = 0.5
HELD_ANSWERS = 50
POOLED_WEIGHT = 0.35


class Rates:
    """The state of each flag's e-detector; the last flag is the pooled one.

    `raised` and `answers` are counted; `held` counts the newest answers' flags, up to HELD_ANSWERS of them, and `waiting` those before, which
    are not counted yet either; `sums` is flags by bets; `weights` of the flags sum to one.
    """

    def __init__(self, warmup: np.ndarray, weights: np.ndarray) -> None:
        """`warmup` are its answers' flags, answers by flags; `weights` say how much each flag is watched for, in any unit."""
        self.usual = warmup.mean(axis=0) > 0.5
        self.is_new = ~(warmup ^ self.usual).any(axis=0)
        flags = warmup.shape[1] + 1
        self.raised = np.append((warmup ^ self.usual).sum(axis=0), 0.0)
        self.answers = float(len(warmup))
        self.held = np.zeros(flags)
        self.waiting = np.zeros(flags)
        self.watched = 0
        self.sums = np.zeros((flags, len(_WEIGHTS)))
        self.powers = np.ones((flags, 1))
        self.weights = np.append(weights * ((1 - POOLED_WEIGHT) / weights.sum()), POOLED_WEIGHT)
        self.lay_out()

    def is_first(self, flags: list[bool]) -> bool:
        """Whether one of an answer's flags departs from the usual that never did in the warm-up."""
        return flags != self.usual.tolist() and bool(((np.array(flags) != self.usual) & self.is_new).any())

    def turn(self, flags: np.ndarray) -> np.ndarray:
        """The flags of answers (rows) as departures from what is usual here, and the pooled one last."""
        turned = np.empty((len(flags), len(self.usual) + 1), bool)
        np.not_equal(flags, self.usual, out=turned[:, :-1])
        turned[:, -1] = (turned[:, :-1] & self.is_new).any(axis=1)
        return turned

    def bet(self, turned: np.ndarray) -> np.ndarray:
        """Plays the bets on answers' flags, as turned, in their order: the evidence after each of them."""
        trail = np.empty((len(turned), *self.sums.shape))
        begin = 0
        while begin < len(turned):  # until those that wait are counted
            end = min(len(turned), begin + HELD_ANSWERS - self.watched % HELD_ANSWERS)
            trail[begin:end] = sums.run(self.sums, np.where(turned[begin:end, :, None], self.rise, self.fall))
            self.sums = trail[end - 1].copy()
            self.held += turned[begin:end].sum(axis=0)
            self.watched += end - begin
            if self.watched % HELD_ANSWERS == 0:
                self._release()
            begin = end
        return trail.reshape(len(turned), -1) @ np.outer(self.weights, _WEIGHTS).ravel()

    def _release(self) -> None:
        """Counts those that waited; the newest wait now."""
        self.raised += self.waiting
        self.answers += HELD_ANSWERS if self.watched > HELD_ANSWERS else 0
        self.waiting, self.held = self.held, np.zeros_like(self.held)
        self.lay_out()

    def lay_out(self) -> None:
        """The factors of a flag raised and of one that is not, from the base rates and the powers."""
        base = (self.raised + _CAUTION * np.sqrt(self.raised) + _PRIOR) / (self.answers + 2 * _PRIOR)
        base = np.minimum(base, _MOST / _LEAST_RISE)[:, None]
        shares = np.concatenate([np.minimum(np.maximum(BETS, _LEAST_RISE * base), _MOST), _FALL * base], axis=1)
        self.rise = (shares / base) ** self.powers
        self.fall = ((1 - shares) / (1 - base)) ** self.powers

    def evidence(self) -> np.ndarray:
        """Each flag's evidence; while nothing changes its mean is at most the number of answers watched."""
        return self.sums @ _WEIGHTS
