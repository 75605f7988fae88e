"""Who is told what, and when: at once, gathered, again, and never twice."""

from __future__ import annotations

import pytest

from proxy.controlplane.notices.board import Alert
from proxy.controlplane.notices.told import Told, forget, make_ear, note, plan
from proxy.notify import Channel, Notify
from tests.controlplane.notices.conftest import START_S, make_alert

NOTIFY = Notify(gather_s=60, repeat_s=3600)
A, B, LOW = make_alert("a"), make_alert("b"), make_alert("c", "WeighbridgeAgentRefused", severity="warning")


class Receiver:
    """A channel that takes every notice."""

    def __init__(self, notify: Notify = NOTIFY, severity: str = "info") -> None:
        self.told: dict[str, Told] = {}
        self.notify = notify
        self.hears = make_ear(notify, Channel("ops", "webhook", severity=severity))

    def look(self, at_s: float, *firing: Alert) -> list[tuple[str, list[str], list[str]]]:
        """(name, firing, resolved) of every notice at this second."""
        now_s = START_S + at_s
        forget(self.told, now_s, self.notify)
        notices = plan(self.told, firing, self.hears, now_s, self.notify)
        for notice in notices:
            note(self.told, notice)
        return [(one.name[11:], name_agents(one.firing), name_agents(one.resolved)) for one in notices]


def name_agents(alerts: list[Alert]) -> list[str]:
    return [alert.labels["agent"] for alert in alerts]


def test_what_is_new_is_told_at_once_and_what_is_over_as_well() -> None:
    receiver = Receiver()
    assert receiver.look(0) == []
    assert receiver.look(30, A, LOW) == [("AgentSilent", ["a"], []), ("AgentRefused", ["c"], [])]
    assert receiver.look(60, A, LOW) == []
    assert receiver.look(90, LOW) == [("AgentSilent", [], ["a"])]
    assert receiver.look(120, LOW) == []
    assert receiver.look(150, A, LOW) == [("AgentSilent", ["a"], [])]


def test_further_changes_are_gathered() -> None:
    receiver = Receiver()
    assert receiver.look(0, A) == [("AgentSilent", ["a"], [])]
    assert receiver.look(30, A, B) == []
    assert receiver.look(60, A, B) == [("AgentSilent", ["a", "b"], [])]
    assert receiver.look(90, B) == []
    assert receiver.look(120, B) == [("AgentSilent", ["b"], ["a"])]


def test_what_comes_and_goes_makes_no_flood() -> None:
    receiver, notices = Receiver(), 0
    for second in range(0, 600, 10):
        notices += len(receiver.look(second, *([A] if second % 20 else [])))
    assert notices <= 10


def test_what_still_holds_is_told_again_after_long() -> None:
    receiver = Receiver()
    times = [second for second in range(0, 8000, 30) if receiver.look(second, A)]
    assert times == [0, 3600, 7200]


def test_what_a_channel_was_not_told_it_is_told_later_and_what_is_over_by_then_not_at_all() -> None:
    told: dict[str, Told] = {}
    hears = make_ear(NOTIFY, Channel("ops", "webhook"))
    assert [one.firing for one in plan(told, [A], hears, START_S, NOTIFY)] == [[A]]
    assert [one.firing for one in plan(told, [A, B], hears, START_S + 1, NOTIFY)] == [[A, B]]  # the receiver took nothing so far
    assert plan(told, [], hears, START_S + 2, NOTIFY) == []


def test_the_end_is_told_with_its_time() -> None:
    receiver = Receiver()
    receiver.look(0, A)
    (notice,) = plan(receiver.told, [], receiver.hears, START_S + 500, NOTIFY)
    assert notice.is_over and (notice.resolved[0].ended_s, notice.resolved[0].since_s) == (START_S + 500, A.since_s)


def test_a_channel_hears_from_its_severity_on() -> None:
    assert Receiver(severity="critical").look(0, A, LOW) == [("AgentSilent", ["a"], [])]
    assert len(Receiver(severity="warning").look(0, A, LOW)) == 2


@pytest.mark.parametrize(
    ("silence", "heard"),
    [
        (["WeighbridgeAgentSilent"], ["c"]),
        (["WeighbridgeAgentSilent agent=a"], ["b", "c"]),
        (["WeighbridgeAgentSilent agent=[ab]", "WeighbridgeAgentRefused team=*"], []),
        (["WeighbridgeAgentSilent agent=a team=x"], ["a", "b", "c"]),
    ],
)
def test_what_is_silenced_is_not_told(silence: list[str], heard: list[str]) -> None:
    receiver = Receiver(Notify(silence=silence))
    assert [agent for _, firing, _ in receiver.look(0, A, B, LOW) for agent in firing] == heard


def test_what_is_silenced_later_is_not_told_to_be_over() -> None:
    receiver = Receiver()
    receiver.look(0, A)
    receiver.hears = make_ear(Notify(silence=["WeighbridgeAgentSilent"]), Channel("ops", "webhook"))
    assert receiver.look(100, A) == [] and receiver.look(200) == []


def test_what_is_over_and_told_is_forgotten() -> None:
    receiver = Receiver()
    receiver.look(0, A)
    receiver.look(70)
    receiver.look(140)
    assert receiver.told == {}
