"""Pending, firing, over: with a clock that the test moves, over restarts, and where a condition fails."""

from __future__ import annotations

from collections.abc import Iterable

from proxy.controlplane.notices.board import MOST_OF_ONE, Board
from proxy.controlplane.notices.conditions.condition import Condition, Finding
from proxy.controlplane.notices.window import Window
from proxy.notify import Thresholds
from tests.controlplane.notices.conftest import START_S, make_alert

NAME = "WeighbridgeAgentSilent"


class Place:
    """A board with one condition that finds what the test says."""

    def __init__(self, board: Board | None = None, for_s: float = 60.0, needs_s: float = 0.0) -> None:
        self.found: list[str] = []
        self.condition = Condition(NAME, "critical", self.find, "Agent {agent} is silent", "It is {value} {instance}", for_s=for_s, needs_s=needs_s)
        self.board = board or Board([self.condition], "here:1")
        self.window = Window([])
        self.is_broken = False

    def find(self, _: Window, __: Thresholds) -> Iterable[Finding]:
        if self.is_broken:
            raise ValueError("a defect")
        return [Finding({"agent": agent}, 3.0) for agent in self.found]

    def look(self, at_s: float, *found: str) -> list[str]:
        """The agents whose alerts fire at this second."""
        self.found = list(found)
        self.window.take(START_S + at_s, [])
        self.board.judge(self.window, Thresholds())
        return [alert.labels["agent"] for alert in self.board.firing]


def test_it_fires_when_it_has_held_for_long_enough() -> None:
    place = Place()
    assert place.look(0, "a") == [] and [alert.fired_s for alert in place.board.alerts] == [None]
    assert place.look(30, "a", "b") == []
    assert place.look(60, "a", "b") == ["a"]
    assert place.look(90, "a", "b") == ["a", "b"]
    first, second = place.board.firing
    assert (first.since_s, first.fired_s, second.since_s) == (START_S, START_S + 60, START_S + 30)
    assert (first.summary, first.description, first.labels) == ("Agent a is silent", "It is 3 here:1", {"agent": "a", "instance": "here:1"})
    assert place.look(120, "b") == ["b"]
    assert place.look(150) == [] and place.board.alerts == []


def test_what_holds_only_now_and_then_never_fires() -> None:
    place = Place()
    for second in range(0, 600, 60):
        assert place.look(second, "a") == []
        assert place.look(second + 30) == []


def test_without_a_time_it_fires_at_once() -> None:
    assert Place(for_s=0).look(0, "a") == ["a"]


def test_after_a_restart_it_goes_on_until_the_figures_can_tell() -> None:
    place = Place(needs_s=300)
    alerts = [make_alert("a", labels={"agent": "a", "instance": "here:1"})]
    place.board = Board([place.condition], "here:1", alerts)
    assert place.look(0) == ["a"] and place.board.firing == alerts
    assert place.look(270, "a") == ["a"] and place.board.firing[0].since_s == alerts[0].since_s
    assert place.look(290) == ["a"]
    assert place.look(300) == []


def test_alerts_of_conditions_that_are_no_more_are_let_go() -> None:
    assert Board([], "here:1", [make_alert()]).alerts == []


def test_a_condition_that_fails_is_counted_and_leaves_its_alerts_and_the_others() -> None:
    place, other = Place(for_s=0), Place(for_s=0)
    other.condition = Condition("Other", "info", other.find, "{agent}", "")
    place.board = Board([place.condition, other.condition], "here:1")
    other.found = ["x"]
    assert place.look(0, "a") == ["a", "x"]
    place.is_broken, other.found = True, ["x", "y"]
    assert place.look(30) == ["a", "x", "y"] and place.board.failures == 1
    place.is_broken = False
    assert place.look(60) == ["x", "y"]


def test_alerts_of_one_name_are_bounded() -> None:
    assert len(Place(for_s=0).look(0, *map(str, range(MOST_OF_ONE + 5)))) == MOST_OF_ONE


def test_names_from_outside_are_no_templates() -> None:
    place = Place(for_s=0)
    place.look(0, "{instance}{0}")
    assert place.board.firing[0].summary == "Agent {instance}{0} is silent"
