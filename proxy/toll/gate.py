"""The gate: every call passes it on its way in and out, and it holds the operator's rate limits and the providers' own.

    found = gate.try_enter(…)          None: it is in
    await gate.wait(…, found)          where it is not: it waits for its turn, or is refused; to be called at once
    gate.learn(…)                      the head of its answer
    gate.leave(…) or gate.withdraw(…)  exactly one of them counts: the first

Times are nanoseconds of one clock. Should that clock be set back, the gate's own time goes on from where it was.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from proxy.call import RateLimits
from proxy.pulse import LimitState
from proxy.rules import Headroom as HeadroomRule
from proxy.rules import RateLimit
from proxy.toll.headroom import Headroom
from proxy.toll.line import Line, Wait
from proxy.toll.queue import FairQueue
from proxy.toll.rates import Rates, Standing
from proxy.toll.subject import Subject

_SET_BACK_NS = 1_000_000_000  # a clock that goes back by more than this was set


class Gate:
    """Rate limits, headroom and their queue as one. For one event loop."""

    def __init__(self, limits: list[RateLimit], headroom: HeadroomRule, clock: Callable[[], int] = time.time_ns) -> None:
        self._rates = Rates(limits)
        self._headroom = Headroom(headroom)
        self._clock = clock
        self._queue = FairQueue(self._attempt, self._undo, lambda: self._steady(self._clock()))
        self._newest_ns = 0
        self._shift_ns = 0

    @property
    def is_idle(self) -> bool:
        """Whether nothing could hold a call back and nothing is counted: calls need not pass."""
        return self._rates.is_empty and self._headroom.is_empty

    @property
    def waiting(self) -> int:
        """How many calls wait."""
        return self._queue.waiting

    def try_enter(self, id: str, subject: Subject, credential: str | None, input_tokens: int, output_tokens: int, now_ns: int) -> Wait | None:
        """Let a call in, or say what holds it: then nothing was taken. `credential` is the hash of what the upstream will see."""
        return self._attempt(id, (subject, credential, input_tokens, output_tokens), self._steady(now_ns), -1)

    async def wait(self, id: str, subject: Subject, credential: str | None, input_tokens: int, output_tokens: int, found: Wait) -> int:
        """Wait for what `try_enter` found, until the call is in; nanoseconds waited.

        Raises `Refusal` policy_rate_limited, policy_too_many_running or policy_upstream_limited. Cancelled, the call is not in.
        """
        return await self._queue.wait(id, subject.agent, (subject, credential, input_tokens, output_tokens), found)

    def leave(self, id: str, input_tokens: int | None, output_tokens: int | None, now_ns: int) -> None:
        """The call has ended, having used so many tokens (None: not known, count the estimate). Idempotent."""
        used = None if input_tokens is None or output_tokens is None else input_tokens + output_tokens
        self._serve(self._rates.settle(id, input_tokens, output_tokens, self._steady(now_ns)) + self._headroom.settle(id, used))

    def withdraw(self, id: str, now_ns: int) -> None:
        """The call is not sent after all: as if it had not come. Idempotent."""
        self._steady(now_ns)
        self._undo(id)

    def learn(
        self, upstream: str, credential: str | None, model: str | None, limits: RateLimits, status: int | None, sent_ns: int, came_ns: int
    ) -> None:
        """The head of an answer has come, at `came_ns`, to a request sent at `sent_ns`; the sooner it is told, the better.

        `model` is that of the call's `Subject`.
        """
        now_ns = self._steady(self._clock())
        name, shift_ns = (upstream, credential, model), self._shift_ns
        self._serve(self._headroom.learn(name, limits, status, sent_ns + shift_ns, min(came_ns + shift_ns, now_ns), now_ns))

    def configure(self, limits: list[RateLimit], headroom: HeadroomRule) -> None:
        """Take on other rules; what was counted stays, and whoever waits is asked anew."""
        self._rates.configure(limits)
        self._headroom.configure(headroom)
        self._queue.serve_all()

    def tick(self, now_ns: int) -> None:
        """Forget some of what is idle; to be called about once a second."""
        now_ns = self._steady(now_ns)
        self._rates.sweep(now_ns)
        self._headroom.sweep(now_ns)

    def states(self, now_ns: int) -> list[Standing]:
        """How the accounts of all rate limits stand that were used lately."""
        return self._rates.states(self._steady(now_ns))

    def counts(self) -> list[LimitState]:
        """How many calls each limit counts and holds back."""
        waiting = self._queue.count_waiting()
        running = {(name, False): count for name, count in self._rates.count_running().items()}
        running |= {(name, True): count for name, count in self._headroom.count_running().items()}
        found = []
        for key in running | waiting:
            name, is_provider = key
            shown = f"headroom/{name}" if is_provider else name
            found.append(LimitState(name=shown, running=running.get(key, 0), waiting=waiting.get(key, 0)))
        return sorted(found, key=lambda one: one.name)

    def _attempt(self, id: str, ask: tuple, now_ns: int, passed: int) -> Wait | None:
        subject, credential, input_tokens, output_tokens = ask
        wait = self._rates.take(id, subject, input_tokens, output_tokens, now_ns, passed)
        if wait is None:
            wait = self._headroom.take(id, (subject.upstream, credential, subject.model), input_tokens + output_tokens, now_ns, passed)
            if wait is not None:
                self._rates.withdraw(id)
        return wait

    def _undo(self, id: str) -> None:
        self._serve(self._rates.withdraw(id) + self._headroom.withdraw(id))

    def _serve(self, lines: list[Line]) -> None:
        for line in lines:
            self._queue.serve(line)

    def _steady(self, now_ns: int) -> int:
        """This moment on the gate's own time."""
        now_ns += self._shift_ns
        if now_ns < self._newest_ns - _SET_BACK_NS:
            self._shift_ns += self._newest_ns - now_ns
            return self._newest_ns
        if now_ns > self._newest_ns:
            self._newest_ns = now_ns
        return now_ns
