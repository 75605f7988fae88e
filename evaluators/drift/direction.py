"""The direction: an e-detector on the one score that sets the newest answers apart from the reference, learned anew as the stream goes.

Two models that differ a little in everything differ enough in sum.
Every few answers the detector takes the direction from the reference's mean to the newest answers' mean, figure by figure in standard
deviations, with differences that chance explains cut off (nearest shrunken centroids; Tibshirani et al. 2002).
The next answers are scored along it before they may change it, so the direction never knows what it judges.
There are two directions: one from the last dozen answers, which finds a great change at once, and one from the last fifty, which sees a small
one more clearly.

A score is played against those of the warm-up's answers: e = g(s) / mean of g, with g(s) = exp(d s), the score in standard deviations of
the warm-up's (a soft-rank e-value; Ren and Barber, *Derandomized knockoffs*, 2023).
The direction leads away from the warm-up's mean, and so from each answer that is in it; each is therefore scored as if it had been left out,
as the newest is (leave one out; Barber et al., *Predictive inference with the jackknife+*, 2021).
Two are kept.
The paid one takes that mean PAID standard errors high, which pays for the error of an estimate from a finite warm-up that is used again and
again (the idea of Shaer et al., *Conditional conformal test martingales*, arXiv 2602.13848): it is exact as far as that margin holds, not by
exchangeability alone.
The bare one takes the mean as it is: faster, and its false alarms are only measured.
Bets are tempered by the autocorrelation time of the warm-up's scores along the same direction, and by the stream's own where it is longer.
"""

from __future__ import annotations

import numpy as np

from evaluators.drift.tempering import estimate_row_times

DRIFTS = np.array([0.5, 1.0, 1.5])
# Over how many answers the mean of the newest reaches back, for each direction.
MEMORIES_ANSWERS = (12, 50)
# How often the directions are taken anew, and how often where the newest answers are further from the usual than these times what chance makes.
STEP_ANSWERS, QUICK_STEP_ANSWERS = 8, 4
SURPRISING = 1.25
LEAST_ANSWERS = 16
CUT_OFF = 1.0
PAID = 0.75
_KEPT = np.array([[1 - 1 / memory] for memory in MEMORIES_ANSWERS], np.float32)
_MARGINS = np.array([[PAID], [0.0]])
_MOST_DEVIATIONS = 4.0
_MOST_SCORE = 3.0
_QUANTA = 31.0
# A figure that hardly varies is measured by this part of the usual deviation of its kind, so that it cannot drown the others.
_LEAST_DEVIATION = 0.3


class Direction:
    """`reference` are the warm-up's rows (here as columns), standardised by `centre` and `scale`, in 1/31; `usual` is their mean.

    By direction: `newest` is the mean of the newest rows and `spread` its variance in parts of one row's, `weights` the direction,
    `middle`, `deviation`, `norm` and `power` what a score along it is played by, `sums` (directions by margins by bets) the evidence.
    """

    def __init__(self, rows: np.ndarray, figures: int, least_time: float = 1.0) -> None:
        """`rows` are the warm-up's answers in their order, the first `figures` of each the features, the others the fingerprint;
        `least_time` is the stream's own autocorrelation time."""
        directions, size = len(MEMORIES_ANSWERS), rows.shape[1]
        self.least_time = least_time
        self.centre = rows.mean(axis=0).astype(np.float32)
        deviation = rows.std(axis=0)
        usual = np.repeat([_find_usual(deviation[:figures]), _find_usual(deviation[figures:])], [figures, size - figures])
        self.scale = (1 / np.hypot(deviation, _LEAST_DEVIATION * usual)).astype(np.float32)
        self.reference = np.ascontiguousarray(np.round(self._standardise(rows) * _QUANTA).astype(np.int8).T)
        self.usual = self.reference.mean(axis=1, dtype=np.float32) / np.float32(_QUANTA)
        self.newest = np.zeros((directions, size), np.float32)
        self.spread = np.zeros((directions, 1), np.float32)
        self.weights = np.zeros((directions, size), np.float32)
        self.middle, self.deviation, self.power = np.zeros((3, directions))
        self.norm = np.zeros((directions, len(_MARGINS), len(DRIFTS)))
        self.sums = np.zeros_like(self.norm)
        self.answers = 0

    def _standardise(self, rows: np.ndarray) -> np.ndarray:
        """Rows of all figures, or of the first ones."""
        standard = (rows - self.centre[: rows.shape[-1]]) * self.scale[: rows.shape[-1]]
        return np.minimum(np.maximum(standard, -_MOST_DEVIATIONS, out=standard), _MOST_DEVIATIONS, out=standard)

    def bet(self, row: np.ndarray) -> None:
        """Plays one answer, and then learns from it."""
        standard = self._standardise(row)
        playing = self.deviation > 0
        if playing.any():
            scores = (self.weights @ standard - self.middle) / np.where(playing, self.deviation, 1.0)
            scores = np.minimum(np.maximum(scores, -_MOST_SCORE), _MOST_SCORE)
            steps = (scores[:, None, None] * DRIFTS - self.norm) * self.power[:, None, None]
            self.sums += playing[:, None, None]
            self.sums *= np.exp(steps)
        kept = _KEPT if self.answers else np.zeros_like(_KEPT)
        self.newest *= kept
        self.newest += (1 - kept) * standard
        self.spread = kept * kept * self.spread + (1 - kept) ** 2
        self.answers += 1
        if self.answers >= LEAST_ANSWERS and self.answers % QUICK_STEP_ANSWERS == 0:
            self._learn()

    def evidence(self) -> np.ndarray:
        """The paid evidence and the bare one; while nothing changes their means are at most the number of answers watched."""
        return self.sums.mean(axis=(0, 2))

    def pull(self, figures: int) -> np.ndarray:
        """How much each of the first `figures` of a row has to do with the newest answers' score in the strongest direction."""
        direction = self._find_strongest()
        return np.abs(self.weights[direction] * (self.newest[direction] - self.usual))[:figures]

    def rate(self, rows: np.ndarray) -> np.ndarray:
        """How far each row's features, as many as are given, stand along the strongest direction, in the warm-up's standard deviations."""
        figures = rows.shape[1]
        weights = self.weights[self._find_strongest(), :figures]
        usual = (weights / np.float32(_QUANTA)) @ self.reference[:figures].astype(np.float32)
        return (self._standardise(rows) @ weights - usual.mean()) / max(float(usual.std()), np.finfo(float).tiny)

    def _find_strongest(self) -> int:
        return int(self.sums.sum(axis=(1, 2)).argmax())

    def _learn(self) -> None:
        """Takes the directions anew, if it is time; what decides that is known before the next answer, so bets stay fair."""
        error = np.sqrt(self.spread + 1 / self.reference.shape[1])
        steps = (self.newest - self.usual) / error
        if self.answers % STEP_ANSWERS == 0 or float(steps[0] @ steps[0]) > SURPRISING * steps.shape[1]:
            self.weights = np.sign(steps) * np.maximum(np.abs(steps) - CUT_OFF, 0)
            self._measure_reference(error)

    def _measure_reference(self, error: np.ndarray) -> None:
        """How the warm-up's rows score along the directions, each as if it were not among them."""
        used = np.flatnonzero(self.weights.any(axis=0))
        weights, rows = self.weights[:, used], self.reference[used].astype(np.float32)
        number = rows.shape[1]
        scores = (weights / np.float32(_QUANTA)) @ rows
        # Without a row the mean, and with it the direction, stands as far from that row as it is itself, in parts of the others' number.
        scores += ((weights != 0) / (error * np.float32(_QUANTA**2 * (number - 1)))) @ np.square(rows, out=rows)
        self.middle, self.deviation = scores.mean(axis=1), scores.std(axis=1)
        standard = (scores - self.middle[:, None]) / np.maximum(self.deviation, np.finfo(np.float32).tiny)[:, None]
        played = np.exp(np.minimum(np.maximum(standard, -_MOST_SCORE), _MOST_SCORE)[:, None] * DRIFTS[:, None])
        self.norm = np.log(played.mean(axis=2)[:, None] + _MARGINS * (played.std(axis=2) / np.sqrt(number))[:, None])
        self.power = 1 / np.maximum(estimate_row_times(standard), self.least_time)


def _find_usual(deviation: np.ndarray) -> float:
    return float(np.median(deviation[deviation > 0])) if (deviation > 0).any() else 1.0
