"""The direction: an e-detector on the one score that sets the newest answers apart from the reference, learned anew as the stream goes.

Two models that differ a little in everything differ enough in sum.
Every few answers the detector takes the direction from the reference's mean to the newest answers' mean, figure by figure in standard
deviations, with differences that chance explains cut off (nearest shrunken centroids; Tibshirani et al. 2002).
The next answers are scored along it before they may change it, so the direction never knows what it judges.
There are two directions: one from the last dozen answers, which finds a great change at once, and one from the last fifty, which sees a small
one more clearly.

A score is played against those of the warm-up's answers: e = g(s) / mean of g, with g(s) = exp(d s), the score in standard deviations of
the warm-up's (a soft-rank e-value; Ren and Barber, *Derandomized knockoffs*, 2023).
The direction leads away from the warm-up's mean, and so from each answer that is in it; they are therefore scored as if each had been left out,
as the newest is (leave one out; Barber et al., *Predictive inference with the jackknife+*, 2021), by what that makes in the mean of them all.
Two are kept.
The careful one takes that mean some standard errors high, which pays for the error of an estimate from a finite warm-up that is used again and
again (the idea of Shaer et al., *Conditional conformal test martingales*, arXiv 2602.13848): it is exact as far as that margin holds, not by
exchangeability alone.
The quick one takes a third of that margin: faster, and its false alarms are only measured.
Bets are tempered by the autocorrelation time of the warm-up's scores along the same direction, and by the stream's own where it is longer.
"""

from __future__ import annotations

import math

import numpy as np

from evaluators.drift import sums
from evaluators.drift.tempering import estimate_row_times

DRIFTS = np.array([0.25, 0.5, 1.0, 1.5], np.float32)
# Over how many answers the mean of the newest reaches back, for each direction.
MEMORIES_ANSWERS = (12, 50)
# How often the directions are taken anew, and how often where the newest answers are further from the usual than these times what chance makes of
# figures that know nothing of each other; as they do know, what is usual lies well below one.
STEP_ANSWERS, QUICK_STEP_ANSWERS = 16, 4
SURPRISING = 0.9
LEAST_ANSWERS = 16
CUT_OFF = 1.0
MARGINS = np.array([0.75, 0.25])  # of the careful one and of the quick one, in standard errors
_KEPT = np.array([[1 - 1 / memory] for memory in MEMORIES_ANSWERS], np.float32)
_MOST_DEVIATIONS = 4.0
_MOST_SCORE = 3.0
_QUANTA = 31.0
# A figure that hardly varies is measured by this part of the usual deviation of its kind, so that it cannot drown the others.
_LEAST_DEVIATION = 0.3


class Direction:
    """`reference` are the warm-up's rows (here as columns), standardised by `centre` and `scale`, in 1/31; `usual` is their mean,
    `squares` the mean of their squares.

    By direction: `newest` is the mean of the newest rows, `weights` the direction, `middle`, `deviation`, `norm` and `power` what a score along
    it is played by, `sums` (margins by directions by bets) the evidence.
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
        self.squares = np.square(self.reference, dtype=np.float32).mean(axis=1) / np.float32(_QUANTA**2)
        self.newest = np.zeros((directions, size), np.float32)
        self.weights = np.zeros((directions, size), np.float32)
        self.middle, self.deviation, self.power = np.zeros((3, directions))
        self.norm = np.zeros((len(MARGINS), directions, len(DRIFTS)))
        self.sums = np.zeros_like(self.norm)
        self.answers = 0

    def _standardise(self, rows: np.ndarray) -> np.ndarray:
        """Rows of all figures, or of the first ones."""
        standard = (rows - self.centre[: rows.shape[-1]]) * self.scale[: rows.shape[-1]]
        return np.minimum(np.maximum(standard, -_MOST_DEVIATIONS, out=standard), _MOST_DEVIATIONS, out=standard)

    def bet(self, rows: np.ndarray) -> np.ndarray:
        """Plays answers in their order, and learns from each after it was played: the careful and the quick evidence after each of them."""
        trail = np.empty((len(rows), *self.sums.shape))
        standard = self._standardise(rows)
        if not self.answers:
            self.newest[:] = standard[0]
        played = begin = 0
        while begin < len(rows):
            end = min(len(rows), begin + QUICK_STEP_ANSWERS - self.answers % QUICK_STEP_ANSWERS)
            for share in standard[begin:end, None] * (1 - _KEPT):
                self.newest *= _KEPT
                self.newest += share
            self.answers += end - begin
            begin = end
            if self._is_time():
                self._play(standard[played:end], trail[played:end])
                self._learn()
                played = end
        if played < len(rows):
            self._play(standard[played:], trail[played:])
        return trail.sum(axis=(2, 3)) / trail[0, 0].size

    def _play(self, standard: np.ndarray, trail: np.ndarray) -> None:
        """Plays answers along directions that stay."""
        playing = self.deviation > 0
        scores = np.array([self.weights @ row for row in standard])
        scores = (scores - self.middle) / np.where(playing, self.deviation, 1.0)
        scores = np.minimum(np.maximum(scores, -_MOST_SCORE), _MOST_SCORE)
        factors = np.exp((scores[:, None, :, None] * DRIFTS - self.norm) * self.power[:, None])
        trail[:] = sums.run(self.sums, factors, playing[:, None])  # a direction that is none is not watched
        self.sums = trail[-1].copy()

    def evidence(self) -> np.ndarray:
        """The careful evidence and the quick one; while nothing changes their means are at most the number of answers watched."""
        return self.sums.mean(axis=(1, 2))

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
        return int(self.sums.sum(axis=(0, 2)).argmax())

    def _is_time(self) -> bool:
        """Whether to learn: what decides that is known before the next answer, so bets stay fair."""
        if self.answers < LEAST_ANSWERS or self.answers % QUICK_STEP_ANSWERS:
            return False
        if self.answers % STEP_ANSWERS == 0:
            return True
        away = self.newest[0] - self.usual
        return float(away @ away) > SURPRISING * len(away) * self._find_error()[0, 0] ** 2

    def _learn(self) -> None:
        """Takes the directions anew."""
        error = self._find_error()
        steps = (self.newest - self.usual) / error
        self.weights = steps - np.minimum(np.maximum(steps, -CUT_OFF), CUT_OFF)
        self._measure_reference(error)

    def _find_error(self) -> np.ndarray:
        """The standard error of `newest` less `usual`, in one row's deviations: the first row weighs one, and each later one's share fades."""
        errors = []
        for memory in MEMORIES_ANSWERS:
            kept = 1 - 1 / memory
            faded = kept ** (2 * (self.answers - 1))
            errors.append([math.sqrt(faded + (1 - faded) * (1 - kept) / (1 + kept) + 1 / self.reference.shape[1])])
        return np.array(errors, np.float32)

    def _measure_reference(self, error: np.ndarray) -> None:
        """How the warm-up's rows score along the directions, each as if it were not among them."""
        used = np.flatnonzero(self.weights.any(axis=0))
        weights, rows = self.weights[:, used], self.reference.take(used, axis=0).astype(np.float32)
        number = rows.shape[1]
        scores = np.array([each @ rows for each in weights / np.float32(_QUANTA)])
        middle = scores.sum(axis=1) / number
        standard = scores - middle[:, None]
        # Without a row the mean, and with it the direction, stands as far from that row as it is itself, in parts of the others' number;
        # so much higher each scores as if left out, here by the mean of all rows.
        self.middle = middle + (weights != 0) @ self.squares[used] / (error[:, 0] * (number - 1))
        self.deviation = np.sqrt(np.square(standard).sum(axis=1) / number)
        standard /= np.maximum(self.deviation, np.finfo(np.float32).tiny)[:, None]
        self.power = 1 / np.maximum(estimate_row_times(standard), self.least_time)
        np.minimum(np.maximum(standard, -_MOST_SCORE, out=standard), _MOST_SCORE, out=standard)
        played = np.exp(standard[:, None] * DRIFTS[:, None])
        mean = played.sum(axis=2) / number
        error_of_mean = np.sqrt(np.maximum(np.square(played, out=played).sum(axis=2) / number - mean * mean, 0) / number)
        self.norm = np.log(mean + MARGINS[:, None, None] * error_of_mean)


def _find_usual(deviation: np.ndarray) -> float:
    return float(np.median(deviation[deviation > 0])) if (deviation > 0).any() else 1.0
