"""Manners: how each evaluator judges each agent's answers (how many of them, in what time, at what cost, how gravely), and what it has taken so far.

What is over its cost in a minute is not asked until the next one begins; one that is late three times in a row rests for a minute. Both concern
one evaluator on one agent's answers, so that an agent with costly answers takes nothing from the others.
"""

from __future__ import annotations

import fnmatch
import threading
import time
from collections import OrderedDict
from collections.abc import Callable

import msgspec

from evaluators.verdict import PASS, Severity, Verdict
from proxy.inspecting import BUILT_IN, DRIFT, Evaluators

FAILURES = 3
REST_S = 60.0
CPU_CAP, RESTING = "cpu_cap", "resting"
_MINUTE_S = 60.0
_MOST_KEPT = 10_000  # agents with their tasks, and rations


class Bounds(msgspec.Struct, frozen=True):
    """What holds for one evaluator on one agent's answers; None is no bound of ours."""

    share: float = 1.0
    timeout_s: float | None = None
    cpu_s: float | None = None  # in each minute

    @property
    def is_rationed(self) -> bool:
        """Whether what it takes must be kept."""
        return self.timeout_s is not None or self.cpu_s is not None


class Manners(msgspec.Struct, frozen=True):
    """What holds for all evaluators on one agent's answers."""

    bounds: dict[str, Bounds]
    severities: dict[str, Severity] = {}

    def grade(self, verdict: Verdict) -> Verdict:
        """The verdict, as grave as it is for this agent. What found nothing stays what it is."""
        if not self.severities or verdict.label == PASS:
            return verdict
        severity = self.severities.get(f"{verdict.name}/{verdict.label}", self.severities.get(verdict.name))
        return verdict if severity is None else msgspec.structs.replace(verdict, severity=severity)


class Register:
    """Finds the manners of an agent's answers to a task; for any thread."""

    def __init__(self, evaluators: Evaluators) -> None:
        shares = {**dict.fromkeys((*BUILT_IN, DRIFT), 1.0), **evaluators.shares, **{one.name: one.share for one in evaluators.own}}
        self._usual = Manners({name: Bounds(share) for name, share in shares.items()})
        self._rules = evaluators.agents
        self._known: dict[tuple[str, str], Manners] = {}

    def find(self, agent: str, task: str | None) -> Manners:
        """All entries that fit hold, field by field; a later one before an earlier one."""
        if not self._rules:
            return self._usual
        key = (agent, task or "")
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= _MOST_KEPT:
                self._known = {}
            found = self._known[key] = self._make(*key)
        return found

    def _make(self, agent: str, task: str) -> Manners:
        bounds, severities = dict(self._usual.bounds), {}
        for rule in self._rules:
            if fnmatch.fnmatchcase(agent, rule.agent) and fnmatch.fnmatchcase(task, rule.task):
                given = (("share", rule.share), ("timeout_s", rule.timeout_s), ("cpu_s", rule.cpu_s_per_minute))
                changed = {name: number for name, number in given if number is not None}
                for name in rule.evaluators or bounds:
                    bounds[name] = msgspec.structs.replace(bounds[name], **changed)
                severities |= rule.severity
        return Manners(bounds, severities)


class _Ration:
    """What one evaluator has taken for one agent."""

    __slots__ = ("began", "taken_s", "late", "rests_until")

    def __init__(self) -> None:
        self.began = self.rests_until = float("-inf")
        self.taken_s = 0.0
        self.late = 0


class Rations:
    """What the evaluators have taken for each agent; for any thread. The one not heard of longest is forgotten where there are too many."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._turn = threading.Lock()
        self._rations: OrderedDict[tuple[str, str], _Ration] = OrderedDict()  # evaluator, agent

    def refuse(self, evaluator: str, agent: str, bounds: Bounds) -> str | None:
        """Why the evaluator is not to be asked now: `cpu_cap` or `resting`; None: it may be."""
        now = self._clock()
        with self._turn:
            ration = self._find(evaluator, agent)
            if now < ration.rests_until:
                return RESTING
            if now - ration.began >= _MINUTE_S:
                ration.began, ration.taken_s = now, 0.0
            return CPU_CAP if bounds.cpu_s is not None and ration.taken_s >= bounds.cpu_s else None

    def take(self, evaluator: str, agent: str, taken_s: float, *, is_late: bool) -> None:
        """It was asked, took so long, and was late or not."""
        with self._turn:
            ration = self._find(evaluator, agent)
            ration.taken_s += taken_s
            ration.late = ration.late + 1 if is_late else 0
            if ration.late >= FAILURES:
                ration.late, ration.rests_until = 0, self._clock() + REST_S

    def _find(self, evaluator: str, agent: str) -> _Ration:
        key = (evaluator, agent)
        ration = self._rations.get(key)
        if ration is None:
            ration = self._rations[key] = _Ration()
            if len(self._rations) > _MOST_KEPT:
                self._rations.popitem(last=False)
        self._rations.move_to_end(key)
        return ration
