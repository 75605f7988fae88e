"""One attempt whose answer may still be given up: it receives the answer until that is the call's, then the relay does, without a word between.

What the head tells is decided when the head comes. A failure that another attempt follows on is held back whole, so that it can be passed
on as it came where that attempt cannot be made. Where an operator wants answers looked at (`empty`, `truncated`, `invalid_json`,
`invalid_tools`), one that is no stream is held back until its end, and of a stream (`startup_error`) what comes up to its first event; what
grows too large for that is passed on. After the first byte has been passed on nothing is given up any more but what stalls, and that is
broken off.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

import msgspec

from proxy.call import Call, Reading
from proxy.dataplane.headers import ResponseHead
from proxy.dataplane.judge import StartJudge, WholeJudge, open_judge
from proxy.dataplane.relay import Relay
from proxy.dataplane.route import Failure, Route
from proxy.dataplane.stall import StallGuard
from proxy.dataplane.upstream import Connection
from proxy.errors import Refusal
from proxy.routes import name_condition
from proxy.wire import read_limits

_MOST_HELD = 1024 * 1024
_DOOMED_S = 5.0  # how long the rest of an answer is waited for that is given up anyway
DISCARDED = "upstream_discarded"  # the outcome of an attempt that was given up
log = logging.getLogger("weighbridge.attempt")


class Attempt:
    """Receives one answer. `done` ends with None when it was passed on whole, with the `Failure` another attempt follows on, or a `Refusal`."""

    __slots__ = (
        "done", "last_activity", "relay", "_connection", "_ended", "_failure", "_guard", "_head", "_held", "_judge", "_let_go", "_passed",
        "_route", "_size",
    )  # fmt: skip

    def __init__(self, relay: Relay, connection: Connection, route: Route, let_go: Callable[[], None]) -> None:
        self.done: asyncio.Future[Failure | None] = asyncio.get_running_loop().create_future()
        self.last_activity = time.monotonic()
        self.relay = relay
        self._connection = connection
        self._route = route
        self._let_go = let_go  # of what was sent, once it is certain that it is not sent again
        self._guard = StallGuard(relay, route.lane.upstream.stall)
        self._head: ResponseHead | None = None
        self._held: list[bytes] = []
        self._size = 0
        self._failure: Failure | None = None  # decided, while the rest of the answer comes
        self._judge: StartJudge | WholeJudge | None = None
        self._passed = self._ended = False

    @property
    def call(self) -> Call:
        """The call whose attempt this is."""
        return self.relay.call

    @property
    def keep_alive(self) -> bool:
        """Whether the client's connection may be used on."""
        return self.relay.keep_alive

    # --- from the upstream ----------------------------------------------------------------------------------------

    def head_came(self, head: ResponseHead) -> None:
        route, status = self._route, head.status
        self._note_head(head)
        word = name_condition(status)
        if word is None and status in (401, 403) and route.lane.keyring.is_pool:
            word = "key_refused"
        if word is not None:
            self._failure = route.decide(word, wait_s=self.call.answer.limits.retry_after_s)
            if self._failure is None:
                self._pass()
        else:
            is_guarded = route.lane.upstream.stall.idle_s > 0
            self._judge = open_judge(self.call, head, route.judged, is_guarded=is_guarded, request=route.content)
            if self._judge is None:
                self._pass()

    def body_came(self, data: bytes) -> None:
        """Only while the answer is held back."""
        if self._failure is None:  # for the rest of one that is given up there is no patience
            self.last_activity = time.monotonic()
        self._held.append(data)
        self._size += len(data)
        if self._size > _MOST_HELD:
            if self._failure is not None:
                self._connection.cancel(self)
                self._fail_held()
            else:
                self._pass()
            return
        if self._failure is None and (word := self._ask(data)) is not None:
            self._rule(word)

    def message_ended(self) -> None:
        self._ended = True
        if self._passed:
            return
        if self._failure is None and self._judge is not None:
            self._rule(self._ask(None) or "")
        if self._failure is not None:
            self._failure.replay = None if self._failure.outcome else self._replay
            self._fail_held()

    def batch_ended(self) -> None:
        if self._passed:
            self.relay.batch_ended()

    def broken(self, name: str, message: str) -> None:
        if self._passed or self.done.done():
            return
        if self._failure is not None:
            self._fail_held()
        elif self._head is None:
            self._refuse(Refusal(name, message))
        elif self._judge is not None and (failure := self._decide_broken(name)) is not None:
            self._failure = failure
            self._fail_held()
        else:
            self._pass()
            self.relay.broken(name, message)

    def upload_paused(self, paused: bool) -> None:
        """The request stands in the socket's buffer already."""

    # --- verdicts -------------------------------------------------------------------------------------------------

    def _ask(self, data: bytes | None, *, is_whole: bool = True) -> str | None:
        """Ask the judge about a piece, or about all (None). A word or an empty one; None: it cannot say yet."""
        try:
            return self._judge.end(is_whole=is_whole) if data is None else self._judge.feed(data)
        except Exception:  # judging never touches traffic
            log.exception("judging an answer failed; it is passed on")
            return ""

    def _rule(self, word: str) -> None:
        """Pass on what was held back, or give it up where another attempt follows on that."""
        self._failure = self._decide(word)
        if self._failure is None:
            self._pass()
        elif not self._ended:
            self._connection.cancel(self)
            self._fail_held()

    def _decide_broken(self, name: str) -> Failure | None:
        """The answer broke off, or stalled, while it was held back."""
        word = self._ask(None, is_whole=False) or ""
        if self._judge is not None and not self._judge.is_whole:  # nothing of the stream has come
            word = "cut" if name in ("upstream_cut", "upstream_malformed") else "timeout"
        return self._decide(word)

    def _decide(self, word: str) -> Failure | None:
        if not word:
            return None
        failure = self._route.decide(word, outcome=DISCARDED)
        if failure is not None:
            self._note_held()
            failure.call = msgspec.structs.replace(self.call)
        return failure

    def _note_head(self, head: ResponseHead) -> None:
        answer = self.call.answer
        self._head = head
        self.last_activity = time.monotonic()
        answer.status, answer.first_byte_ns = head.status, time.time_ns()
        answer.limits = read_limits(head.fields, answer.first_byte_ns / 1e9)
        self._route.learn(head.status, answer.limits)

    def _note_held(self) -> None:
        """What is known of an answer that is not passed on."""
        call = self.call
        call.answer.response_bytes, call.answer.last_byte_ns = self._size, time.time_ns()
        call.reading = self._judge.reading if self._judge is not None else Reading()

    def _fail_held(self) -> None:
        if not self.done.done():
            self.done.set_result(self._failure)

    def _refuse(self, refusal: Refusal) -> None:
        """No answer came: another attempt, or the refusal is the caller's."""
        failure = self._route.decide_refused(refusal, is_sent=True, outcome=refusal.name)
        if failure is not None:
            self.done.set_result(failure)
        elif not self.done.done():
            self.done.set_exception(refusal)

    def _pass(self) -> None:
        """The answer is the call's: what was held back first, then everything else straight to the relay."""
        self._passed = True
        self._route.let_go()
        self._let_go()
        relay = self.relay
        self._connection.hand_over(self, relay)
        relay.done.add_done_callback(self._finish)
        assert self._head is not None, "an answer begins with its head"
        relay.head_came(self._head)
        for data in self._held:
            relay.body_came(data)
        self._held.clear()
        if self._ended:
            relay.message_ended()
        elif relay.is_held_back:
            relay.client_paused(True)

    def _replay(self) -> None:
        """Pass the answer on after all: the attempt that was to follow cannot be made."""
        self.done = asyncio.get_running_loop().create_future()
        self._pass()
        self.relay.batch_ended()

    def _finish(self, done: asyncio.Future[None]) -> None:
        if self.done.done():
            return
        if done.cancelled():
            self.done.cancel()
        elif (error := done.exception()) is not None:
            self.done.set_exception(error)
        else:
            self.done.set_result(None)

    # --- from the client, and from the clock ----------------------------------------------------------------------

    def client_paused(self, paused: bool) -> None:
        if self._passed:
            self.relay.client_paused(paused)

    def abandon(self) -> None:
        """Nobody waits for the rest. After the end it does nothing."""
        if self._passed:
            self.relay.abandon()
        elif self._judge is not None and not self.done.done():
            self._ask(None)
            self._note_held()
        if self.done.done() and not self.done.cancelled():
            self.done.exception()
        else:
            self._connection.cancel(self)

    def expire(self, now: float, first_byte_s: float, idle_s: float) -> None:
        """End the attempt if the upstream has been silent for too long, or answers too slowly."""
        if self._passed:
            if not self._guard.check(now):
                self.relay.expire(now, first_byte_s, idle_s)
            return
        if self.done.done():
            return
        stall = self._route.lane.upstream.stall
        silence = now - self.last_activity
        if self._head is None:
            most_s = stall.first_byte_s or first_byte_s
            if silence > most_s:
                self._connection.cancel(self)
                self.broken("upstream_timeout", f"The provider sent no answer within {most_s:g} s (limits.first_byte_s, stall.first_byte_s).")
        elif silence > (_DOOMED_S if self._failure is not None else stall.idle_s or idle_s):
            self._connection.cancel(self)
            self.broken("upstream_stalled" if stall.idle_s else "upstream_timeout", "The provider fell silent in the middle of its answer.")

    def end_by_order(self, refusal: Refusal) -> None:
        """Killed."""
        if self._passed:
            self.relay.end_by_order(refusal)
        else:
            self._connection.cancel(self)
            if not self.done.done():
                self.done.set_exception(refusal)

    def end_in_band(self, refusal: Refusal) -> bool:
        """End the call with an error in its own dialect; False where that cannot be."""
        if self._passed:
            return self.relay.end_in_band(refusal)
        self.end_by_order(refusal)
        return True
