"""What /metrics tells of drift."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest
from prometheus_client.core import Metric

from proxy.controlplane.metrics.agents import AgentCounts
from proxy.controlplane.streams.gauges import DriftGauges
from proxy.controlplane.streams.streams import Streams
from proxy.observing import Shown
from tests.controlplane.streams.conftest import alarm_of, send


def read(families: list[Metric], name: str) -> dict[tuple[str, ...], float]:
    (family,) = (one for one in families if one.name == name)
    return {tuple(sample.labels.values()): sample.value for sample in family.samples}


def test_the_worst_stream_of_an_agent_and_its_alarms_from_0_on(make: Callable[..., Streams]) -> None:
    streams, agents = make(), AgentCounts(Shown())
    gauges = DriftGauges(streams, agents)
    assert read(list(gauges.collect()), "weighbridge_agent_drift_alarms") == {}
    alarm_of(streams)
    streams.watch(*send(1, model_asked="else"))
    agents.seat("a", "t", 1)  # its calls are loaded after they were judged
    found = list(gauges.collect())
    assert read(found, "weighbridge_agent_drift_state") == {("a", "t"): 2}
    assert read(found, "weighbridge_agent_drift_alarms") == {("a", "t", "certain"): 1, ("a", "t", "likely"): 0}
    ((agent, team, cause),) = read(found, "weighbridge_agent_drift_cause")
    assert (agent, team) == ("a", "t") and cause.startswith("certain change since answer") and len(cause) <= 300
    assert read(found, "weighbridge_drift_streams") == {("learning",): 1, ("watching",): 0, ("alarmed",): 1}
    streams.settle("accept", ["a"], {}, every=False)
    found = list(gauges.collect())
    assert read(found, "weighbridge_agent_drift_state") == {("a", "t"): 0}
    assert read(found, "weighbridge_agent_drift_cause") == {}
    assert read(found, "weighbridge_agent_drift_alarms")["a", "t", "certain"] == 1


def test_agents_without_series_of_their_own_are_one(make: Callable[..., Streams]) -> None:
    streams = make()
    gauges = DriftGauges(streams, AgentCounts(Shown()))
    for agent in "ab":
        streams.watch(*send(1, agent=agent))
    streams.skipped, streams.forgotten, streams.failures["save"] = 3, 4, 5
    found = list(gauges.collect())
    assert read(found, "weighbridge_agent_drift_state") == {("other", ""): 0}
    assert read(found, "weighbridge_drift_skipped_answers") == {(): 3}
    assert read(found, "weighbridge_drift_forgotten_streams") == {(): 4}
    assert read(found, "weighbridge_drift_state_failures") == {("judge",): 0, ("load",): 0, ("save",): 5}


def test_of_several_alarms_the_newest_says_why(make: Callable[..., Streams], monkeypatch: pytest.MonkeyPatch) -> None:
    streams = make()
    gauges = DriftGauges(streams, AgentCounts(Shown()))
    alarm_of(streams)
    (told,) = streams.describe()
    alarms = [msgspec.structs.replace(told.alarm, at_ns=at_ns, cause=cause) for at_ns, cause in ((5, "new"), (3, "old"))]
    new, old = (msgspec.structs.replace(told, alarm=alarm) for alarm in alarms)
    for order in ([new, old], [old, new]):
        monkeypatch.setattr(streams, "describe", lambda order=order: order)
        assert list(read(list(gauges.collect()), "weighbridge_agent_drift_cause")) == [("other", "", "new")]
