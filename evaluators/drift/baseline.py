"""The baseline: what one stream of vectors and flags usually is, learned from its first answers, and the evidence that it is so no more."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from evaluators.drift.bank import Bank
from evaluators.drift.direction import Direction
from evaluators.drift.fingerprint import SIZE
from evaluators.drift.rates import Rates
from evaluators.drift.settings import Settings
from evaluators.drift.tempering import estimate_times

# The parts of the evidence; they sum to one.
FEATURES_SHARE, FLAGS_SHARE, DIRECTION_SHARE = 0.25, 0.45, 0.3
RECENT_ANSWERS = 200
# Answers that are judged together, which takes half the time; one by one where the evidence is this part of an alarm's, or where an
# answer has a flag that the warm-up never had.
BLOCK_ANSWERS = 8
URGENT = 0.03
# Evidence is kept below this, or what is not watched for an alarm (the prompts') would become infinite in time.
_MOST_EVIDENCE = 1e100
# The stream is taken for as bursty as this share of the features is at most: one feature's own estimate is too often too low.
# Where that is bursty at all, the second share holds for the directions.
_BURSTY_SHARE, _BURSTIEST_SHARE = 0.9, 0.95
_SLACK, _MOST_STEP = 0.25, 2.0
# For a feature or flag that never varied: less than this is no step.
_LEAST_DEVIATION = 0.05
_NOTHING = np.zeros((0, 2))  # a trail of no answers


class Baseline:
    """The first `warmup` rows are gathered; then they set the bank's cells and all else, and the later ones are bet on.

    `rows` (of features), `flags` and `sketches` hold the warm-up in its order until it is whole, and then the answers that wait to be judged;
    `recent` the features and flags of the last answers that were judged; `means` are of all of the warm-up. `answers` counts all, `judged`
    those that wait no more.
    """

    def __init__(self, settings: Settings, outputs: int, prompts: int, texts: int, weights: Sequence[float]) -> None:
        """How many features there are of outputs and of prompts, in this order; the first `texts` are of the text alone; the flags' weights."""
        self.settings = settings
        self.weights = np.array(weights)
        self.outputs = outputs
        self.texts = texts
        features = self.features = outputs + prompts
        self.answers = self.judged = 0
        self.rows = np.zeros((settings.warmup, features), np.float32)
        self.flags = np.zeros((settings.warmup, len(weights)), bool)
        self.sketches = np.zeros((settings.warmup, SIZE), np.uint8)
        self.recent = np.zeros((0, features + len(weights)), np.float16)
        self.means = np.zeros(features + len(weights))
        self.deviations = np.ones(features + len(weights))
        self.strongest = 0.0
        self.bank: Bank | None = None
        self.rates: Rates | None = None
        self.direction: Direction | None = None

    def add(self, values: np.ndarray, flags: np.ndarray, sketches: np.ndarray) -> None:
        """Takes answers in (rows of each), which wait to be judged; no more of them than `room`."""
        places = slice(self.answers - self.judged, self.answers - self.judged + len(values))
        self.rows[places], self.flags[places], self.sketches[places] = values, flags, sketches
        self.answers += len(values)
        if self.answers == self.settings.warmup:
            self._finish()

    @property
    def room(self) -> int:
        """How many answers more may wait."""
        if self.direction is None:
            return min(BLOCK_ANSWERS, self.settings.warmup - self.answers)
        return BLOCK_ANSWERS - (self.answers - self.judged)

    def is_pressing(self, flags: list[bool]) -> bool:
        """Whether an answer with these flags, and those that wait, should be judged at once."""
        return self.direction is not None and (self.strongest >= URGENT / self.settings.alpha or self.rates.is_first(flags))

    def judge(self) -> np.ndarray:
        """Plays the answers that wait: the evidence by theory and the calibrated one after each of them (answers by two)."""
        number = self.answers - self.judged
        if self.direction is None or not number:
            return _NOTHING
        values, flags = self.rows[:number], self.flags[:number]
        self.recent[np.arange(self.judged, self.answers) % RECENT_ANSWERS] = np.concatenate([values, flags], axis=1)
        self.judged = self.answers
        shared = self.bank.bet(values, self.shares) + FLAGS_SHARE * self.rates.bet(self.rates.turn(flags))
        trail = DIRECTION_SHARE * self.direction.bet(np.concatenate([values[:, : self.texts], self.sketches[:number]], axis=1))
        trail += shared[:, None]
        for each in (self.bank, self.rates, self.direction):
            np.minimum(each.sums, _MOST_EVIDENCE, out=each.sums)
        self.strongest = float(trail[-1].max())
        return trail

    def _finish(self) -> None:
        self.bank = Bank(self.rows[: self.settings.first])
        self.bank.count(self.rows[self.settings.first :])
        own = self.bank.index < self.outputs
        self.shares = FEATURES_SHARE / max(1, own.sum()) * own
        rows = np.concatenate([self.rows, self.flags], axis=1)
        known = ~np.isnan(rows)
        self.means = np.where(known, rows, 0).sum(axis=0) / np.maximum(1, known.sum(axis=0))
        deviations = np.sqrt(np.where(known, (rows - self.means) ** 2, 0).sum(axis=0) / np.maximum(1, known.sum(axis=0)))
        self.deviations = np.maximum(deviations, _LEAST_DEVIATION)
        times = estimate_times(self.rows[:, self.bank.index])
        least = float(np.quantile(times, _BURSTY_SHARE))
        self.bank.powers = 1 / np.maximum(times, least)[:, None]
        self.rates = Rates(self.flags, self.weights)
        self.rates.powers = 1 / estimate_times(self.rates.turn(self.flags).astype(float))[:, None]
        self.rates.lay_out()
        sketched = np.concatenate([self.rows[:, : self.texts], self.sketches], axis=1)
        # A direction may lie along whatever the answers of a burst have in common.
        longest = float(np.quantile(times, _BURSTIEST_SHARE)) if least > 1 else 1.0
        self.direction = Direction(sketched, self.texts, longest)
        self.recent = np.zeros((RECENT_ANSWERS, rows.shape[1]), np.float16)
        self.judged = self.answers
        # A mere slice would keep all of it.
        self.rows, self.flags, self.sketches = (each[:BLOCK_ANSWERS].copy() for each in (self.rows, self.flags, self.sketches))

    def weigh_features(self) -> np.ndarray:
        """Each known output feature's part of the evidence."""
        return self.shares * self.bank.evidence()

    def weigh_flags(self) -> np.ndarray:
        """Each flag's part of the evidence, the pooled flag last."""
        return FLAGS_SHARE * self.rates.weights * self.rates.evidence()

    def input_evidence(self) -> float:
        """The evidence that the prompts are no longer what they were."""
        prompts = self.bank.index >= self.outputs
        return float(self.bank.evidence()[prompts].mean()) if prompts.any() else 0.0

    def clear(self) -> None:
        """Forgets the evidence, keeps the baseline."""
        for each in (self.bank, self.rates, self.direction):
            each.sums[:] = 0
        self.strongest = 0.0

    def find_start(self) -> int:
        """The answer at which the strongest evidence began."""
        number = min(self.judged - self.settings.warmup, RECENT_ANSWERS)
        rows = self.recent[(self.judged - 1 - np.arange(number)) % RECENT_ANSWERS].astype(np.float32)
        if self.is_spread():
            steps = self.direction.rate(rows[:, : self.texts])
        else:
            features, flags = self.weigh_features(), self.weigh_flags()[:-1]
            column = self.bank.index[features.argmax()] if features.max() > flags.max() else self.features + flags.argmax()
            steps = np.nan_to_num((rows[:, column] - self.means[column]) / self.deviations[column])
        steps = steps.clip(-_MOST_STEP, _MOST_STEP)
        # The largest sum of the newest steps, up or down, less a quarter of a deviation each (CUSUM; Page 1954).
        ends = [np.cumsum(side * steps - _SLACK) for side in (1, -1)]
        return self.judged - int(max(ends, key=np.max).argmax())

    def weigh_spread(self) -> float:
        """The direction's part of the evidence."""
        return DIRECTION_SHARE * float(self.direction.evidence().max())

    def is_spread(self) -> bool:
        """Whether the evidence is of many small moves together rather than of one feature or flag."""
        return self.weigh_spread() > max(self.weigh_features().max(), self.weigh_flags().max())

    def count_since(self, began: int) -> int:
        """How many answers `average_since` is the mean of."""
        return min(self.judged - max(began, self.settings.warmup + 1) + 1, RECENT_ANSWERS)

    def average_since(self, began: int) -> np.ndarray:
        """The mean of each feature and flag over the last answers since `began`, not before the watch and at most RECENT_ANSWERS of them."""
        number = self.count_since(began)
        places = (self.judged - 1 - np.arange(number)) % RECENT_ANSWERS
        rows = self.recent[places].astype(float)
        known = ~np.isnan(rows)
        return np.where(known, rows, 0).sum(axis=0) / np.maximum(1, known.sum(axis=0))
