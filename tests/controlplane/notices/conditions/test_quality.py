"""Conditions about answers: when they hold, and when they must not."""

from __future__ import annotations

from prometheus_client.core import GaugeMetricFamily

from proxy.controlplane.notices.board import Board
from proxy.controlplane.notices.conditions.quality import CONDITIONS, FIGURES
from proxy.controlplane.notices.window import Window
from proxy.notify import Thresholds
from tests.controlplane.notices.conftest import Story

VERDICTS = "weighbridge_agent_verdicts_total"
A = ("a", "x")
JUDGED = (*A, "empty")


def verdicts(passed: float, failed: float) -> dict:
    return {VERDICTS: {(*JUDGED, "pass"): passed, (*JUDGED, "fail"): failed}}


def test_drift_is_an_alarm_and_nothing_before_it() -> None:
    story = Story("WeighbridgeQualityDrift").show({"weighbridge_agent_drift_state": {A: 2, ("b", ""): 1, ("c", ""): 0}})
    assert story.find() == {A: 2}


def test_a_notice_of_drift_tells_the_cause() -> None:
    window = Window(FIGURES)
    state = GaugeMetricFamily("weighbridge_agent_drift_state", "", labels=["agent", "team"])
    cause = GaugeMetricFamily("weighbridge_agent_drift_cause", "", labels=["agent", "team", "cause"])
    for agent in ("a", "b"):
        state.add_metric([agent, ""], 2)
    cause.add_metric(["a", "", "cut short {0} -> 1"], 1)
    window.take(0, [state, cause])
    board = Board([one for one in CONDITIONS if one.name == "WeighbridgeQualityDrift"], "here:1")
    board.judge(window, Thresholds())
    found = {alert.labels["agent"]: alert for alert in board.alerts}
    assert found["a"].description.endswith("more than chance explains: cut short {0} -> 1")
    assert found["b"].description.endswith(": `weighbridge drift` says what changed")
    assert found["a"].labels == {"agent": "a", "team": "", "instance": "here:1"}  # the cause is no label: another one is no other alert


def test_verdicts_fail_by_share_and_number() -> None:
    name = "WeighbridgeVerdictsFailing"
    assert Story(name).show(verdicts(900, 900)).show(verdicts(909, 911)).find() == {JUDGED: 0.55}
    assert Story(name).show(verdicts(0, 0)).show(verdicts(10, 10)).find() == {}
    assert Story(name).show(verdicts(0, 0)).show(verdicts(0, 19)).find() == {}
    assert Story(name).show(verdicts(0, 900), 2).find() == {}
    assert Story(name).show(verdicts(0, 900)).show(verdicts(30, 0)).find() == {}


def test_evaluators_that_fail() -> None:
    name, shown = "WeighbridgeEvaluatorFailing", "weighbridge_evaluator_failures_total"
    assert Story(name).show({shown: {("drift",): 3}}).show({shown: {("drift",): 7}}).find() == {}
    assert Story(name).show({shown: {("drift",): 3}}).show({shown: {("drift",): 8}}).find() == {("drift",): 5}


def test_a_review_queue_that_is_long_or_old() -> None:
    queue, oldest = "weighbridge_review_queue_calls", "weighbridge_review_oldest_seconds"
    assert Story("WeighbridgeReviewBacklog").show({queue: {(): 100}}).find() == {}
    assert Story("WeighbridgeReviewBacklog").show({queue: {(): 101}}).find() == {(): 101}
    assert Story("WeighbridgeReviewWaiting").show({queue: {(): 1}, oldest: {(): 172801}}).find() == {(): 172801}
    assert Story("WeighbridgeReviewWaiting").show({queue: {(): 0}, oldest: {(): 172801}}).find() == {}
    assert Story("WeighbridgeReviewWaiting").show({}).find() == {}
