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
*E-detectors*, arXiv 2203.03532, definition 2.2 and theorem 2.4), whose mean while nothing changes is t.
Any weighted mean of e-detectors is one; stopped at 1/alpha its average run length is at least 1/alpha.

What it takes: the values of a stream, given which cells the first ones made, are exchangeable while nothing changes.
Bursts and trends break that; `tempering` says what is done about it.
A feature with ties (a rate that is mostly zero) differs from a continuous one by at most one part in n + 1 of its chance, and n grows.
"""

from __future__ import annotations

import numpy as np

from evaluators.drift import bets

CELLS = 16


class Bank:
    """The state of each feature's e-detector; `sums` is features by bets, `starts` the answer at which each sum last stood near nothing."""

    def __init__(self, first: np.ndarray) -> None:
        """`first` are the answers (rows) that set the cells; not a number means not known."""
        filled = np.where(np.isnan(first), -np.inf, first)
        features = first.shape[1]
        self.edges = np.full((features, CELLS + 1), np.inf)
        self.counts = np.zeros((features, CELLS + 2))
        self.known = ~np.isnan(first).all(axis=0)
        for index in np.flatnonzero(self.known):
            values = filled[:, index][np.isfinite(filled[:, index])]
            inner = np.quantile(values, np.arange(1, CELLS) / CELLS, method="lower")
            self.edges[index] = [np.nextafter(values.min(), -np.inf), *inner, values.max()]
            cells = np.bincount(np.searchsorted(self.edges[index], values), minlength=CELLS + 2)
            # Spacings, not values: one below the least value and one above the greatest; the least value itself bounds both of its sides.
            cells[[0, -1]] += 1
            cells[np.searchsorted(self.edges[index], values.min())] -= 1
            self.counts[index] = cells
        self.sums = np.zeros((features, len(bets.DENSITIES)))
        self.starts = np.zeros((features, len(bets.DENSITIES)), np.int64)
        self.powers = np.ones((features, 1))

    def count(self, values: np.ndarray) -> np.ndarray:
        """Each value's e-values (features by bets), and takes the values into the reference; a value not known says nothing."""
        seen = np.flatnonzero(~np.isnan(values) & self.known)
        cell = (values[seen, None] > self.edges[seen]).sum(axis=1)
        upto = np.cumsum(self.counts[seen], axis=1)
        rows = np.arange(len(seen))
        total = upto[:, -1]
        here = upto[rows, cell]
        own = self.counts[seen, cell]
        factors = np.ones_like(self.sums)
        taken = own > 0
        low, high = 1 - here / total, 1 - (here - own) / total
        factors[seen[taken]] = bets.average(low[taken].clip(0, 1), high[taken].clip(0, 1))
        self.counts[seen, cell] += 1
        return factors

    def bet(self, values: np.ndarray, at: int) -> None:
        """Plays the bets on the values of answer number `at`."""
        factors = self.count(values) ** self.powers
        self.starts[self.sums < 1] = at
        self.sums += 1
        self.sums *= factors

    def evidence(self) -> np.ndarray:
        """The mean over the bets of each feature's sums; while nothing changes its mean is the number of answers watched."""
        return self.sums.mean(axis=1)
