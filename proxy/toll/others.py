"""What the other data planes have spent and reserved, as this one last heard of it.

It serves where the arbiter cannot be asked, and it is said to the arbiter when that has lost its memory: for a plane that is away just then.
"""

from __future__ import annotations

from collections.abc import Iterator

from proxy.toll.account import Slot
from proxy.toll.cells import Cells
from proxy.toll.terms import UNITS


class Others:
    """Amounts of other planes, and their sums. Belongs to one thread."""

    def __init__(self) -> None:
        self.cells = Cells()  # the sums over all other planes
        self._planes: dict[str, dict[str, tuple[int, int]]] = {}

    def hear(self, plane: str, cell: str, spent: int, reserved: int) -> None:
        """The new amounts of one cell of another plane. Raises ValueError for a cell that is none."""
        known = self._planes.setdefault(plane, {})
        old_spent, old_reserved = known.get(cell, (0, 0))
        self.cells.find(cell).add(spent - old_spent, reserved - old_reserved)
        if spent or reserved:
            known[cell] = (spent, reserved)
        else:
            known.pop(cell, None)

    def sum_of(self, slot: Slot, now_ns: int) -> tuple[int, int]:
        """(spent, reserved) of all other planes in the account that a slot is of; over the buckets that count, where its window rolls."""
        window, mark, scope = slot.cell.id.partition("?")
        if slot.cell.series is None:
            page = self.cells.pages.get(window)
            found = None if page is None else page.cells.get(mark + scope)
        else:
            family = f"{slot.rule.name}.{UNITS[slot.unit]}@{slot.rule.windows.per}"
            self.cells.advance(family, now_ns)
            found = self.cells.families[family].series.get(mark + scope) if family in self.cells.families else None
        return (0, 0) if found is None else (found.spent, found.reserved)

    def list_planes(self) -> Iterator[tuple[str, dict[str, tuple[int, int]]]]:
        """(plane, cell → (spent, reserved)) of all planes that were heard of."""
        return iter(self._planes.items())

    def sweep(self, now_ns: int) -> None:
        """Forget windows long past in which nothing is reserved."""
        if self.cells.sweep(now_ns):
            pages = self.cells.pages
            for plane, known in self._planes.items():
                self._planes[plane] = {cell: amounts for cell, amounts in known.items() if cell.partition("?")[0] in pages}


def name_account(slot: Slot) -> str:
    """The name of the account that a slot is of: a cell's id, of rolling windows without the bucket."""
    if slot.cell.series is None:
        return slot.cell.id
    window, mark, scope = slot.cell.id.partition("?")
    return window.rpartition(":")[0] + mark + scope
