"""Cells: the finest things that are counted, found by their ids, and the sums over rolling windows.

An id is `<budget>.<unit>@<window>?<dimension>=<value>&…`, its dimensions and values percent-encoded, and can be read back. All cells of one
budget, unit and window are a page: a page whose window is past goes as a whole, when nothing in it is reserved any more.
The pages of a rolling window, one a bucket, are a family; it keeps the sum of every account over the buckets that count.
"""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote, unquote

import msgspec

from proxy.toll.terms import UNITS, Unit
from proxy.toll.windows import Windows, read_name

_EVERY_BUCKET = -(1 << 62)


class CellName(msgspec.Struct, frozen=True):
    """What a cell's id says."""

    budget: str
    unit: Unit
    window: str
    scope: dict[str, str]  # dimension → name


def write_scope(scope: dict[str, str]) -> str:
    """The end of a cell's id: `?agent=researcher&model=gpt-4o`; empty without dimensions."""
    return "?" + "&".join(f"{_encode(dimension)}={_encode(name)}" for dimension, name in scope.items()) if scope else ""


def _encode(text: str) -> str:
    return quote(text, safe="", errors="replace")


def read_scope(text: str) -> dict[str, str]:
    """The dimensions and names of the end of a cell's id. Raises ValueError."""
    pairs = (pair.partition("=") for pair in text[1:].split("&")) if text else ()
    return {unquote(dimension): unquote(name) for dimension, _, name in pairs}


def write_cell_id(name: CellName) -> str:
    """The id of a cell."""
    return f"{name.budget}.{name.unit}@{name.window}{write_scope(name.scope)}"


def read_cell_id(id: str) -> CellName:
    """What a cell's id says. Raises ValueError for what is none."""
    prefix, mark, scope = id.partition("?")
    budget, unit, window = read_prefix(prefix)
    read_name(window)
    return CellName(budget, unit, window, read_scope(mark + scope))


def counts_at(id: str, now_ns: int) -> bool:
    """Whether a cell's window may still matter at a moment. Raises ValueError for what is no cell."""
    kept_until_ns = read_name(read_cell_id(id).window).kept_until_ns
    return kept_until_ns is None or kept_until_ns > now_ns


def read_prefix(prefix: str) -> tuple[str, Unit, str]:
    """(budget, unit, window) of the part of a cell's id before its scope. Raises ValueError."""
    head, at, window = prefix.partition("@")
    budget, dot, unit = head.rpartition(".")
    if not at or not dot or not budget or unit not in UNITS:
        raise ValueError(f"no cell: {prefix}")
    return budget, unit, window  # type: ignore[return-value]


class Series:
    """The sum of an account over the buckets of a rolling window that count."""

    __slots__ = ("cells", "reserved", "spent")

    def __init__(self) -> None:
        self.spent = 0
        self.reserved = 0
        self.cells = 0  # in all buckets, also in those that do not count any more


class Cell:
    """One thing that is counted: an integer amount that is spent, and one that is reserved."""

    __slots__ = ("id", "reserved", "series", "spent", "unit")

    def __init__(self, id: str, unit: int) -> None:
        self.id = id
        self.unit = unit  # its place in UNITS
        self.spent = 0
        self.reserved = 0
        self.series: Series | None = None  # None: no rolling window, or a bucket of one that does not count any more

    def add(self, spent: int, reserved: int) -> None:
        """Change both amounts."""
        self.spent += spent
        self.reserved += reserved
        series = self.series
        if series is not None:
            series.spent += spent
            series.reserved += reserved


class Family:
    """The buckets of a rolling window of one budget and unit."""

    __slots__ = ("first_live", "pages", "series", "windows")

    def __init__(self, per: str) -> None:
        self.windows = Windows(per)
        self.first_live = _EVERY_BUCKET
        self.pages: dict[int, Page] = {}
        self.series: dict[str, Series] = {}

    def advance(self, now_ns: int) -> None:
        """Let only the buckets count that do at this moment; they come back where the clock was set back."""
        first = self.windows.first_live(now_ns)
        if first == self.first_live:
            return
        self.first_live = first
        for page in self.pages.values():
            if page.is_live != (page.bucket >= first):
                page.is_live = not page.is_live
                for scope, cell in page.cells.items():
                    self._count(cell, self.series[scope], page.is_live)

    def _count(self, cell: Cell, series: Series, is_live: bool) -> None:
        sign = 1 if is_live else -1
        series.spent += sign * cell.spent
        series.reserved += sign * cell.reserved
        cell.series = series if is_live else None

    def join(self, scope: str, cell: Cell, is_live: bool) -> None:
        """Take a new cell into its account's sum."""
        series = self.series.get(scope)
        if series is None:
            series = self.series[scope] = Series()
        series.cells += 1
        cell.series = series if is_live else None

    def drop(self, page: Page) -> None:
        """Forget a page."""
        del self.pages[page.bucket]
        for scope, cell in page.cells.items():
            series = self.series[scope]
            if cell.series is not None:
                self._count(cell, series, False)
            series.cells -= 1
            if not series.cells:
                del self.series[scope]


class Page:
    """The cells of one budget, unit and window, by the scope in their ids."""

    __slots__ = ("bucket", "budget", "cells", "family", "is_live", "kept_until_ns", "per", "prefix", "unit", "window")

    def __init__(self, prefix: str, families: dict[str, Family]) -> None:
        self.prefix = prefix
        self.budget, self.unit, self.window = read_prefix(prefix)
        named = read_name(self.window)
        self.kept_until_ns = named.kept_until_ns
        self.per = named.per
        self.bucket = 0
        self.cells: dict[str, Cell] = {}
        self.family: Family | None = None
        self.is_live = True
        if named.bucket is not None:
            self.bucket = named.bucket
            key = prefix.rpartition(":")[0]
            family = families.get(key)
            if family is None:
                family = families[key] = Family(named.per)
            self.family = family
            self.is_live = named.bucket >= family.first_live
            family.pages[named.bucket] = self

    def take(self, scope: str) -> Cell:
        """The cell of a scope; made where there is none."""
        cell = self.cells.get(scope)
        if cell is None:
            cell = self.cells[scope] = Cell(self.prefix + scope, UNITS.index(self.unit))
            if self.family is not None:
                self.family.join(scope, cell, self.is_live)
        return cell


class Cells:
    """All cells of a ledger."""

    def __init__(self) -> None:
        self.pages: dict[str, Page] = {}
        self.families: dict[str, Family] = {}  # `<budget>.<unit>@<per>` → its buckets

    def __iter__(self) -> Iterator[Cell]:
        return (cell for page in self.pages.values() for cell in page.cells.values())

    def find(self, id: str) -> Cell:
        """The cell of an id; made where there is none. Raises ValueError for what is no id."""
        prefix, mark, scope = id.partition("?")
        return self.take(prefix, mark + scope)

    def take(self, prefix: str, scope: str) -> Cell:
        """The cell of an id in two parts; made where there is none."""
        page = self.pages.get(prefix)
        if page is None:
            page = self.pages[prefix] = Page(prefix, self.families)
        return page.take(scope)

    def write_kept(self, id: str) -> str:
        """The Unix second from which a cell may be forgotten; `-` where that is never."""
        page = self.pages.get(id.partition("?")[0])
        return "-" if page is None or page.kept_until_ns is None else str(page.kept_until_ns // 1_000_000_000 + 1)

    def advance(self, family: str, now_ns: int) -> None:
        """Let the sums of a family be those of this moment."""
        if known := self.families.get(family):
            known.advance(now_ns)

    def drop_scopes(self, budget: str, keep: frozenset[str]) -> None:
        """Forget the accounts of a budget in which nothing is reserved, but for the scopes to keep. Not for rolling windows."""
        for page in self.pages.values():
            if page.budget == budget and page.family is None:
                for scope in [scope for scope, cell in page.cells.items() if scope not in keep and not cell.reserved]:
                    del page.cells[scope]

    def sweep(self, now_ns: int) -> bool:
        """Forget the pages of windows long past in which nothing is reserved. Whether there were any."""
        past = [page for page in self.pages.values() if page.kept_until_ns is not None and page.kept_until_ns <= now_ns]
        past = [page for page in past if not any(cell.reserved for cell in page.cells.values())]
        for page in past:
            del self.pages[page.prefix]
            if page.family is not None:
                page.family.drop(page)
        for family in self.families.values():
            family.advance(now_ns)
        return bool(past)
