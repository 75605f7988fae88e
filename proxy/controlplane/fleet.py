"""The fleet: which agents there are, when each was seen last, how long it may be silent, and which of its tasks are stuck.

It is fed with the calls as they are loaded and, once at the start, with what the database holds, so that a restart forgets nothing. How long an agent
may be silent is what `fleet.silence` says of it, else what its cadence tells (`proxy.controlplane.cadence`).

A task is stuck that was opened by order and not closed, and has made no call for longer than its agent may be silent (an hour, where that
is not known); or that goes round in a circle: the same request by its kind, model and length in bytes, with the same ending, twenty
times and more without another one between, the last time within ten minutes. Two different requests of the same length are one
to it, and embeddings, of which that is nothing unusual, are left out.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from fnmatch import translate

import duckdb
import msgspec

from proxy.controlplane.cadence import DAY_S, GONE_S, HOUR_S, Cadence, measure
from proxy.controlplane.events import Weighed
from proxy.controlplane.history import read_agents, read_hours, read_open_tasks, read_pauses, read_task_calls
from proxy.controlplane.reports import Query, Report
from proxy.controlplane.store import QueryTooLong, StoreAway
from proxy.observing import Fleet as Settings

log = logging.getLogger("weighbridge.fleet")
_NANO = 1e9
_MOST_AGENTS = 20_000
_MOST_CIRCLES = 5000  # tasks whose requests are compared
_CIRCLE = 20
_CIRCLE_LASTS_S = 600.0
_NO_CIRCLE = frozenset({"embeddings", "rerank", "moderation", "count_tokens", "models", "files", "batches"})
_TASK_LIMIT_S = 3600.0
_LEARN_EVERY_S = 600.0  # a limit is worked out anew
_LOOK_EVERY_S = 10.0  # after open tasks


class Agent:
    """What is known of one agent."""

    __slots__ = ("cadence", "learned_s", "limit_s", "name", "quiet", "team")

    def __init__(self, name: str, team: str, first_s: float) -> None:
        self.name = name
        self.team = team
        self.cadence = Cadence(first_s)
        self.limit_s: float | None = None  # without quiet hours
        self.quiet: list[bool] = []
        self.learned_s = -_LEARN_EVERY_S


class OpenTask(msgspec.Struct):
    """A task that was opened by order and not closed."""

    agent: str | None
    last_s: float  # its newest call, or when it was opened


class Circle(msgspec.Struct):
    """The newest request of a task, and how often it came in a row."""

    agent: str
    request: tuple
    count: int
    last_s: float


class Standing(msgspec.Struct, frozen=True):
    """How an agent stands. `limit_s` grows while quiet hours pass; None: not known, or never silent by the config."""

    agent: str
    team: str
    first_s: float
    last_s: float
    limit_s: float | None
    is_silent: bool


class Fleet:
    """May be asked by any thread; `observe` and `restore` belong to one."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.time) -> None:
        self.failures = 0  # of looking into the database
        self._clock = clock
        self._lock = threading.Lock()
        self._agents: dict[str, Agent] = {}
        self._open: dict[str, OpenTask] = {}
        self._circles: OrderedDict[str, Circle] = OrderedDict()
        self._known = 0
        self.configure(settings)

    def configure(self, settings: Settings) -> None:
        """Take other limits; what was learned stays."""
        self._learn_s = settings.learn_days * DAY_S
        self._told = [(re.compile(translate(pattern)).match, seconds) for pattern, seconds in settings.silence.items()]

    # --- what comes in --------------------------------------------------------------------------------------------

    def observe(self, weighed: list[Weighed]) -> None:
        """Take note of calls that have been loaded."""
        with self._lock:
            agents = self._agents
            for call in weighed:
                began_s = call.started_ns / _NANO
                ended_s = began_s + (call.duration_ns or 0) / _NANO
                agent = agents.get(call.agent) or self._meet(call.agent, call.team or "", began_s)
                agent.cadence.note(began_s, ended_s)
                if call.task is not None:
                    self._follow(call, call.task, ended_s)

    def _meet(self, name: str, team: str, first_s: float) -> Agent:
        if len(self._agents) >= _MOST_AGENTS:  # those that were seen last stay
            oldest = sorted(self._agents.values(), key=lambda one: one.cadence.last_s)[: _MOST_AGENTS // 4]
            for one in oldest:
                del self._agents[one.name]
        agent = self._agents[name] = Agent(name, team, first_s)
        self._known += 1
        return agent

    def _follow(self, call: Weighed, task: str, ended_s: float) -> None:
        known = self._open.get(task)
        if known is not None:
            known.agent, known.last_s = call.agent, max(known.last_s, ended_s)
        if call.operation in _NO_CIRCLE:
            return
        request = (call.operation, call.model_asked, call.request_bytes, call.outcome, call.finish)
        circle = self._circles.get(task)
        if circle is None:
            self._circles[task] = Circle(call.agent, request, 1, ended_s)
            if len(self._circles) > _MOST_CIRCLES:
                self._circles.popitem(last=False)
        else:
            circle.count = circle.count + 1 if circle.request == request else 1
            circle.request, circle.last_s, circle.agent = request, ended_s, call.agent
            self._circles.move_to_end(task)

    def restore(self, query: Query) -> list[tuple[str, str, float]]:
        """Learn from the database what was known before a restart: (agent, team, last seen) of all, the latest first.

        Where the database fails, everything is learned anew from here on.
        """
        now_s = self._clock()
        try:
            found = read_agents(query, _MOST_AGENTS)
            hours, pauses = read_hours(query, now_s), read_pauses(query, now_s)
        except (duckdb.Error, QueryTooLong, StoreAway) as error:
            self.failures += 1
            log.warning("what is known of the agents could not be read and is learned anew: %s", str(error).splitlines()[0])
            return []
        with self._lock:
            for row in found:
                agent = self._agents[row.agent] = Agent(row.agent, row.team, row.first_s)
                cadence = agent.cadence
                cadence.last_s, cadence.calls, cadence.hour = row.last_s, row.calls, int(row.last_s // HOUR_S)
                if (known := hours.get(row.agent)) is not None:
                    cadence.cells, cadence.since_day = known
                cadence.pauses.extend(pauses.get(row.agent, ()))
            self._known = len(self._agents)
        return [(row.agent, row.team, row.last_s) for row in found]

    def run(self, query: Query, stopping: threading.Event) -> None:
        """Look after open tasks until told to stop."""
        while not stopping.wait(_LOOK_EVERY_S):
            self.look(query)

    def look(self, query: Query) -> None:
        """See which tasks are open."""
        try:
            opened = read_open_tasks(query)
            fresh = [task for task in opened if task not in self._open]
            called = read_task_calls(query, fresh) if fresh else {}
        except StoreAway:
            return
        except (duckdb.Error, QueryTooLong) as error:
            self.failures += 1
            log.warning("which tasks are open could not be read: %s", str(error).splitlines()[0])
            return
        with self._lock:
            for task in [one for one in self._open if one not in opened]:
                del self._open[task]
            for task in fresh:
                agent, at_s = opened[task]
                caller, last_s = called.get(task, (None, 0.0))
                self._open[task] = OpenTask(caller or agent, max(at_s, last_s))

    # --- what is asked --------------------------------------------------------------------------------------------

    @property
    def known(self) -> int:
        """How many agents were seen."""
        return self._known

    @property
    def open_tasks(self) -> int:
        """How many tasks were opened by order and not closed."""
        return len(self._open)

    def find(self, name: str) -> Standing | None:
        """How an agent stands now; None: it was not seen."""
        with self._lock:
            agent = self._agents.get(name)
            if agent is None:
                return None
            now_s, last_s = self._clock(), agent.cadence.last_s
            limit_s = self._limit(name, last_s, now_s)
            is_silent = limit_s is not None and now_s - last_s > limit_s
            return Standing(name, agent.team, agent.cadence.first_s, last_s, limit_s, is_silent)

    def list_stuck(self) -> list[tuple[str | None, str]]:
        """(agent, task) of all tasks that are stuck now."""
        with self._lock:
            now_s = self._clock()
            found: dict[str, str | None] = {}
            for task, circle in self._circles.items():
                if circle.count >= _CIRCLE and now_s - circle.last_s < _CIRCLE_LASTS_S:
                    found[task] = circle.agent
            for task, known in self._open.items():
                limit_s = self._limit(known.agent, known.last_s, now_s) if known.agent is not None else None
                if now_s - known.last_s > (limit_s or _TASK_LIMIT_S):
                    found[task] = known.agent
            return [(agent, task) for task, agent in found.items()]

    def _limit(self, name: str, since_s: float, now_s: float) -> float | None:
        """How long an agent may be silent that was heard of last at `since_s`."""
        for matches, seconds in self._told:
            if matches(name):
                return seconds or None
        agent = self._agents.get(name)
        if agent is None:
            return None
        if now_s - agent.learned_s >= _LEARN_EVERY_S:
            agent.learned_s = now_s
            agent.quiet = agent.cadence.find_quiet()
            agent.limit_s = agent.cadence.learn(self._learn_s, agent.quiet)
        if agent.limit_s is None or now_s - since_s > GONE_S:
            return None
        if now_s <= since_s:
            return agent.limit_s
        return agent.limit_s + (now_s - since_s) - measure(since_s, now_s, agent.quiet)


def add_silence(made: Report, find: Callable[[str], Standing | None], now_ns: int) -> Report:
    """The inventory, with how long each agent has been silent, how long it may be, and whether that is too long."""
    name, rows = made.columns.index("agent"), []
    for row in made.rows:
        one = find(row[name])
        silence = None if one is None else max(0, now_ns - int(one.last_s * 1e9))
        limit = None if one is None or one.limit_s is None else int(one.limit_s * 1e9)
        rows.append([*row, silence, limit, None if limit is None else one.is_silent])
    return msgspec.structs.replace(made, columns=[*made.columns, "silence_ns", "silence_limit_ns", "is_silent"], rows=rows)
