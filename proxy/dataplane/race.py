"""The race of two attempts of one call: one of them is passed on, and the other one is ended in the same moment and settled apart.

The second attempt has an id of its own, so what the journal, the ledger and the limits hold of an attempt never moves: where the second
one wins, the call takes its id. The one that loses has a record of its own (`attempt_of`), for the provider may bill it.

A failure of the second attempt is never the call's. One of the first is held back while the second runs; if that fails as well, the
call goes on as it would have without.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from proxy.call import Call, RateLimits
from proxy.dataplane.attempt import DISCARDED, Attempt
from proxy.dataplane.headers import ResponseHead
from proxy.dataplane.lane import Lane
from proxy.dataplane.relay import Relay
from proxy.dataplane.route import Failure, Route
from proxy.dataplane.stall import StallGuard
from proxy.dataplane.upstream import Connection
from proxy.errors import Refusal

_OF_AN_ATTEMPT = (  # what the winner's attempt lends the call
    "id", "upstream", "upstream_key", "ask", "kind", "answer", "reading", "toll", "attempt_number", "attempt_ns",
)  # fmt: skip


class Race:
    """Carries a call that may be hedged: its first attempt, and the second one where there is one. `done` is as an `Attempt`'s."""

    def __init__(
        self, relay: Relay, connection: Connection, route: Route, settle: Callable[[Call], None], in_flight: set[Any],
        let_go: Callable[[], None],
    ) -> None:  # fmt: skip
        loop = asyncio.get_running_loop()
        self.done: asyncio.Future[Failure | None] = loop.create_future()
        self.begun: asyncio.Future[None] = loop.create_future()  # an answer has, or the first attempt is over
        self.call = relay.call
        self.let_go = let_go  # of what was sent, once it is certain that it is not sent again
        self.first = First(relay, connection, route, self)
        self.held: Failure | None = None  # of the first attempt, which none follows on
        self._leading: Attempt = self.first
        self._second: Second | None = None  # while it may win
        self._way: Route | None = None  # of the second one
        self._make_relay: Callable[[], Relay]
        self._route = route
        self._settle = settle
        self._in_flight = in_flight
        self._outbox = connection.pool.outbox
        self.first.done.add_done_callback(self._first_ended)

    @property
    def is_waiting(self) -> bool:
        """Whether no answer has begun, and the first attempt still runs."""
        return not (self.begun.done() or self.first.done.done())

    @property
    def is_open(self) -> bool:
        """Whether the second attempt may still win."""
        return self._second is not None

    @property
    def keep_alive(self) -> bool:
        """Whether the client's connection may be used on."""
        return self._leading.keep_alive

    def begin(self) -> None:
        """The first attempt has an answer, or none will come."""
        if not self.begun.done():
            self.begun.set_result(None)

    def enter(self, second: Second, way: Route, make_relay: Callable[[], Relay]) -> None:
        """The second attempt is sent now. `make_relay` makes what passes its answer on as the call's."""
        self._second, self._way, self._make_relay = second, way, make_relay
        self._in_flight.add(second)

    def hold(self, failure: Failure) -> Failure:
        """Hold back a failure of the first attempt that is the call's unless the second one wins."""
        self.held = failure
        return failure

    # --- the end of the race --------------------------------------------------------------------------------------

    def win(self) -> Relay:
        """The second attempt has a good answer: it is the call's from now on. What passes it on."""
        second, self._second = self._second, None
        assert second is not None, "it is in the race"
        self._leading = second
        self._in_flight.discard(second)
        self.first.abandon()
        self._route.leave()
        call, loser = self.call, second.call
        failure = None if not self.first.done.done() else self.first.done.result()
        for name in _OF_AN_ATTEMPT:
            mine, its = getattr(call, name), getattr(loser, name)
            setattr(call, name, its)
            setattr(loser, name, mine)
        loser.attempt_of = call.id
        is_refused = loser.answer.status is not None and loser.answer.status >= 400
        loser.outcome = failure.outcome if failure is not None and failure.outcome else None if is_refused else DISCARDED
        self._settle(loser)
        second.done.add_done_callback(self._conclude)
        return self._make_relay()

    def lose(self, outcome: str | None) -> None:
        """The second attempt is over, if there is one; None: as its status says. Where the first one has failed, the call goes on from that."""
        second, self._second = self._second, None
        if second is None or self._way is None:
            return
        second.abandon()
        self._in_flight.discard(second)
        self._way.leave()
        second.call.outcome = outcome
        self._settle(second.call)
        self._outbox.arm()  # nothing is passed on that would take its record to the journal
        if self.first.done.done():
            self._conclude(self.first.done)

    def _first_ended(self, done: asyncio.Future[Failure | None]) -> None:
        self.begin()
        if self._leading is self.first and not self.is_open:
            self._conclude(done)

    def _conclude(self, done: asyncio.Future[Failure | None]) -> None:
        """What has become of the attempt that counts has become of the call."""
        if done.cancelled():
            self.done.cancel()
            return
        error, held = done.exception(), self.held
        if self.done.done():
            return
        if error is not None:
            self.done.set_exception(error)
        elif held is None or done.result() is not held:
            self.done.set_result(done.result())
        elif held.replay is not None:
            self.held = None
            held.replay()
            self.first.done.add_done_callback(self._conclude)
        else:
            self.done.set_exception(held.refusal or Refusal("upstream_cut", "The provider's answer broke off."))

    # --- from the client, from the clock and from orders ----------------------------------------------------------

    def client_paused(self, paused: bool) -> None:
        self._leading.client_paused(paused)

    def expire(self, now: float, first_byte_s: float, idle_s: float) -> None:
        """As an `Attempt`'s. The second one stands among those in flight itself, as long as it may win."""
        self._leading.expire(now, first_byte_s, idle_s)

    def abandon(self) -> None:
        """Nobody waits for the rest: neither runs on. After the end it does nothing."""
        if self.done.done() and not self.done.cancelled():
            self.done.exception()
        self.done.cancel()
        self._leading.abandon()
        self.lose(self.call.outcome or DISCARDED)
        if self._way is not None:
            self._way.leave()

    def end_by_order(self, refusal: Refusal) -> None:
        """Killed. The second one ends as one in flight, and with the call at the latest."""
        self._leading.end_by_order(refusal)
        self._refuse(refusal)

    def end_in_band(self, refusal: Refusal) -> bool:
        """End the call with an error in its own dialect; False where that cannot be."""
        is_ended = self._leading.end_in_band(refusal)
        self._refuse(refusal)
        return is_ended

    def _refuse(self, refusal: Refusal) -> None:
        if not self._leading.relay.head_sent and not self.done.done():
            self.done.set_exception(refusal)


class Side:
    """What the first attempt of a race asks in the place of its route: while the second one runs, a failure that none follows on waits."""

    def __init__(self, route: Route, race: Race) -> None:
        self._route = route
        self._race = race

    @property
    def lane(self) -> Lane:
        return self._route.lane

    @property
    def judged(self) -> frozenset[str]:
        return self._route.judged

    @property
    def content(self) -> bytes | None:
        return self._route.content

    def learn(self, status: int, limits: RateLimits) -> None:
        self._route.learn(status, limits)

    def let_go(self) -> None:
        self._route.let_go()

    def decide(self, word: str, *, wait_s: float | None = None, outcome: str | None = None) -> Failure | None:
        """As a route's; what is only looked at and found wanting (`outcome`) is good enough where no attempt follows on it."""
        failure = self._route.decide(word, wait_s=wait_s, outcome=outcome)
        if failure is None and outcome is None and self._race.is_open:
            failure = self._race.hold(Failure(word))
        return failure

    def decide_refused(self, refusal: Refusal, *, is_sent: bool, outcome: str | None = None) -> Failure | None:
        failure = self._route.decide_refused(refusal, is_sent=is_sent, outcome=outcome)
        if failure is None and self._race.is_open:
            failure = self._race.hold(Failure(refusal.name, outcome, refusal=refusal))
        return failure


class First(Attempt):
    """The first attempt of a race."""

    __slots__ = ("_race",)

    def __init__(self, relay: Relay, connection: Connection, route: Route, race: Race) -> None:
        super().__init__(relay, connection, Side(route, race), race.let_go)
        self._race = race

    def head_came(self, head: ResponseHead) -> None:
        self._race.begin()
        super().head_came(head)

    def _pass(self) -> None:
        self._race.lose(DISCARDED)
        super()._pass()


class Second(Attempt):
    """The second attempt of a race: a good answer is the call's from its head on, anything else is nobody's."""

    __slots__ = ("_race", "_stall")

    def __init__(self, relay: Relay, connection: Connection, route: Route, race: Race) -> None:
        super().__init__(relay, connection, route, race.let_go)
        self._race = race
        self._stall = route.lane.upstream.stall

    def head_came(self, head: ResponseHead) -> None:
        self._note_head(head)
        if head.status >= 400:
            self._race.lose(None)
            return
        self.relay = self._race.win()
        self._guard = StallGuard(self.relay, self._stall)
        self._pass()

    def end_by_order(self, refusal: Refusal) -> None:
        super().end_by_order(refusal)
        self._race.lose(refusal.name)

    def _refuse(self, refusal: Refusal) -> None:
        self._route.learn_refused(refusal)
        self._race.lose(refusal.name)
