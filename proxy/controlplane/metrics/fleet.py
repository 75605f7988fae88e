"""What the fleet knows of agents and their tasks, for those that have series of their own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from proxy.controlplane.fleet import Fleet
from proxy.controlplane.metrics.agents import LABELS, AgentCounts


def make_fleet_gauges(fleet: Fleet, agents: AgentCounts) -> Callable[[], Iterator[Metric]]:
    """A function that yields them as they are when it is called."""

    def collect() -> Iterator[Metric]:
        limits = GaugeMetricFamily("weighbridge_agent_silence_limit_seconds", "How long an agent may be silent, where that is known.", labels=LABELS)
        stuck = GaugeMetricFamily("weighbridge_agent_stuck_tasks", "Tasks that make no calls any more, or go round in circles.", labels=LABELS)
        counts = Counter(tuple(agents.label(agent or "")) for agent, _ in fleet.list_stuck())
        shown = {tuple(labels): agent for agent, labels in agents.list_seats()}
        for labels in shown | counts:
            stuck.add_metric(labels, counts[labels])
        for labels, agent in shown.items():
            standing = fleet.find(agent)
            if standing is not None and standing.limit_s is not None:
                limits.add_metric(labels, standing.limit_s)
        yield from (limits, stuck)
        yield GaugeMetricFamily("weighbridge_agents", "Agents seen.", fleet.known)
        yield GaugeMetricFamily("weighbridge_open_tasks", "Tasks that were opened by order and not closed.", fleet.open_tasks)
        yield CounterMetricFamily("weighbridge_fleet_failures", "Looks into the database for agents and tasks that failed.", fleet.failures)

    return collect
