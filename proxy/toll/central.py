"""The ledger of a data plane that shares its budgets with others: every reservation is decided by the arbiter, over all planes together.

This plane's own `Ledger` holds what its own calls have spent and reserved, as its journal says; the arbiter adds it up with that of
the other planes. A call waits for one answer when it reserves; settling is told, and nobody waits. What no budget could refuse is
not asked for either.

Where the arbiter cannot be asked, `away: refuse` lets nothing through that a budget must hold for, and `away: share` goes on with a
share of what was left when it last answered: at most so much over a limit for each plane that is cut off while others are not.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

from proxy import rules
from proxy.toll.account import UNLIMITED, Standing
from proxy.toll.arbiter import Arbiter
from proxy.toll.balances import list_balances
from proxy.toll.cells import Cells, counts_at
from proxy.toll.ledger import Ledger
from proxy.toll.others import name_account
from proxy.toll.question import Claims, Question, stand, write_claims
from proxy.toll.shortage import find_room, find_shortage
from proxy.toll.subject import Subject
from proxy.toll.talk import Answer, Telephone, line_of
from proxy.toll.terms import Away, Balance, Grant, Room, Shortage, Weight

log = logging.getLogger("weighbridge.ledger")
_NONE: frozenset[str] = frozenset()
_NOTHING = Weight(0, 0, 0)


class Central:
    """A `Ledger` whose decisions are made for several data planes. Belongs to one event loop.

    `recalled` is given where this plane's journal is lost: what Redis knows of it is taken over, as the reservation of one call that never
    ends, and `recalled` is to write that down (id, cell → amount). Raises `proxy.toll.talk.RedisMissing` where the extra is not installed.
    """

    def __init__(
        self, ledger: Ledger, settings: rules.Ledger, url: str, plane: str, clock: Callable[[], int] = time.monotonic_ns,
        recalled: Callable[[str, dict[str, int]], None] | None = None,
    ) -> None:  # fmt: skip
        self.ledger = ledger
        self.late = 0  # grants that came too late and were given back
        self._settings = settings
        plane = quote(plane, safe="")
        self._arbiter = Arbiter(Telephone(url, plane), plane, settings.timeout_s, self._list_lines, clock)
        if recalled is not None:
            self._arbiter.recalled = self._take_over
        self._note_recalled = recalled
        self._bases: dict[str, int] = {}  # while away: account → what this plane had spent and reserved when it first needed it
        ledger.adjusted = self._tell_adjusted

    async def start(self, wait_s: float = 3.0) -> None:
        """Begin to talk with Redis; returns when it decides, or after `wait_s` when it does not yet."""
        await self._arbiter.start(wait_s)

    async def stop(self, wait_s: float = 1.0) -> None:
        """Tell what is still to be told, `wait_s` at most, and end the talk."""
        await self._arbiter.stop(wait_s)

    @property
    def is_away(self) -> bool:
        """Whether Redis cannot be asked now."""
        return not self._arbiter.is_open

    @property
    def counts(self) -> dict[str, int]:
        """Since the start: decisions that did not come in time, grants given back, conversations begun, broken off by a namesake, by a defect."""
        one = self._arbiter
        return {"timeouts": one.timeouts, "late": self.late, "conversations": one.conversations, "fenced": one.fenced, "defects": one.defects}

    # --- a call -----------------------------------------------------------------------------------------------------

    async def reserve(
        self, id: str, subject: Subject, estimate: Weight, bound: Weight | None, now_ns: int, past: frozenset[str] = _NONE
    ) -> Grant | Shortage | Away:
        """As `Ledger.reserve`, over all data planes; `Away` where they cannot be asked."""
        if self.ledger.is_running(id):
            raise ValueError(f"call {id} has a reservation already")
        now_ns = self._arbiter.now_ns(now_ns)
        claims = self.ledger.claim(subject, estimate, bound, now_ns)
        shared = [claim for claim in claims if not claim[0].rule.is_per_call]
        refusing = [(slot, amount) for slot, amount in claims if amount and slot.rule.may_refuse and slot.rule.name not in past]
        is_too_much = any(slot.rule.is_per_call and not slot.fits(amount) for slot, amount in refusing)

        def decide(word: str, standing: list[Standing]) -> Grant | Shortage | None:
            whole = _stand_all(claims, standing)
            if word == "ok" and not is_too_much:
                return self._grant(id, whole, estimate)
            is_short = any(slot.rule.may_refuse and slot.rule.name not in past and not slot.fits(amount) for slot, amount in whole)
            return find_shortage(whole, now_ns, past, self.ledger.cells) if is_short else None

        if all(slot.rule.is_per_call for slot, _ in refusing):
            return self._tell_granted(decide("ok", self._sum_known(shared, now_ns)))
        if await self._can_ask():
            question = Question(decide, lambda: None if is_too_much else self._give_back(shared))
            decision = await self._ask(question, shared, past, now_ns, is_look=is_too_much, id=id)
            if decision is not None:
                return decision
        standing = self._sum_known(shared, now_ns)
        decision = decide("short", standing)
        if decision is None and self._fits_share(refusing, now_ns):
            return self._tell_granted(decide("ok", standing))
        return decision or self._away()

    async def extend(self, id: str, more: Weight, now_ns: int) -> dict[str, int] | None:
        """As `Ledger.extend`, over all data planes; None also where they cannot be asked."""
        now_ns = self._arbiter.now_ns(now_ns)
        claims = self.ledger.claim_more(id, more, now_ns)
        refusing = [(slot, amount) for slot, amount in claims if amount and slot.limit != UNLIMITED]

        def decide(word: str, standing: list[Standing]) -> dict[str, int] | None:
            if word != "ok":
                return None
            whole = self.ledger.grant_more(id, more, claims)
            if whole is None:  # it has ended meanwhile
                self._give_back(claims)
            return whole

        if refusing and await self._can_ask():
            question = Question(decide, lambda: self._give_back(claims))
            whole = await self._ask(question, claims, _NONE, now_ns)
            if question.was_answered:
                return whole
        if not claims or (refusing and not self._fits_share(refusing, now_ns)):
            return None
        whole = self.ledger.grant_more(id, more, claims)
        if whole is not None:
            for slot, amount in claims:
                self._tell(slot.cell.id, 0, amount)
        return whole

    async def room(self, subject: Subject, now_ns: int) -> Room:
        """As `Ledger.room`, over all data planes; as they were last heard of, where they cannot be asked."""
        now_ns = self._arbiter.now_ns(now_ns)
        claims = self.ledger.claim(subject, _NOTHING, None, now_ns)
        shared = [claim for claim in claims if not claim[0].rule.is_per_call]
        standing = None
        if self._arbiter.is_open:
            question = Question(lambda word, standing: standing, lambda: None)
            standing = await self._ask(question, shared, _NONE, now_ns, is_look=True)
        return find_room(_stand_all(claims, standing or self._sum_known(shared, now_ns)))

    def settle(self, id: str, actual: Weight | None) -> dict[str, int]:
        """As `Ledger.settle`; the other planes hear of it."""
        reserved = self.ledger.reserved_of(id)
        charged = self.ledger.settle(id, actual)
        for cell, amount in charged.items():
            self._tell(cell, amount, -reserved[cell])
        return charged

    def reserved_of(self, id: str) -> dict[str, int]:
        """What a running call of this plane has reserved."""
        return self.ledger.reserved_of(id)

    def balances(self, now_ns: int) -> list[Balance]:
        """As `Ledger.balances`, over all data planes, as they were last heard of."""
        now_ns = self._arbiter.now_ns(now_ns)
        self.ledger.balances(now_ns)
        cells = Cells()
        for one in (self.ledger.cells, self._arbiter.others.cells):
            for cell in one:
                cells.find(cell.id).add(cell.spent, cell.reserved)
        for family in cells.families.values():
            family.advance(now_ns)
        return list_balances(self.ledger.rules, cells, now_ns)

    # --- the arbiter ------------------------------------------------------------------------------------------------

    async def _can_ask(self) -> bool:
        return self._arbiter.is_open or await self._arbiter.wait_joined()

    async def _ask(self, question: Question, claims: Claims, past: frozenset[str], now_ns: int, is_look: bool = False, id: str = "") -> Any:
        arbiter = self._arbiter

        def hear(answer: Answer | None) -> None:
            if question.hear(answer) and answer is not None:
                arbiter.note_in_time(answer)
                self._bases = {}

        arbiter.take(write_claims(claims, past, self.ledger.cells, now_ns), hear, is_look)
        try:
            decision = await question.wait(self._settings.timeout_s, lambda: self._arbiter.quiet_s)
        except asyncio.CancelledError:
            if id and isinstance(question.result, Grant):  # the caller left in the very turn in which it was granted
                self.settle(id, _NOTHING)
            raise
        if not question.in_time:
            arbiter.note_late()
        return decision

    def _grant(self, id: str, whole: Claims, estimate: Weight) -> Grant:
        observed = next((slot.rule.name for slot, amount in whole if not slot.rule.may_refuse and not slot.fits(amount)), None)
        return self.ledger.grant(id, whole, estimate, observed)

    def _give_back(self, claims: Claims) -> None:
        self.late += 1
        for slot, amount in claims:
            self._tell(slot.cell.id, 0, -amount)

    def _tell(self, cell: str, spent: int, reserved: int) -> None:
        if spent or reserved:
            self._arbiter.move(cell, spent, reserved, self.ledger.cells.write_kept(cell))

    def _tell_granted(self, decision: Grant | Shortage | None) -> Grant | Shortage:
        """A decision that this plane made by itself."""
        assert decision is not None
        if isinstance(decision, Grant):
            for cell, amount in decision.reserved.items():
                self._tell(cell, 0, amount)
        return decision

    def _tell_adjusted(self, adjusted: dict[str, int]) -> None:
        for cell, amount in adjusted.items():
            self._tell(cell, amount, 0)

    def _take_over(self, known: list[tuple[str, int, int]]) -> None:
        now_ns = self._arbiter.now_ns(time.time_ns())
        amounts = {cell: spent + reserved for cell, spent, reserved in known if spent + reserved > 0 and counts_at(cell, now_ns)}
        if amounts and self._note_recalled is not None:
            log.error("this data plane's journal is gone; what Redis knows of its spending in %d accounts is taken over", len(amounts))
            id = f"recalled-{uuid.uuid4().hex}"
            self.ledger.fold_opened(id, amounts)
            self._note_recalled(id, amounts)

    def _list_lines(self) -> Iterator[str]:
        cells = self.ledger.cells
        return (line_of(cell.id, cell.spent, cell.reserved, cells.write_kept(cell.id)) for cell in cells if cell.spent or cell.reserved)

    # --- without the arbiter ----------------------------------------------------------------------------------------

    def _away(self) -> Away:
        return Away(self._arbiter.reason, self._arbiter.retry_after_s)

    def _sum_known(self, claims: Claims, now_ns: int) -> list[Standing]:
        """What all planes have in the accounts of these claims, as they were last heard of."""
        found = []
        for slot, _ in claims:
            spent, reserved = self._arbiter.others.sum_of(slot, now_ns)
            found.append(Standing(slot.total.spent + spent, slot.total.reserved + reserved))
        return found

    def _fits_share(self, claims: Claims, now_ns: int) -> bool:
        """Whether they fit into this plane's share of what was left; never without a share."""
        share = self._settings.share if self._settings.away == "share" else 0.0
        for slot, amount in claims:
            if not slot.rule.is_per_call:
                own = slot.total.spent + slot.total.reserved
                base = self._bases.setdefault(name_account(slot), own)
                left = slot.limit - base - sum(self._arbiter.others.sum_of(slot, now_ns))
                if own + amount > base + int(left * share):
                    return False
        return True


def _stand_all(claims: Claims, standing: list[Standing]) -> Claims:
    """All claims against the sums of those that are no limits of a single call."""
    sums = iter(standing)
    return stand(claims, [Standing(0, 0) if slot.rule.is_per_call else next(sums) for slot, _ in claims])
