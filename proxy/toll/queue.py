"""The queue: calls over a limit wait for a moment, in the line of the limit that holds them, and agents take turns.

A call waits in one line at a time: that of the account that would hold it longest. When its turn comes it tries all of its limits
again; held by another one, it goes to stand there. New calls never overtake the calls that wait before a limit they need.
A call that has had its turn in a line passes the lines of lower rank, so that two lines never send it to and fro.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import count

from proxy.toll.line import Line, Wait, Waiter

_SOONEST_S = 0.0005


class FairQueue:
    """All lines together. `attempt(id, ask, now, passed)` lets a call in, or says what holds it; `undo(id)` takes that back."""

    def __init__(self, attempt: Callable[[str, tuple, int, int], Wait | None], undo: Callable[[str], None], clock: Callable[[], int]) -> None:
        self._attempt = attempt
        self._undo = undo
        self._clock = clock
        self._orders = count()
        self._lines: set[Line] = set()  # those in which somebody waits

    @property
    def waiting(self) -> int:
        """How many calls wait."""
        return sum(line.count for line in self._lines)

    def count_waiting(self) -> dict[tuple[str, bool], int]:
        """Waiting calls by (what they wait for, whether it is a provider's own limit)."""
        waiting: dict[tuple[str, bool], int] = {}
        for line in self._lines:
            if line.count and (found := line.first.found) is not None:
                name = (found.limit, found.refusal == "policy_upstream_limited")
                waiting[name] = waiting.get(name, 0) + line.count
        return waiting

    async def wait(self, id: str, agent: str, ask: tuple, found: Wait) -> int:
        """Wait until the call is in; nanoseconds waited. Raises `Refusal` where it may not wait, must go, or has waited long enough.

        A cancelled call leaves its line, and is not in.
        """
        loop = asyncio.get_running_loop()
        now_ns = self._clock()
        waiter = Waiter(id, agent, ask, next(self._orders), now_ns, loop.create_future())
        waiter.deadline_ns = now_ns + int(found.line.queue.wait_s * 1e9)
        self._join(waiter, found, now_ns)
        timer = loop.call_later(found.line.queue.wait_s, self._expire, waiter)
        try:
            await waiter.done
        except asyncio.CancelledError:
            if waiter.is_in:
                self._undo(id)
            raise
        finally:
            timer.cancel()
            self._drop(waiter)
        if waiter.refused is not None:
            raise waiter.refused
        return self._clock() - waiter.since_ns

    def serve(self, line: Line) -> None:
        """Let in whoever can go now, in turn; and come back when the next one can."""
        now_ns = self._clock()
        while line.count:
            waiter = line.first
            if waiter.done.done():  # refused or cancelled, and its task has not run since
                line.remove(waiter)
                continue
            wait = self._attempt(waiter.id, waiter.ask, now_ns, line.rank)
            if wait is not None and wait.line is line:
                waiter.found = wait
                self._arm(line, now_ns, wait.after_s)
                return
            line.serve_first(now_ns)
            if wait is None:
                waiter.is_in = True
                waiter.done.set_result(None)
            else:
                self._join(waiter, wait, now_ns)
        self._disarm(line)

    def serve_all(self) -> None:
        """Every line anew: the limits have changed."""
        for line in list(self._lines):
            self.serve(line)

    def _join(self, waiter: Waiter, wait: Wait, now_ns: int) -> None:
        """Stand in a line; or be refused."""
        line = wait.line
        waiter.found = wait
        if not line.queue.length or wait.earliest_s * 1e9 > waiter.deadline_ns - now_ns:
            self._refuse(waiter, wait)
            return
        if line.count >= line.queue.length:
            victim = line.find_victim(waiter.agent)
            if victim is None:
                self._refuse(waiter, wait)
                return
            line.remove(victim)
            self._refuse(victim, victim.found or wait)
        line.add(waiter)
        self._lines.add(line)
        if line.timer is None:
            self._arm(line, now_ns, wait.after_s)

    def _refuse(self, waiter: Waiter, wait: Wait) -> None:
        if not waiter.done.done():
            waiter.refused = wait.line.refuse(wait, waiter.agent)
            waiter.done.set_result(None)

    def _expire(self, waiter: Waiter) -> None:
        if not waiter.done.done() and waiter.found is not None:
            self._refuse(waiter, waiter.found)

    def _drop(self, waiter: Waiter) -> None:
        """It waits no more; the next one may be a call that fits already."""
        line = waiter.line
        if line is not None:
            was_first = line.first is waiter
            line.remove(waiter)
            if was_first or not line.count:
                self.serve(line)

    def _arm(self, line: Line, now_ns: int, after_s: float) -> None:
        due_ns = now_ns + int(after_s * 1e9)
        if line.timer is not None:
            if line.due_ns == due_ns:
                return
            line.timer.cancel()
        line.due_ns = due_ns
        line.timer = asyncio.get_running_loop().call_later(max(after_s, _SOONEST_S), self._wake, line)

    def _disarm(self, line: Line) -> None:
        self._lines.discard(line)
        if line.timer is not None:
            line.timer.cancel()
            line.timer = None

    def _wake(self, line: Line) -> None:
        line.timer = None
        self.serve(line)
