"""A line of calls before a limit: bounded, first come first served within an agent, and agents take turns."""

from __future__ import annotations

import asyncio
from collections import deque

import msgspec

from proxy.errors import Refusal
from proxy.rules import Queue

_SAYS = {
    "policy_rate_limited": "The limit {limit} allows {bound:.15g} {unit} a minute, and that much was used; try again in {after} s.",
    "policy_too_many_running": "The limit {limit} allows {bound:.15g} calls at once, and so many are running; try again in {after} s.",
    "policy_upstream_limited": "The provider's own limit for this model and credential is used up; try again in {after} s.",
}


class Wait(msgspec.Struct, frozen=True):
    """Why a call cannot go now, and where it may wait."""

    refusal: str  # its name in proxy.errors, should it not wait
    limit: str  # the name of the limit; of a provider's limit, the upstream
    unit: str  # requests | input_tokens | output_tokens | tokens | calls (at once)
    bound: float | None  # of the limit: a minute, or at once; None: not known
    scope: dict[str, str]  # dimension → name
    after_s: float  # from now: when it would fit if nothing else happened
    earliest_s: float  # from now: it cannot fit sooner whatever happens
    line: Line


class Waiter:
    """A call that waits."""

    __slots__ = ("agent", "ask", "deadline_ns", "done", "found", "id", "is_in", "line", "order", "refused", "since_ns")

    def __init__(self, id: str, agent: str, ask: tuple, order: int, since_ns: int, done: asyncio.Future[None]) -> None:
        self.id = id
        self.agent = agent
        self.ask = ask  # what it takes to try again
        self.order = order
        self.since_ns = since_ns
        self.done = done
        self.is_in = False
        self.refused: Refusal | None = None
        self.line: Line | None = None
        self.found: Wait | None = None  # what it waits for
        self.deadline_ns = 0


class Line:
    """The waiting calls of one account. Each agent has a row of its own; the first row is served next, then goes to the end."""

    __slots__ = ("_last_ns", "_pace_ns", "count", "due_ns", "queue", "rank", "rows", "timer")

    def __init__(self, queue: Queue, rank: int) -> None:
        self.queue = queue
        self.rank = rank  # calls pass lines in this order
        self.rows: dict[str, deque[Waiter]] = {}
        self.count = 0
        self.timer: asyncio.TimerHandle | None = None
        self.due_ns = 0
        self._pace_ns = 0.0  # between two calls served, lately
        self._last_ns = 0

    @property
    def first(self) -> Waiter:
        """Whose turn it is. Raises StopIteration where nobody waits."""
        return next(iter(self.rows.values()))[0]

    def add(self, waiter: Waiter) -> None:
        """Stand in the row of its agent, by its time of coming."""
        row = self.rows.setdefault(waiter.agent, deque())
        place = len(row)
        while place and row[place - 1].order > waiter.order:
            place -= 1
        row.insert(place, waiter)
        self.count += 1
        waiter.line = self

    def remove(self, waiter: Waiter) -> None:
        """Leave without having been served."""
        row = self.rows[waiter.agent]
        row.remove(waiter)
        if not row:
            del self.rows[waiter.agent]
        self.count -= 1
        waiter.line = None

    def serve_first(self, now_ns: int) -> Waiter:
        """The first leaves, and its agent's next turn comes after those of all others."""
        agent = next(iter(self.rows))
        row = self.rows.pop(agent)
        waiter = row.popleft()
        if row:
            self.rows[agent] = row
        self.count -= 1
        waiter.line = None
        if self._last_ns:
            gap = now_ns - max(self._last_ns, waiter.since_ns)
            self._pace_ns += (gap - self._pace_ns) / 8 if self._pace_ns else gap
        self._last_ns = now_ns
        return waiter

    def find_victim(self, agent: str) -> Waiter | None:
        """Who must go so that a call of this agent can wait in a full line: the newest of the agent that has the most; None: nobody."""
        mine = len(self.rows.get(agent, ()))
        if mine >= self.queue.length // (len(self.rows) + (not mine)):
            return None
        return max(self.rows.values(), key=len)[-1]

    def refuse(self, wait: Wait, agent: str) -> Refusal:
        """The refusal of a call of this agent, with an honest time to try again."""
        mine = len(self.rows.get(agent, ())) + 1
        before = sum(min(len(row), mine) for row in self.rows.values())
        after_s = max(wait.after_s, before * self._pace_ns / 1e9, 0.001)
        says = _SAYS[wait.refusal].format(limit=wait.limit, bound=wait.bound, unit=wait.unit.replace("_", " "), after=f"{max(1.0, after_s):.0f}")
        details = {"limit": wait.limit, "unit": wait.unit, "allowed": wait.bound, "scope": wait.scope, "waiting": self.count}
        return Refusal(wait.refusal, says, details, retry_after_s=after_s)
