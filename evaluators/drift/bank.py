"""The bank: one conformal e-detector for each feature, every one exact by itself.

How a feature is judged.
The first answers of a stream set the cells: the edges are quantiles of the values seen there, and never move again.
Each later value falls into a cell; the answers before it say how likely that was.
For a value of a continuous feature that is exchangeable with the n values before it, the chance to fall into a cell, given every cell
before, is exactly (spacings of the first values in that cell + later values in it) / (n + 1): Polya's urn.
So the cell is an interval of the conformal p-value (Vovk, Gammerman and Shafer, *Algorithmic Learning in a Random World*, 2nd ed. 2022,
chapter 8), a bet's mean over it is an e-value, and its product over time is a martingale.

How they are summed.
M_t = (M_{t-1} + 1) e_t is the Shiryaev-Roberts sum over every possible time of change: an e-detector (Shin, Ramdas and Rinaldo,
*E-detectors*, arXiv 2203.03532), as M_t - t is a martingale; stopped when it first reaches 1/alpha, its average run length is at least 1/alpha.
A weighted mean of e-detectors is one too.

What that takes, and where it bends:
- The answers of a stream, given the first ones, are exchangeable while nothing changes.
  Bursts and trends break that; `tempering` says what is done about bursts, and a trend is a change.
- A feature by itself: exact for continuous values.
  One with ties (a rate that is mostly zero) differs by at most one part in n + 1 of its chance, and n grows.
- All features in one mean: at every fixed time its mean is exactly t.
  For the time of an alarm the step from one to all needs that a feature's next cell is no more predictable from the other features' past than
  from its own; with a reference of n answers it is by an error of order 1/sqrt(n), with mean zero.
- Nothing here is fitted to a benchmark's threshold: an alarm is M >= 1/alpha.
"""

from __future__ import annotations

import numpy as np

from evaluators.drift import bets, sums

CELLS = 16
MOST_UNKNOWN = 0.5
MOST_ROWS = 255  # that are played at once: as far as a byte counts


class Bank:
    """The state of each known feature's e-detector.

    `upto` says for each edge (edges by features) how many spacings and values stand at or below it; `sums` is features by bets; `powers`
    what tempering leaves of a bet.
    """

    def __init__(self, first: np.ndarray) -> None:
        """`first` are the answers (rows) that set the cells; not a number means not known, and a feature mostly not known is left out."""
        self.index = np.flatnonzero(np.isnan(first).mean(axis=0) <= MOST_UNKNOWN)
        features = len(self.index)
        self.edges = np.empty((CELLS + 3, features), np.float32)
        self.upto = np.empty((CELLS + 3, features))
        for place, column in enumerate(first[:, self.index].T):
            values = column[~np.isnan(column)]
            least, most = values.min(), values.max()
            inner = np.quantile(values, np.arange(1, CELLS) / CELLS, method="lower")
            self.edges[:, place] = [-np.inf, np.nextafter(least, np.float32(-np.inf)), *inner, most, np.inf]
            # Spacings, not values: n values make n + 1, one of them below the least value and one above the greatest.
            self.upto[:, place] = np.searchsorted(np.sort(values), self.edges[:, place], side="right")
            self.upto[1, place] = 1
            self.upto[-1, place] += 1
        self.sums = np.zeros((features, len(bets.DENSITIES)))
        self.powers = np.ones((features, 1))

    def count(self, rows: np.ndarray) -> None:
        """Takes answers into the reference without a bet on them."""
        for row in rows:
            self.upto += row[self.index] <= self.edges  # what is not a number is below nothing

    def weigh(self, rows: np.ndarray) -> np.ndarray:
        """Each value's e-values, answers by known features by bets; each row is judged by those before it, and all are taken into the reference.

        A value not known says nothing.
        """
        values = rows[:, self.index]
        below = (values[:, None] <= self.edges).view(np.uint8)
        cells = len(self.edges) - below.sum(axis=1, dtype=np.uint8).astype(np.intp)
        missing = np.isnan(values)
        cells[missing] = 1
        # Of the rows themselves, how many before each one stand at or below each edge.
        earlier = np.zeros((len(rows) + 1, self.upto.size), np.uint8)
        earlier[1:] = below.reshape(len(rows), -1)
        reach = 1
        while reach < len(rows):  # prefix sums in steps that double (Hillis and Steele 1986)
            earlier[reach + 1 :] += earlier[1:-reach]
            reach *= 2
        places = cells * len(self.index) + np.arange(len(self.index))
        among = places + np.arange(len(rows))[:, None] * self.upto.size
        high = self.upto.take(places) + earlier.take(among)
        low = self.upto.take(places - len(self.index)) + earlier.take(among - len(self.index))
        total = self.upto[-1] + earlier[:-1, -len(self.index) :]
        self.upto += earlier[-1].reshape(self.upto.shape)
        factors = bets.average((1 - high / total).ravel(), (1 - low / total).ravel()).reshape(*values.shape, -1)
        if len(tempered := np.flatnonzero(self.powers[:, 0] < 1)):
            factors[:, tempered] **= self.powers[tempered]
        factors[missing] = 1.0
        return factors

    def bet(self, rows: np.ndarray, shares: np.ndarray) -> np.ndarray:
        """Plays the bets on at most MOST_ROWS answers in their order: the evidence after each of them, of all known features by their shares."""
        trail = sums.run(self.sums, self.weigh(rows))
        self.sums = trail[-1].copy()
        parts = np.repeat(shares / self.sums.shape[1], self.sums.shape[1])
        return trail.reshape(len(rows), -1) @ parts

    def evidence(self) -> np.ndarray:
        """The mean over the bets of each known feature's sums; while nothing changes its mean is the number of answers watched."""
        return self.sums.mean(axis=1)
