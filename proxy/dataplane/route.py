"""The route of one call: which upstream, key and model its next attempt goes to, and whether there is a next one.

`Route.enter` finds a lane and a key that may be used now; while the asked upstream's breaker is open that is its first fallback at once. When an
attempt fails, `decide` says in the same moment whether there will be another: the same upstream again, then the fallbacks in their order.
Nothing is sent twice that the provider may have carried out, unless the operator allows it (`retry.unknown_fate`).
"""

from __future__ import annotations

import copy
import random
import time
from collections.abc import Callable, Mapping

import msgspec

from proxy.call import Answer, Call, RateLimits, Reading
from proxy.dataplane.keyring import ProviderKey
from proxy.dataplane.lane import Lane
from proxy.dataplane.mending import NOTHING_MENDED, Mend
from proxy.dataplane.trail import close_attempt, enter_attempt
from proxy.errors import Refusal
from proxy.record import Attempted
from proxy.routes import EVERY_MODEL, Fallback
from proxy.wire import change_model

_REPEATABLE = frozenset({"GET", "HEAD", "OPTIONS"})  # whatever became of the first one
_STATEFUL = "stored_context"  # the provider that was asked keeps it, and no other
_WORDS = {"upstream_unreachable": "unreachable", "upstream_timeout": "timeout"}


def draw_backoff(attempt: int, backoff_s: float, most_s: float, draw: Callable[[], float] = random.random) -> float:
    """Seconds to wait before the attempt after the `attempt`th: full jitter, https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/"""
    return draw() * min(most_s, backoff_s * 2.0 ** min(attempt - 1, 30))


class Failure(msgspec.Struct):
    """An attempt after which another one is made."""

    word: str  # a `Condition`, or `key_refused`
    outcome: str | None = None  # of its own record, where the provider may bill it
    replay: Callable[[], None] | None = None  # passes its answer on after all
    refusal: Refusal | None = None  # what the caller gets after all, where there was no answer
    call: Call | None = None  # as it was then
    trail: tuple[Attempted, ...] = ()  # the attempt, unless it has a record of its own


class Route:
    """One call on its way. Owned by the call's coroutine."""

    key: ProviderKey
    failure: Failure | None = None  # the newest
    is_moved = True  # since it was admitted
    is_foreign = False  # not where the caller's own credential belongs
    _beside: ProviderKey | None = None  # the key of an attempt that runs, which this one is made beside
    _here = 0  # attempts at this lane
    _next: Fallback | None = None
    _delay_s = 0.0
    _ticket: int | None = None

    def __init__(
        self, call: Call, lanes: Mapping[str, Lane], content: bytes | None, target: str, clock: Callable[[], float] = time.monotonic,
        asked_model: str | None = None, mend: Mend = NOTHING_MENDED,
    ) -> None:  # fmt: skip
        self.call = call
        self.content = content  # the request body as it can be read; None: it cannot
        self.target = target
        self.asked_model = self._first_model = asked_model  # what the caller asked for, where another one is asked now
        self.mend = mend
        self._lanes = lanes
        self._home = self.lane = lanes[call.upstream]
        self._asked = (call.ask, call.kind, content, target)
        self._clock = clock
        now = clock()
        self._deadline = now + self.lane.retry.within_s
        self._used: set[int] = set()  # fallbacks
        self.lane.quota.count(now)

    # --- an attempt begins and ends -------------------------------------------------------------------------------

    def enter(self) -> None:
        """Take a key that may be used now, at this upstream or the next. Raises `Refusal` upstream_open or policy_upstream_limited."""
        if self.lane.is_plain:  # one key, and nothing that holds it back
            self.key, self.call.upstream_key = self.lane.keyring.keys[0], None
            return
        while True:
            now = self._clock()
            key = self.lane.keyring.pick(now, self._beside)
            if key is not None:
                self.key = key
                key.running += 1
                self._ticket = key.breaker.enter()
                self.call.upstream_key = key.name if self.lane.keyring.is_pool else None
                return
            waiting = self.lane
            if not self._find_fallback(None, now):
                wait_s = max(waiting.keyring.wait_s(now), 0.001)
                if waiting.keyring.is_limited(now):
                    text = "The provider's limits are used up with every key of this upstream."
                    raise Refusal("policy_upstream_limited", text, retry_after_s=wait_s)
                text = "This upstream has failed again and again, so that nothing is sent to it for a while. Try again then."
                raise Refusal("upstream_open", text, retry_after_s=wait_s)
            self.note("open")
            self._move()

    def start(self) -> None:
        """An attempt is made now, with the key that `enter` took."""
        self._here += 1
        enter_attempt(self.call, self.failure.trail if self.failure is not None else ())

    def leave(self) -> None:
        """The attempt is over, or not made, or nobody waits for it any more. A second time does nothing."""
        status = self.call.answer.status
        if status is not None and self._ticket is not None and self._ticket >= 0:  # nobody has told of its head
            self.learn(status, self.call.answer.limits)
        self._tell(None)
        if self._ticket is not None:
            self._ticket = None
            self.key.running -= 1

    @property
    def is_first(self) -> bool:
        """Whether the attempt that runs is the first one, at the upstream that the caller asked."""
        return self.lane is self._home and self._here == 1

    @property
    def is_plain(self) -> bool:
        """Whether the answer needs no look before it is passed on."""
        return self.lane.is_plain and (self.mend is NOTHING_MENDED or self.call.ask.stream)

    @property
    def judged(self) -> frozenset[str]:
        """What an answer is looked at for."""
        return self.lane.judged if self.mend is NOTHING_MENDED or self.call.ask.stream else self.lane.judged | self.mend.words

    def split(self, call: Call) -> Route:
        """The route of a second attempt beside the first one: `enter` finds another key there, or else a fallback."""
        other = copy.copy(self)
        other.call, other.is_moved, other._used, other._beside, other._ticket = call, True, set(), self.key, None
        call.ask, call.kind = self._asked[:2]
        return other

    def _tell(self, is_failure: bool | None) -> None:
        """Tell the breaker, once an attempt."""
        if self._ticket is not None and self._ticket >= 0:
            self.key.breaker.leave(self._ticket, is_failure, self._clock())
            self._ticket = -1

    def learn(self, status: int, limits: RateLimits) -> None:
        """The head of an answer has come."""
        self._tell(status >= 500)
        self.lane.keyring.learn(self.key, status, limits, self._clock())

    def learn_refused(self, refusal: Refusal) -> None:
        """No answer has come."""
        self._tell(True if refusal.name.startswith("upstream_") else None)

    # --- what comes next ------------------------------------------------------------------------------------------

    def decide_refused(self, refusal: Refusal, *, is_sent: bool, outcome: str | None = None) -> Failure | None:
        """As `decide`, after an attempt without an answer."""
        self.learn_refused(refusal)
        word = _WORDS.get(refusal.name, "cut" if is_sent else "")
        failure = self.decide(word, is_known=not is_sent, outcome=outcome)
        if failure is not None:
            failure.refusal = refusal
        return failure

    def decide(self, word: str, *, is_known: bool = True, wait_s: float | None = None, outcome: str | None = None) -> Failure | None:
        """Whether another attempt follows on one that failed so; None: none does. `is_known`: what the provider has made of it is.

        `wait_s` is what the provider asks for. What was decided holds: it counts against the quota.
        """
        self._next, self._delay_s = None, 0.0
        now = self._clock()
        if not is_known and self.call.method not in _REPEATABLE and not self.lane.retry.unknown_fate:
            return None
        if now >= self._deadline or not (self._find_again(word, wait_s, now) or self._find_fallback(word, now)):
            return None
        self.note(word)
        trail = () if outcome is not None else (close_attempt(self.call, word),)
        self.failure = Failure(word, outcome, call=msgspec.structs.replace(self.call), trail=trail)
        return self.failure

    def note(self, word: str) -> None:
        """Say in the record what was the matter with the attempt before the next."""
        place = f"{self.lane.name}/{self.call.upstream_key}" if self.call.upstream_key else self.lane.name
        self.call.tried = f"{self.call.tried}, {place} {word}" if self.call.tried else f"{place} {word}"

    def _find_again(self, word: str, wait_s: float | None, now: float) -> bool:
        """Whether this upstream is tried again, and when."""
        retry, keyring = self.lane.retry, self.lane.keyring
        is_mended = self.is_first and word in self.mend.again
        if (self._here >= retry.attempts and not is_mended) or not keyring.is_free(now):
            return False
        if keyring.is_pool and word in ("rate_limited", "key_refused"):  # another key, at once
            return self.lane.quota.take(now)
        if not (is_mended or word in retry.when) or (wait_s is not None and wait_s > retry.most_backoff_s):
            return False
        delay_s = draw_backoff(self._here, retry.backoff_s, retry.most_backoff_s)
        delay_s = delay_s if wait_s is None else max(delay_s, wait_s)
        if now + delay_s >= self._deadline or not self.lane.quota.take(now):
            return False
        self._delay_s = delay_s
        return True

    def _find_fallback(self, word: str | None, now: float) -> bool:
        """Whether a fallback may be used now, after what happened (None: nothing did, the way is closed)."""
        for index, fallback in enumerate(self._home.upstream.fallbacks):
            lane = self._lanes[fallback.upstream]
            is_meant = word is None or word in fallback.when or word in self.mend.elsewhere
            if index in self._used or not is_meant or not lane.keyring.is_free(now) or not self._suits(fallback):
                continue
            self._used.add(index)
            self._next = fallback
            return True
        return False

    def _suits(self, fallback: Fallback) -> bool:
        """Whether another upstream can answer this call: one that names a model, and nothing that only the first one keeps."""
        ask, kind, content, _ = self._asked
        model = kind.model or ask.model
        return model is not None and _STATEFUL not in ask.unbounded and (self._rename(fallback) is not None or _other(fallback, model) is None)

    def _rename(self, fallback: Fallback) -> tuple[bytes, str] | None:
        """(body, target) for the other name of the model."""
        ask, kind, content, target = self._asked
        model = _other(fallback, kind.model or ask.model or "")
        return None if model is None or content is None else change_model(kind, content, target, model)

    def go(self) -> float:
        """Be where the next attempt is made, as was decided; how long to wait before it, in seconds."""
        self.leave()
        self.call.answer, self.call.reading = Answer(), Reading()
        if self.failure is not None and self.failure.outcome is not None:
            self.is_moved = True  # what was reserved is spent
        if self._next is not None:
            self._move()
        return self._delay_s

    def _move(self) -> None:
        fallback = self._next
        assert fallback is not None, "a fallback was found"
        self._next = None
        call = self.call
        ask, kind, content, target = self._asked
        asked = kind.model or ask.model
        self.lane = self._lanes[fallback.upstream]
        self.lane.quota.count(self._clock())
        call.upstream = fallback.upstream
        call.ask, call.kind = ask, kind
        self.content, self.target = content, target
        other = _other(fallback, asked or "")
        renamed = self._rename(fallback)
        self.asked_model = self._first_model
        if other is not None and renamed is not None:
            self.asked_model = self._first_model or asked
            self.content, self.target = renamed
            call.ask = msgspec.structs.replace(ask, model=other)
            if kind.model is not None:
                call.kind = msgspec.structs.replace(kind, model=other)
        self.is_moved = True
        self.is_foreign = _origin(self.lane) != _origin(self._home)
        self._here = 0

    def let_go(self) -> None:
        """No attempt follows: the request body is not needed any more."""
        ask, kind, _, target = self._asked
        self.content, self._asked = None, (ask, kind, None, target)

    def restore(self) -> Failure | None:
        """The next attempt could not be made: the call is again as it was when the last one failed, unless that has a record of its own."""
        failure = self.failure
        if failure is not None and failure.call is not None and failure.outcome is None:
            for name in ("upstream", "upstream_key", "ask", "kind", "answer"):
                setattr(self.call, name, getattr(failure.call, name))
        return failure


def _other(fallback: Fallback, model: str) -> str | None:
    """The name that a model has at the fallback, where it has another one."""
    other = fallback.model.get(model) or fallback.model.get(EVERY_MODEL)
    return None if other == model else other


def _origin(lane: Lane) -> str:
    """Scheme, host and port: who gets a credential that is sent there."""
    return "/".join(lane.upstream.url.lower().split("/")[:3])
