"""The state of a ledger as the fold of the journal: cells, running calls and what each has reserved.

Every change that the live ledger makes is written as a line (`opened`, `extended`, `call`, `correction`); the `fold_*` functions
make the same state of those lines again. A reservation is never given back by time: after a crash it is presumed spent.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from proxy.toll.account import Slot
from proxy.toll.cells import Cell, Cells
from proxy.toll.terms import Weight

_MOST_DONE = 10_000


def _ignore(adjusted: dict[str, int]) -> None:
    """Nobody else counts."""


class Reservation:
    """What one running call has reserved."""

    __slots__ = ("amounts", "covered", "slots")

    def __init__(self, amounts: dict[Cell, int], slots: list[Slot], covered: Weight) -> None:
        self.amounts = amounts
        self.slots = slots  # none where it was read back from the journal
        self.covered = covered  # the estimate and all extensions


class Fold:
    """Cells and the calls that have something reserved in them. Belongs to one thread."""

    def __init__(self) -> None:
        self.cells = Cells()
        self._open: dict[str, Reservation] = {}
        self._done: dict[str, None] = {}  # calls folded lately: a line that is read twice counts once
        self.adjusted: Callable[[dict[str, int]], None] = _ignore  # told of every correction that was folded

    @property
    def open_ids(self) -> list[str]:
        """The calls that have something reserved."""
        return list(self._open)

    @property
    def has_open(self) -> bool:
        """Whether any call has something reserved."""
        return bool(self._open)

    def is_running(self, id: str) -> bool:
        """Whether a call has something reserved."""
        return id in self._open

    def settle(self, id: str, actual: Weight | None) -> dict[str, int]:
        """End a call's reservation and charge it: cell → what was charged, zeros included. Nothing the second time.

        `actual` None, and a unit of it that is unknown (None) or negative, charges what was reserved.
        """
        reservation = self._close(id)
        if reservation is None:
            return {}
        charged = {}
        for cell, amount in reservation.amounts.items():
            taken = amount
            if actual is not None:
                taken = actual.nano_usd if cell.unit == 0 else actual.tokens if cell.unit == 1 else actual.calls
                if taken is None or taken < 0:
                    taken = amount
            self._charge(cell, amount, taken)
            charged[cell.id] = taken
        return charged

    def rename(self, id: str, other: str) -> None:
        """What a call has reserved is to be settled under another id."""
        reservation = self._open.pop(id, None)
        if reservation is not None:
            self._open[other] = reservation

    def reserved_of(self, id: str) -> dict[str, int]:
        """What a running call has reserved."""
        reservation = self._open.get(id)
        return {} if reservation is None else {cell.id: amount for cell, amount in reservation.amounts.items()}

    def _take(self, cell: Cell, amount: int) -> None:
        """Reserve in one cell."""
        cell.reserved += amount
        if cell.series is not None:
            cell.series.reserved += amount

    def _charge(self, cell: Cell, reserved: int, spent: int) -> None:
        """End a reservation in one cell and charge it."""
        cell.spent += spent
        cell.reserved -= reserved
        series = cell.series
        if series is not None:
            series.spent += spent
            series.reserved -= reserved

    def _close(self, id: str) -> Reservation | None:
        """Take a call's reservation out of those that run."""
        return self._open.pop(id, None)

    def fold_opened(self, id: str, reserved: dict[str, int]) -> None:
        """An `opened` line. Raises ValueError for a cell that is none."""
        if id not in self._open and id not in self._done and reserved:
            amounts = {self.cells.find(cell): amount for cell, amount in reserved.items()}
            for cell, amount in amounts.items():
                self._take(cell, amount)
            self._open[id] = Reservation(amounts, [], Weight(0, 0, 0))

    def fold_extended(self, id: str, reserved: dict[str, int]) -> None:
        """An `extended` line: the new whole. Raises ValueError for a cell that is none."""
        reservation = self._open.get(id)
        if reservation is None:
            self.fold_opened(id, reserved)
            return
        for cell, amount in [(self.cells.find(cell), amount) for cell, amount in reserved.items()]:
            self._take(cell, amount - reservation.amounts.get(cell, 0))
            reservation.amounts[cell] = amount

    def fold_settled(self, id: str, charged: dict[str, int]) -> None:
        """A `call` line: charged even where its `opened` line was lost. Raises ValueError for a cell that is none."""
        cells = {self.cells.find(cell): amount for cell, amount in charged.items()}
        reservation = self._open.get(id)
        if reservation is None and (id in self._done or not cells):
            return
        amounts = self._open.pop(id).amounts if reservation is not None else {}
        for cell in amounts | cells:
            self._charge(cell, amounts.get(cell, 0), cells.get(cell, 0))
        self._note_done(id)

    def fold_adjusted(self, adjusted: dict[str, int]) -> None:
        """A `correction` line: what is added to what was charged. Counts each time. Raises ValueError for a cell that is none."""
        for cell, amount in [(self.cells.find(cell), amount) for cell, amount in adjusted.items()]:
            cell.add(amount, 0)
        self.adjusted(adjusted)

    def presume(self) -> None:
        """After a crash: whatever is reserved was spent."""
        for id, reservation in self._open.items():
            for cell, amount in reservation.amounts.items():
                self._charge(cell, amount, amount)
            self._note_done(id)
        self._open = {}

    def _note_done(self, id: str) -> None:
        self._done[id] = None
        if len(self._done) > _MOST_DONE:
            del self._done[next(iter(self._done))]

    def checkpoint(self) -> dict[str, Any]:
        """The state as it is written into the journal: cells (id → [spent, reserved]) and running calls (id → cell → reserved)."""
        cells = {cell.id: [cell.spent, cell.reserved] for cell in self.cells if cell.spent or cell.reserved}
        return {"cells": cells, "open": {id: self.reserved_of(id) for id in self._open}}

    def restore(self, checkpoint: dict[str, Any]) -> None:
        """Take the state of a checkpoint for the whole truth. Raises ValueError for a cell that is none."""
        cells = Cells()
        for id, (spent, reserved) in checkpoint["cells"].items():
            cells.find(id).add(spent, reserved)
        self._open = {
            id: Reservation({cells.find(cell): amount for cell, amount in amounts.items()}, [], Weight(0, 0, 0))
            for id, amounts in checkpoint["open"].items()
        }
        self._done = {}
        self.cells.pages, self.cells.families = cells.pages, cells.families  # rules hold on to `self.cells`
