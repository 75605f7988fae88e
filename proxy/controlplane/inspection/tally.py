"""What the evaluators said and how they fared, counted for /metrics."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric

from evaluators.verdict import Verdict

MAX_AGENTS = 200  # with series of their own; the others together are `other`
_MOST_LABELS = 40  # that an evaluator of somebody else's may use
_SECONDS = (0.000005, 0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.001, 0.005, 0.025, 0.1, 0.5, 2.5)


class Tally:
    """Counts, for any thread."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self.calls = 0
        self.failures: dict[tuple[str, str], int] = {}  # evaluator, reason
        self.skipped: dict[tuple[str, str], int] = {}  # evaluator, reason
        self.missed: dict[str, int] = {}  # part of a question → calls
        self.dropped: dict[str, int] = {}  # reason → samples
        self._labels: dict[str, dict[str, int]] = {}
        self._agents: dict[tuple[str, str, str, str], int] = {}
        self._named: set[str] = set()
        self._seconds: dict[str, tuple[list[int], list[float]]] = {}

    def count(self, agent: str, team: str | None, verdict: Verdict) -> None:
        """One verdict on a call of an agent."""
        with self._turn:
            labels = self._labels.setdefault(verdict.name, {})
            label = verdict.label if verdict.label in labels or len(labels) < _MOST_LABELS else "other"
            labels[label] = labels.get(label, 0) + 1
            if agent not in self._named:
                if len(self._named) < MAX_AGENTS:
                    self._named.add(agent)
                else:
                    agent, team = "other", None
            key = (agent, team or "", verdict.name, "fail" if verdict.failed else "pass")
            self._agents[key] = self._agents.get(key, 0) + 1

    def time(self, evaluator: str, seconds: float) -> None:
        """How long an evaluator took for one call."""
        with self._turn:
            buckets, total = self._seconds.setdefault(evaluator, ([0] * (len(_SECONDS) + 1), [0.0]))
            buckets[bisect_left(_SECONDS, seconds)] += 1
            total[0] += seconds

    def fail(self, evaluator: str, reason: str) -> None:
        """An evaluator gave no verdict where it should have."""
        with self._turn:
            self.failures[evaluator, reason] = self.failures.get((evaluator, reason), 0) + 1

    def skip(self, evaluator: str, reason: str) -> None:
        """An evaluator was not asked, as the config has it."""
        with self._turn:
            self.skipped[evaluator, reason] = self.skipped.get((evaluator, reason), 0) + 1

    def miss(self, part: str) -> None:
        """A part of a call's question is not known, for the request was too long."""
        with self._turn:
            self.missed[part] = self.missed.get(part, 0) + 1

    def drop(self, reason: str, samples: int = 1) -> None:
        """Samples that nobody judges."""
        with self._turn:
            self.dropped[reason] = self.dropped.get(reason, 0) + samples

    def collect(self) -> Iterator[Metric]:
        """All of it."""
        yield CounterMetricFamily("weighbridge_evaluated_calls", "Calls that were inspected.", self.calls)
        verdicts = CounterMetricFamily("weighbridge_verdicts", "Verdicts, by what was found.", labels=["evaluator", "label"])
        for name, labels in list(self._labels.items()):
            for label, count in list(labels.items()):
                verdicts.add_metric([name, label], count)
        yield verdicts
        agents = CounterMetricFamily(
            "weighbridge_agent_verdicts", "Verdicts on the calls of each agent.", labels=["agent", "team", "evaluator", "verdict"]
        )
        for key, count in list(self._agents.items()):
            agents.add_metric(key, count)
        yield agents
        failures = CounterMetricFamily("weighbridge_evaluator_failures", "Verdicts that were not given, by why.", labels=["evaluator", "reason"])
        for (name, reason), count in list(self.failures.items()):
            failures.add_metric([name, reason], count)
        yield failures
        skipped = CounterMetricFamily("weighbridge_evaluator_skipped", "Answers that an evaluator did not judge.", labels=["evaluator", "reason"])
        for key, count in list(self.skipped.items()):
            skipped.add_metric(key, count)
        yield skipped
        missed = CounterMetricFamily("weighbridge_questions_missed", "Inspected calls whose request was too long to know all of it.", labels=["part"])
        for part, count in list(self.missed.items()):
            missed.add_metric([part], count)
        yield missed
        dropped = CounterMetricFamily("weighbridge_evaluations_dropped", "Samples that were not inspected, by why.", labels=["reason"])
        for reason, count in list(self.dropped.items()):
            dropped.add_metric([reason], count)
        yield dropped
        seconds = HistogramMetricFamily("weighbridge_evaluator_seconds", "How long an evaluator takes for a call.", labels=["evaluator"])
        for name, (buckets, total) in list(self._seconds.items()):
            below, cumulative = 0, []
            for bound, count in zip((*map(str, _SECONDS), "+Inf"), list(buckets), strict=True):
                below += count
                cumulative.append((bound, float(below)))
            seconds.add_metric([name], cumulative, total[0])
        yield seconds
