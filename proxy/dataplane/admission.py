"""Admission: orders, then rate limits, then a reservation in every budget that a call concerns; or a refusal.

A reservation is made before anything goes upstream, over all budgets at once and all or nothing. Where what is left is
short but useful, the answer is capped: the dialect's field for the most output tokens is written into the request. Where a budget says
so, a cheaper model is asked. While an answer streams, `extend` reserves more where it outgrows its reservation.
Settling (`proxy.dataplane.settle`) turns the reservation into what was spent, however the call ends.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable

import msgspec

from proxy.call import Call, Toll
from proxy.config import Config
from proxy.dataplane.advice import make_refusal
from proxy.dataplane.journal import JournalWriter
from proxy.dataplane.obey import OrdersFile
from proxy.dataplane.reservation import may_cost, name_unbounded
from proxy.dataplane.till import name_credential
from proxy.dataplane.weigher import Weigher
from proxy.errors import Refusal
from proxy.record import Extended
from proxy.toll.account import Concern
from proxy.toll.central import Central
from proxy.toll.gate import Gate
from proxy.toll.ledger import Ledger
from proxy.toll.subject import Subject
from proxy.toll.terms import Away, Grant, Room, Shortage, Weight
from proxy.wire import cap_output, change_model, reads_socket, repeats_keys

_LEAST_EXTENSION = 256  # output tokens


def make_subject(call: Call) -> Subject:
    """The names under which a call is counted."""
    who = call.identity
    assert who is not None, "a call is identified before it is admitted"
    model = call.kind.model or call.ask.model
    return Subject(who.agent, call.upstream, model, who.team, who.task, who.session, who.key, who.tags)


class Passage(msgspec.Struct):
    """A call on its way through admission: what goes upstream of it, rewritten where a budget says so."""

    call: Call
    body: bytes | None  # None: streamed through, or a message on a WebSocket
    target: str
    subject: Subject
    weight: Weight


class Admission:
    """Decides over calls with the orders, the gate of the rate limits, and the ledger."""

    def __init__(
        self, config: Config, orders: OrdersFile, gate: Gate, ledger: Ledger, weigher: Weigher, journal: JournalWriter, central: Central | None = None
    ) -> None:
        self.orders = orders
        self.gate = gate
        self.ledger = ledger
        self._central = central  # where several data planes share their budgets
        self.weigher = weigher
        self._journal = journal
        self._downgrades = {budget.name: budget.downgrade for budget in config.budgets}

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing to count: no budget, and no limit."""
        return self.ledger.is_empty and self.gate.is_idle

    def configure(self, config: Config) -> None:
        """Take changed rules; what was spent and reserved stays as it is."""
        self._downgrades = {budget.name: budget.downgrade for budget in config.budgets}
        self.ledger.configure(config.budgets)
        self.gate.configure(config.rate_limits, config.headroom)

    async def admit(self, call: Call, body: bytes | None, target: str) -> tuple[bytes | None, str]:
        """Let a call through: its body and target, rewritten where a budget says so. Raises `Refusal`."""
        if self.orders.holds_some:
            self.orders.check(make_subject(call))
        if self.is_idle or not may_cost(call):
            return body, target
        passage = Passage(call, body, target, make_subject(call), self.weigher.estimate(call))
        await self._enter(passage)
        if not self.ledger.is_empty:
            try:
                await self._reserve(passage)
            except BaseException:  # also a caller that leaves: what was taken is given back
                self.gate.withdraw(call.id, time.time_ns())
                raise
        return passage.body, passage.target

    def learn(self, call: Call) -> None:
        """The head of an answer has come that another attempt follows on."""
        answer, model = call.answer, call.kind.model or call.ask.model
        if answer.sent_ns is not None and answer.first_byte_ns is not None:
            self.gate.learn(call.upstream, name_credential(call), model, answer.limits, answer.status, answer.sent_ns, answer.first_byte_ns)

    def release(self, call: Call, *, is_opened: bool = True) -> None:
        """Undo what `admit` did for an attempt that costs nothing, was not sent, or has been paid for: the next one is let in anew."""
        self.gate.withdraw(call.id, time.time_ns())
        if call.toll.reserved:
            (self._central or self.ledger).settle(call.id, Weight(0, 0, 0))
            if is_opened:
                self._journal.extended(Extended(id=call.id, reserved_nano_usd=0, reserved=dict.fromkeys(call.toll.reserved, 0)))
        call.toll = Toll(waited_ns=call.toll.waited_ns)

    async def admit_socket(self, call: Call) -> None:
        """Let a WebSocket through on which one call may be made at least. Raises `Refusal`."""
        subject = make_subject(call)
        self.orders.check(subject)
        if not self.ledger.is_empty:
            if not reads_socket(call.kind):
                self._check_unseen(call, subject)
            now_ns = time.time_ns()
            answer = await self._take(call, subject, Weight(1, 1, 1), None, now_ns, frozenset())
            if isinstance(answer, Shortage):
                raise make_refusal(call, answer, now_ns, None)
            (self._central or self.ledger).settle(call.id, Weight(0, 0, 0))

    def check_unread(self, call: Call) -> None:
        """Something went up a WebSocket that cannot be read, and may be a call. Raises `Refusal` where a budget must count it."""
        self._check_unseen(call, make_subject(call))

    def _check_unseen(self, call: Call, subject: Subject) -> None:
        call.ask = msgspec.structs.replace(call.ask, unbounded=("unread",))
        self._check_class(call, self.ledger.concerns(subject), Weight(None, 0, 1))

    async def admit_message(self, call: Call) -> None:
        """Let one call of a WebSocket through; what it says cannot be rewritten. Raises `Refusal`."""
        await self.admit(call, None, "")

    async def _enter(self, passage: Passage) -> None:
        """Pass the rate limits, waiting in their queue where they have one."""
        if self.gate.is_idle:
            return
        call = passage.call
        now_ns = time.time_ns()
        output_tokens = self.weigher.output_tokens(call)
        asked = (call.id, passage.subject, name_credential(call), max(0, passage.weight.tokens - output_tokens), output_tokens)
        found = self.gate.try_enter(*asked, now_ns)
        if found is not None:
            if call.attempt_of is not None:
                raise Refusal("policy_rate_limited", "A second attempt beside the first one has no place in a queue.")
            call.toll.waited_ns += await self.gate.wait(*asked, found)

    # --- the reservation ------------------------------------------------------------------------------------------

    async def _reserve(self, passage: Passage) -> None:
        """Reserve over all budgets; cap or downgrade where that makes it fit."""
        call = passage.call
        past: frozenset[str] = frozenset()
        while True:
            concern = self.ledger.concerns(passage.subject)
            self._check_class(call, concern, passage.weight)
            bound = None
            if concern.is_strict:
                self._put_maximum(passage, concern)
                bound = self.weigher.bound(call, concern.unbounded_nano_usd)
            now_ns = time.time_ns()
            answer = await self._take(call, passage.subject, passage.weight, bound, now_ns, past)
            if isinstance(answer, Grant):
                self._note(call, answer, concern, passage.weight if bound is None else bound)
                return
            if answer.mode == "downgrade":
                self._downgrade(passage, answer)
                past |= {answer.budget}
            else:
                room = self.ledger.room(passage.subject, now_ns) if self._central is None else await self._central.room(passage.subject, now_ns)
                self._shorten(passage, answer, bound, room, now_ns)

    async def _take(
        self, call: Call, subject: Subject, weight: Weight, bound: Weight | None, now_ns: int, past: frozenset[str]
    ) -> Grant | Shortage:
        """Ask the ledger. Raises `Refusal` weighbridge_ledger_away."""
        if self._central is None:
            return self.ledger.reserve(call.id, subject, weight, bound, now_ns, past)
        answer = await self._central.reserve(call.id, subject, weight, bound, now_ns, past)
        if isinstance(answer, Away):
            text = f"The ledger that budgets are shared over cannot be asked ({answer.reason}), and a budget must hold. Try again shortly."
            raise Refusal("weighbridge_ledger_away", text, retry_after_s=answer.retry_after_s)
        return answer

    def _check_class(self, call: Call, concern: Concern, weight: Weight) -> None:
        """Refuse what a budget cannot count: calls without a price, and under `strict` calls without an upper bound."""
        if self._journal.waiting and concern.is_hard:
            text = "The journal cannot be written, so no budget could be kept. Make room on its disk; then try again."
            raise Refusal("weighbridge_journal_away", text, retry_after_s=5)
        if weight.nano_usd is None and concern.refuses_unpriced is not None:
            call.toll.budget, call.toll.act = concern.refuses_unpriced, "refused"
            text = (
                f"The price of this model is unknown, and the budget {concern.refuses_unpriced} counts money. Add its price under `prices`, "
                "or set `unpriced: allow` for that budget."
            )
            raise Refusal("policy_call_unpriced", text, {"budget": concern.refuses_unpriced})
        if concern.refuses_unbounded is not None and (classes := name_unbounded(call)):
            _refuse_unbounded(call, concern.refuses_unbounded, classes)

    def _put_maximum(self, passage: Passage, concern: Concern) -> None:
        """Write the maximum that a strict budget needs into a request; also where one stands, so that every reader finds the same."""
        call = passage.call
        tokens = self.weigher.read_maximum(call)
        if tokens is None:
            return
        if not self._write_maximum(passage, tokens) and concern.refuses_unbounded is not None:
            _refuse_unbounded(call, concern.refuses_unbounded, ("no_maximum",))
        if passage.body is not None and concern.refuses_unbounded is not None and repeats_keys(passage.body):  # also beside what was put in
            _refuse_unbounded(call, concern.refuses_unbounded, ("repeated_keys",))

    def _write_maximum(self, passage: Passage, tokens: int) -> bool:
        call, body = passage.call, passage.body
        capped = None if body is None else cap_output(call.kind, body, tokens, self.weigher.provider(call))
        if capped is None:
            return False
        passage.body = capped
        if tokens == call.ask.max_output_tokens:
            return True
        call.ask = msgspec.structs.replace(call.ask, max_output_tokens=tokens)
        call.toll.capped_tokens = tokens
        passage.weight = self.weigher.estimate(call)
        return True

    def _shorten(self, passage: Passage, shortage: Shortage, bound: Weight | None, room: Room, now_ns: int) -> None:
        """Cap the answer at what is left; raises `Refusal` where that is of no use."""
        call = passage.call
        affordable = self.weigher.affordable(call, room, passage.weight if bound is None else bound, strict=bound is not None)
        least = max(self.weigher.reserving.least_output_tokens, (call.ask.reasoning_budget_tokens or 0) + 1)
        useful = affordable is not None and affordable >= least and shortage.unit != "calls" and call.toll.act != "clamped"
        if not useful or not self._write_maximum(passage, affordable):
            raise make_refusal(call, shortage, now_ns, affordable)
        call.toll.act, call.toll.budget = "clamped", shortage.budget

    def _downgrade(self, passage: Passage, shortage: Shortage) -> None:
        """Ask the cheaper model that the budget names; raises `Refusal` where it names none for this one."""
        call = passage.call
        model = call.kind.model or call.ask.model or ""
        cheaper = self._downgrades.get(shortage.budget, {}).get(model)
        path, mark, query = passage.target.partition("?")
        changed = None if cheaper is None or passage.body is None else change_model(call.kind, passage.body, path, cheaper)
        if changed is None:
            raise make_refusal(call, shortage, time.time_ns(), None)
        passage.body, path = changed
        passage.target = path + mark + query
        call.toll.asked_model = call.toll.asked_model or model
        call.toll.act, call.toll.budget = "downgraded", shortage.budget
        call.ask = msgspec.structs.replace(call.ask, model=cheaper)
        if call.kind.model is not None:
            call.kind = msgspec.structs.replace(call.kind, model=cheaper)
        passage.subject = make_subject(call)
        passage.weight = self.weigher.estimate(call)

    def _note(self, call: Call, grant: Grant, concern: Concern, weight: Weight) -> None:
        toll = call.toll
        toll.reserved = grant.reserved
        toll.reserved_nano_usd = weight.nano_usd
        toll.warnings = grant.warnings
        toll.reserved_output_tokens = self.weigher.output_tokens(call)
        toll.reserved_input_tokens = max(0, weight.tokens - toll.reserved_output_tokens)
        toll.is_hard = concern.is_hard and bool(grant.reserved)
        toll.is_strict = concern.is_strict
        toll.is_metered = toll.is_hard and call.ask.stream
        if toll.act is None and grant.observed:
            toll.act, toll.budget = "observed", grant.observed
        elif toll.act is None and grant.warnings:
            toll.act, toll.budget = "warned", grant.warnings[0].partition(" ")[0]

    def extend(self, call: Call, seen_tokens: int) -> bool | Awaitable[bool]:
        """Reserve more for an answer that outgrows its reservation; False: not enough is left, and the answer is to be cut."""
        covered = call.toll.reserved_output_tokens or 0
        more = max(covered // 2, seen_tokens - covered + _LEAST_EXTENSION)
        weight = Weight(self.weigher.price_output(call, more), more, 0)
        if self._central is not None:
            return self._extend_over_all(call, weight, self._central)
        return self._note_extended(call, weight, self.ledger.extend(call.id, weight, time.time_ns()))

    async def _extend_over_all(self, call: Call, more: Weight, central: Central) -> bool:
        return self._note_extended(call, more, await central.extend(call.id, more, time.time_ns()))

    def _note_extended(self, call: Call, more: Weight, reserved: dict[str, int] | None) -> bool:
        if reserved is None:
            return False
        toll = call.toll
        toll.reserved = reserved
        toll.reserved_output_tokens = (toll.reserved_output_tokens or 0) + more.tokens
        if more.nano_usd is not None and toll.reserved_nano_usd is not None:
            toll.reserved_nano_usd += more.nano_usd
        self._journal.extended(Extended(id=call.id, reserved_nano_usd=toll.reserved_nano_usd, reserved=reserved))
        return True


def _refuse_unbounded(call: Call, budget: str, classes: tuple[str, ...]) -> None:
    call.toll.budget, call.toll.act = budget, "refused"
    text = (
        f"The cost of this call has no upper bound ({', '.join(classes)}), and the budget {budget} is strict. Ask without it, or set "
        "`unbounded_usd` for that budget: what is reserved for such a call."
    )
    raise Refusal("policy_call_unbounded", text, {"budget": budget, "classes": list(classes)})
