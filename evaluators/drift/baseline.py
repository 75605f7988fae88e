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
# The stream is taken for as bursty as this share of the features is at most: one feature's own estimate is too often too low.
_BURSTY_SHARE = 0.9
_SLACK, _MOST_STEP = 0.25, 2.0
# For a feature or flag that never varied: less than this is no step.
_LEAST_DEVIATION = 0.05


class Baseline:
    """First `first` rows are gathered, then counted; from `warmup` on they are bet on.

    `rows` holds the warm-up in its order until the bursts are known; `recent` the last answers since; `means` of all of the warm-up.
    """

    def __init__(self, settings: Settings, outputs: int, prompts: int, texts: int, weights: Sequence[float]) -> None:
        """How many features there are of outputs and of prompts, in this order; the first `texts` are of the text alone; the flags' weights."""
        self.settings = settings
        self.weights = np.array(weights)
        self.outputs = outputs
        self.texts = texts
        features = self.features = outputs + prompts
        self.answers = 0
        self.rows = np.zeros((settings.warmup, features + len(weights)), np.float32)
        self.sketches = np.zeros((settings.warmup, SIZE), np.uint8)
        self.recent = np.zeros((0, features + len(weights)), np.float16)
        self.means = np.zeros(features + len(weights))
        self.deviations = np.ones(features + len(weights))
        self.bank: Bank | None = None
        self.rates: Rates | None = None
        self.direction: Direction | None = None

    def update(self, values: np.ndarray, flags: np.ndarray, sketched: np.ndarray) -> None:
        """Takes one answer in."""
        at = self.answers
        self.answers += 1
        row = np.concatenate([values, flags]).astype(np.float32)
        values = row[: self.features]  # rounded as the rows are that the cells were set by, or equal values would not be
        if at >= self.settings.warmup:
            self.recent[at % RECENT_ANSWERS] = row
            self.bank.bet(values)
            self.rates.bet(self.rates.turn(flags))
            self.direction.bet(np.concatenate([values[: self.texts], sketched]))
            return
        self.rows[at] = row
        self.sketches[at] = sketched
        if at >= self.settings.first:
            self.bank.count(values)
        elif self.answers == self.settings.first:
            self.bank = Bank(self.rows[: self.answers, : self.features])
            own = self.bank.index < self.outputs
            self.shares = FEATURES_SHARE / max(1, own.sum()) * own
        if self.answers == self.settings.warmup:
            self._finish()

    def _finish(self) -> None:
        known = ~np.isnan(self.rows)
        self.means = np.where(known, self.rows, 0).sum(axis=0) / np.maximum(1, known.sum(axis=0))
        deviations = np.sqrt(np.where(known, (self.rows - self.means) ** 2, 0).sum(axis=0) / np.maximum(1, known.sum(axis=0)))
        self.deviations = np.maximum(deviations, _LEAST_DEVIATION)
        times = estimate_times(self.rows[:, self.bank.index])
        least = float(np.quantile(times, _BURSTY_SHARE))
        self.bank.powers = 1 / np.maximum(times, least)[:, None]
        self.rates = Rates(self.rows[:, self.features :] > 0, self.weights)
        turned = np.array([self.rates.turn(row > 0) for row in self.rows[:, self.features :]])
        self.rates.powers = 1 / estimate_times(turned.astype(float))[:, None]
        self.rates.lay_out()
        sketched = np.concatenate([self.rows[:, : self.texts], self.sketches], axis=1)
        self.direction = Direction(sketched, self.texts, least)
        self.recent = np.zeros((RECENT_ANSWERS, self.rows.shape[1]), np.float16)
        self.rows, self.sketches = self.rows[:0].copy(), self.sketches[:0].copy()  # a mere slice would keep all of it

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

    def evidence(self) -> tuple[float, float]:
        """The evidence by theory and the calibrated one, 0 while learning."""
        if self.direction is None:
            return 0.0, 0.0
        shared = self.bank.weigh(self.shares) + FLAGS_SHARE * float(self.rates.weights @ self.rates.evidence())
        paid, bare = (DIRECTION_SHARE * self.direction.evidence()).tolist()
        return shared + paid, shared + bare

    def clear(self) -> None:
        """Forgets the evidence, keeps the baseline."""
        for each in (self.bank, self.rates, self.direction):
            each.sums[:] = 0

    def find_start(self) -> int:
        """The answer at which the strongest evidence began."""
        number = min(self.answers - self.settings.warmup, RECENT_ANSWERS)
        rows = self.recent[(self.answers - 1 - np.arange(number)) % RECENT_ANSWERS].astype(np.float32)
        if self.is_spread():
            steps = self.direction.rate(rows[:, : self.texts])
        else:
            features, flags = self.weigh_features(), self.weigh_flags()[:-1]
            column = self.bank.index[features.argmax()] if features.max() > flags.max() else self.features + flags.argmax()
            steps = np.nan_to_num((rows[:, column] - self.means[column]) / self.deviations[column])
        steps = steps.clip(-_MOST_STEP, _MOST_STEP)
        # The largest sum of the newest steps, up or down, less a quarter of a deviation each (CUSUM; Page 1954).
        ends = [np.cumsum(side * steps - _SLACK) for side in (1, -1)]
        return self.answers - int(max(ends, key=np.max).argmax())

    def weigh_spread(self) -> float:
        """The direction's part of the evidence."""
        return DIRECTION_SHARE * float(self.direction.evidence().max())

    def is_spread(self) -> bool:
        """Whether the evidence is of many small moves together rather than of one feature or flag."""
        return self.weigh_spread() > max(self.weigh_features().max(), self.weigh_flags().max())

    def average_since(self, began: int) -> np.ndarray:
        """The mean of each feature and flag over the last answers since `began`, not before the watch and at most RECENT_ANSWERS of them."""
        number = min(self.answers - max(began, self.settings.warmup + 1) + 1, RECENT_ANSWERS)
        places = (self.answers - 1 - np.arange(number)) % RECENT_ANSWERS
        rows = self.recent[places].astype(float)
        known = ~np.isnan(rows)
        return np.where(known, rows, 0).sum(axis=0) / np.maximum(1, known.sum(axis=0))
