"""The baseline: what one stream of vectors and flags usually is, learned from its first answers, and the evidence that it is so no more."""

from __future__ import annotations

import numpy as np

from evaluators.drift.bank import Bank
from evaluators.drift.rates import Rates
from evaluators.drift.settings import Settings
from evaluators.drift.tempering import estimate_times

FEATURES_SHARE = 0.6
RECENT_ANSWERS = 64


class Baseline:
    """First `first` rows are gathered, then counted; from `warmup` on they are bet on.

    `rows` holds the warm-up in its order until the bursts are known; `recent` the last answers since; `means` of all of the warm-up.
    """

    def __init__(self, settings: Settings, features: int, flags: int) -> None:
        self.settings = settings
        self.features = features
        self.answers = 0
        self.rows = np.zeros((settings.warmup, features + flags), np.float32)
        self.recent = np.zeros((RECENT_ANSWERS, features + flags), np.float32)
        self.means = np.zeros(features + flags)
        self.bank: Bank | None = None
        self.rates: Rates | None = None

    def update(self, values: np.ndarray, flags: np.ndarray) -> float:
        """Takes one answer in; returns the evidence, 0 while learning."""
        at = self.answers
        self.answers += 1
        row = np.concatenate([values, flags])
        if at >= self.settings.warmup:
            self.recent[at % RECENT_ANSWERS] = row
            self.bank.bet(values, self.answers)
            self.rates.bet(self.rates.turn(flags), self.answers)
            return self.evidence()
        self.rows[at] = row
        if at >= self.settings.first:
            self.bank.count(values)
            self.rates.count(self.rates.turn(flags))
        elif self.answers == self.settings.first:
            first = self.rows[: self.answers]
            self.bank = Bank(first[:, : self.features].astype(float))
            self.rates = Rates(first[:, self.features :] > 0)
        if self.answers == self.settings.warmup:
            self._finish()
        return 0.0

    def _finish(self) -> None:
        known = ~np.isnan(self.rows)
        self.means = np.where(known, self.rows, 0).sum(axis=0) / np.maximum(1, known.sum(axis=0))
        self.bank.powers = 1 / estimate_times(self.rows[:, : self.features])[:, None]
        turned = np.array([self.rates.turn(row > 0) for row in self.rows[:, self.features :]])
        self.rates.powers = 1 / estimate_times(turned.astype(float))[:, None]
        self.rows = self.rows[:0]

    def weigh_features(self) -> np.ndarray:
        """Each feature's part of the evidence."""
        return FEATURES_SHARE / max(1, self.bank.known.sum()) * self.bank.evidence()

    def weigh_flags(self) -> np.ndarray:
        """Each flag's part of the evidence, the pooled flag last."""
        return (1 - FEATURES_SHARE) * self.rates.weights * self.rates.evidence()

    def evidence(self) -> float:
        return float(self.weigh_features().sum() + self.weigh_flags().sum())

    def clear(self) -> None:
        """Forgets the evidence, keeps the baseline."""
        self.bank.sums[:] = 0
        self.rates.sums[:] = 0

    def find_start(self) -> int:
        """The answer at which the strongest evidence began."""
        parts = np.concatenate([self.weigh_features(), self.weigh_flags()])
        sums = [*self.bank.sums, *self.rates.sums]
        starts = [*self.bank.starts, *self.rates.starts]
        most = int(parts.argmax())
        return int(starts[most][sums[most].argmax()])

    def average_since(self, began: int) -> np.ndarray:
        """The mean of each feature and flag over the last answers since `began`, not before the watch and at most RECENT_ANSWERS of them."""
        number = min(self.answers - max(began, self.settings.warmup + 1) + 1, RECENT_ANSWERS)
        places = (self.answers - 1 - np.arange(number)) % RECENT_ANSWERS
        rows = self.recent[places]
        known = ~np.isnan(rows)
        return np.where(known, rows, 0).sum(axis=0) / np.maximum(1, known.sum(axis=0))
