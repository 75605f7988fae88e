"""What the fleet knows, for agents with series of their own."""

from __future__ import annotations

from proxy.controlplane.fleet import Fleet
from proxy.controlplane.metrics.agents import AgentCounts
from proxy.controlplane.metrics.fleet import make_fleet_gauges
from proxy.observing import Fleet as Settings
from proxy.observing import Shown
from tests.controlplane.conftest import START_NS


def test_limits_and_stuck_tasks_are_shown_by_agent_and_others_together(weigh, read) -> None:
    fleet, agents = Fleet(Settings(silence={"a": 60}), lambda: START_NS / 1e9 + 100), AgentCounts(Shown(agents=2))
    calls = [weigh(number, agent=agent, task=agent) for number in range(20) for agent in ("a", "b", "c")]
    fleet.observe(calls)
    agents.observe(calls)
    found = read(make_fleet_gauges(fleet, agents)())
    assert {name: value for name, value in found.items() if name.startswith("agent")} == {
        "agent_silence_limit_seconds{agent=a,team=}": 60,
        "agent_stuck_tasks{agent=a,team=}": 1,
        "agent_stuck_tasks{agent=b,team=}": 1,
        "agent_stuck_tasks{agent=other,team=}": 1,
        "agents{}": 3,
    }
    assert found["open_tasks{}"] == 0
