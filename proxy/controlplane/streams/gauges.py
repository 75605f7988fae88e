"""What /metrics tells of drift."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from proxy.controlplane.metrics.agents import LABELS, AgentCounts
from proxy.controlplane.streams.streams import Streams
from proxy.controlplane.streams.told import ALARMED, LEARNING, WATCHING, LastAlarm
from proxy.record import AlarmEvent
from proxy.record import Sample as Sent

STATES = {LEARNING: 0, WATCHING: 1, ALARMED: 2}
SEVERITIES = ("certain", "likely")
_MOST_CAUSE = 300  # characters


class DriftGauges:
    """For any thread. Whose labels an alarm is counted under is seen when it is first shown: its calls may be loaded later than they are judged."""

    def __init__(self, streams: Streams, agents: AgentCounts) -> None:
        self._streams = streams
        self._agents = agents
        self._turn = threading.Lock()
        self._fresh: list[tuple[str, str]] = []  # agent, severity
        self._raised: Counter[tuple[str, str, str]] = Counter()  # agent, team, severity
        streams.hearers.append(self.count)

    def count(self, event: AlarmEvent, _: Sent) -> None:
        """One alarm."""
        with self._turn:
            self._fresh.append((event.agent, event.severity))

    def _count_all(self) -> dict[tuple[str, str, str], int]:
        with self._turn:
            for name, severity in self._fresh:
                agent, team = self._agents.label(name)
                self._raised[agent, team, severity] += 1
            self._fresh.clear()
            return dict(self._raised)

    def collect(self) -> Iterator[Metric]:
        """The families as they are now."""
        state = GaugeMetricFamily("weighbridge_agent_drift_state", "Drift of an agent's answers: 0 learning, 1 watching, 2 alarmed.", labels=LABELS)
        alarms = CounterMetricFamily("weighbridge_agent_drift_alarms", "Drift alarms of an agent.", labels=[*LABELS, "severity"])
        streams = GaugeMetricFamily("weighbridge_drift_streams", "Streams of answers that are watched for drift.", labels=["state"])
        causes = GaugeMetricFamily("weighbridge_agent_drift_cause", "Why an agent is alarmed, in words; 1.", labels=[*LABELS, "cause"])
        worst: dict[tuple[str, str], int] = {}
        newest: dict[tuple[str, str], LastAlarm] = {}
        states: Counter[str] = Counter()
        for told in self._streams.describe():
            agent, team = self._agents.label(told.agent)
            worst[agent, team] = max(worst.get((agent, team), 0), STATES[told.state])
            states[told.state] += 1
            alarm = told.alarm if told.state == ALARMED else None
            if alarm is not None and ((agent, team) not in newest or newest[agent, team].at_ns < alarm.at_ns):
                newest[agent, team] = alarm
        raised = {(*labels, severity): 0 for labels in worst for severity in SEVERITIES} | self._count_all()  # from 0 on: the first is an increase
        for labels, value in worst.items():
            state.add_metric(labels, value)
        for labels, count in raised.items():
            alarms.add_metric(labels, count)
        for labels, alarm in newest.items():
            causes.add_metric([*labels, alarm.cause[:_MOST_CAUSE]], 1)
        for name in STATES:
            streams.add_metric([name], states[name])
        yield from (state, alarms, causes, streams)
        yield CounterMetricFamily("weighbridge_drift_skipped_answers", "Answers that drift had no time for.", self._streams.skipped)
        yield CounterMetricFamily("weighbridge_drift_forgotten_streams", "Streams that gave their place to others.", self._streams.forgotten)
        failures = CounterMetricFamily("weighbridge_drift_state_failures", "Streams that could not be saved, loaded or judged.", labels=["what"])
        for what, count in self._streams.failures.items():
            failures.add_metric([what], count)
        yield failures
