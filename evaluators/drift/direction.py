"""The direction: an e-detector on the one score that sets the newest answers apart from the reference, learned anew as the stream goes.

Two models that differ a little in everything differ enough in sum.
Every few answers the detector takes the direction from the reference's mean to the newest answers' mean, figure by figure in standard
deviations, with differences that chance explains cut off (nearest shrunken centroids; Tibshirani et al. 2002).
The next answers are scored along it before they may change it, so the direction never knows what it judges.

A score is played against those of a part of the warm-up that had no part in learning the direction: e = g(s) / mean of g, with
g(s) = exp(d s), the score in standard deviations of that part (a soft-rank e-value; Ren and Barber, *Derandomized knockoffs*, 2023).
Two are kept.
The paid one takes that mean PAID standard errors high, which pays for the error of an estimate from a finite part that is used again and again
(the idea of Shaer et al., *Conditional conformal test martingales*, arXiv 2602.13848): it is exact as far as that margin holds, not by
exchangeability alone.
The bare one takes the mean as it is: faster, and its false alarms are only measured.
Bets are tempered by the autocorrelation time of that part's scores along the same direction, and by the stream's own where it is longer.
"""

from __future__ import annotations

import numpy as np

from evaluators.drift.tempering import estimate_time

DRIFTS = np.array([0.5, 1.0, 1.5])
# Every fourth answer of the warm-up is for learning, the other three are for judging.
LEARN_EVERY = 4
MEMORY_ANSWERS = 40
STEP_ANSWERS = 8
LEAST_ANSWERS = 16
TRACED_ANSWERS = 256
CUT_OFF = 1.0
_MOST_DEVIATIONS = 4.0
_MOST_SCORE = 3.0
_QUANTA = 31.0
PAID = 0.75
_MARGINS = np.array([[PAID], [0.0]])
# A figure that hardly varies is measured by this part of the usual deviation, so that it cannot drown the others.
_LEAST_DEVIATION = 0.3


class Direction:
    """`reference` are the judging rows (here as columns), standardised, in 1/31; `centre` and `scale` what rows are standardised by;
    `weights` the direction; `trace` the logarithms of the smallest bet's newest factors."""

    def __init__(self, rows: np.ndarray, least_time: float = 1.0) -> None:
        """`rows` are the warm-up's answers in their order; `least_time` is the stream's own autocorrelation time."""
        self.least_time = least_time
        self.centre = rows.mean(axis=0).astype(np.float32)
        deviation = rows.std(axis=0)
        usual = np.median(deviation[deviation > 0]) if (deviation > 0).any() else 1.0
        self.scale = (1 / np.hypot(deviation, _LEAST_DEVIATION * usual)).astype(np.float32)
        standard = self._standardise(rows)
        learned = np.arange(len(rows)) % LEARN_EVERY == 0
        self.learned = int(learned.sum())
        self.usual = standard[learned].mean(axis=0, dtype=np.float32)
        self.reference = np.ascontiguousarray(np.round(standard[~learned] * _QUANTA).astype(np.int8).T)
        self.newest = np.zeros_like(self.usual)
        self.spread = 0.0  # the variance of `newest`, in parts of one answer's
        self.answers = 0
        self.weights = np.zeros_like(self.usual)
        self.sums = np.zeros((len(_MARGINS), len(DRIFTS)))
        self.trace = np.zeros(TRACED_ANSWERS, np.float32)
        self._measure_reference()

    def _standardise(self, rows: np.ndarray) -> np.ndarray:
        standard = (rows - self.centre) * self.scale
        return np.minimum(np.maximum(standard, -_MOST_DEVIATIONS, out=standard), _MOST_DEVIATIONS, out=standard)

    def bet(self, row: np.ndarray) -> None:
        """Plays one answer, and then learns from it."""
        standard = self._standardise(row)
        if self.deviation > 0:
            score = (float(standard @ self.weights) - self.middle) / self.deviation
            score = min(max(score, -_MOST_SCORE), _MOST_SCORE)
            steps = (DRIFTS * score - self.norm) * self.power
            self.sums += 1
            self.sums *= np.exp(steps)
            self.trace[self.answers % TRACED_ANSWERS] = steps[0, 0]
        keep = 1 - 1 / MEMORY_ANSWERS if self.answers else 0.0
        self.newest *= np.float32(keep)
        self.newest += np.float32(1 - keep) * standard
        self.spread = keep * keep * self.spread + (1 - keep) ** 2
        self.answers += 1
        if self.answers >= LEAST_ANSWERS and self.answers % STEP_ANSWERS == 0:
            self._learn()

    def evidence(self) -> np.ndarray:
        """The paid evidence and the bare one; while nothing changes their means are at most the number of answers watched."""
        return self.sums.sum(axis=1) / len(DRIFTS)

    def find_start(self) -> int:
        """How many answers ago the evidence began, as the trace of the smallest bet says."""
        places = (self.answers - 1 - np.arange(min(self.answers, TRACED_ANSWERS))) % TRACED_ANSWERS
        return int(np.cumsum(self.trace[places]).argmax())

    def pull(self, figures: int) -> np.ndarray:
        """How much each of the first `figures` of a row has to do with the newest answers' score."""
        return np.abs(self.weights * (self.newest - self.usual))[:figures]

    def _learn(self) -> None:
        steps = (self.newest - self.usual) / np.sqrt(self.spread + 1 / self.learned)
        self.weights = (np.sign(steps) * np.maximum(np.abs(steps) - CUT_OFF, 0)).astype(np.float32)
        self._measure_reference()

    def _measure_reference(self) -> None:
        """How the judging rows score along the direction; all of it follows from the weights."""
        used = np.flatnonzero(self.weights)
        scores = (self.weights[used] / np.float32(_QUANTA)) @ self.reference[used].astype(np.float32)
        self.middle, self.deviation = float(scores.mean()), float(scores.std())
        if self.deviation > 0:
            standard = (scores - self.middle) / self.deviation
            played = np.exp(DRIFTS * np.clip(standard, -_MOST_SCORE, _MOST_SCORE)[:, None])
            self.norm = np.log(played.mean(axis=0) + _MARGINS * played.std(axis=0) / np.sqrt(len(played)))
            # Of four neighbours three stand in the reference, so its lags are a third longer than they look.
            time = 1 + (estimate_time(standard) - 1) * LEARN_EVERY / (LEARN_EVERY - 1)
            self.power = 1 / max(time, self.least_time)
