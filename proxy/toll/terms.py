"""The words of the toll: what is weighed, what a ledger answers, and how an account stands.

A *cell* is the finest thing that is counted: one unit of one budget, for one value of its dimensions, in one window. Its id is text that
says all of that (`agent-day.usd@2026-11-21?agent=researcher`), so that a journal line can be read by itself. Amounts
are integers in the cell's unit: nano-USD, tokens or calls.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Unit = Literal["usd", "tokens", "calls"]
UNITS: tuple[Unit, ...] = ("usd", "tokens", "calls")


class Weight(msgspec.Struct, frozen=True, gc=False):
    """What a call takes, or is reserved, in every unit. `nano_usd` is None where the price is unknown."""

    nano_usd: int | None = 0
    tokens: int = 0
    calls: int = 1


class Grant(msgspec.Struct, frozen=True, gc=False):
    """A reservation was made in every cell that the call concerns."""

    reserved: dict[str, int]
    warnings: tuple[str, ...] = ()  # `agent-day 80%`: budgets of mode warn (and enforce) that have passed 50, 80 or 100 %
    observed: str | None = None  # the budget of mode observe or warn that would have refused


class Shortage(msgspec.Struct, frozen=True, gc=False):
    """No reservation was made in any cell: this budget has not enough left."""

    budget: str
    mode: str
    unit: Unit
    scope: dict[str, str]  # dimension → name
    limit: int
    spent: int
    reserved: int
    asked: int
    resets_at_ns: int | None  # when the window ends, or enough of a rolling one has passed; None: never
    busy: bool  # it would fit if nothing were reserved: waiting for running calls may help

    @property
    def room(self) -> int:
        """What could be reserved now."""
        return max(0, self.limit - self.spent - self.reserved)


class Away(msgspec.Struct, frozen=True, gc=False):
    """No reservation was made in any cell: the ledger that several data planes share does not answer."""

    reason: str  # silent | closed | disconnected: it did not answer in time; it waits for all planes to announce themselves; no connection
    retry_after_s: float


class Room(msgspec.Struct, frozen=True, gc=False):
    """What could be reserved now over all accounts that may refuse the call; None: nothing bounds it."""

    nano_usd: int | None = None
    tokens: int | None = None


class Balance(msgspec.Struct, frozen=True, kw_only=True):
    """How one account stands."""

    budget: str
    unit: Unit
    mode: str
    per: str
    scope: dict[str, str]
    limit: int | None  # None: the budget is gone from the config, or the task has none any more
    spent: int
    reserved: int
    starts_ns: int | None  # of the window; None: lifetime
    resets_at_ns: int | None
