"""Conditions about agents: when they hold, and when they must not."""

from __future__ import annotations

from tests.controlplane.notices.conftest import START_S, Story

CALLS, SEEN = "weighbridge_agent_calls_total", "weighbridge_agent_last_seen_timestamp_seconds"
LIMIT, STUCK = "weighbridge_agent_silence_limit_seconds", "weighbridge_agent_stuck_tasks"
A, B = ("a", "x"), ("b", "")


def calls(**results: float) -> dict:
    """Calls of agent a by result."""
    return {CALLS: {(*A, result): value for result, value in results.items()}}


def test_silent_is_who_was_not_seen_for_longer_than_its_limit() -> None:
    story = Story("WeighbridgeAgentSilent")
    shown = {SEEN: {A: START_S - 61, B: START_S - 59, ("new", ""): START_S - 9999, ("other", ""): 0}, LIMIT: {A: 60, B: 60, ("other", ""): 1}}
    assert story.show(shown).find() == {A: 61}


def test_nobody_is_silent_where_nobody_is_known() -> None:
    assert Story("WeighbridgeAgentSilent").show({SEEN: {}, LIMIT: {}}).show({}).find() == {}


def test_failing_fast_is_a_share_of_five_minutes_and_of_an_hour() -> None:
    story = Story("WeighbridgeAgentFailingFast").show(calls(ok=1000)).show(calls(ok=1020, upstream=4), 2)
    assert story.find() == {A: round(4 / 24, 6)}
    story.show(calls(ok=1020, upstream=4), 20)  # nothing more for ten minutes
    assert story.find() == {}


def test_failing_fast_needs_calls_that_could_be_answered() -> None:
    assert Story("WeighbridgeAgentFailingFast").show(calls(ok=0)).show(calls(ok=0, upstream=19)).find() == {}
    assert Story("WeighbridgeAgentFailingFast").show(calls(ok=0)).show(calls(ok=0, upstream=20)).find() == {A: 1}
    refused = Story("WeighbridgeAgentFailingFast").show(calls(ok=0)).show(calls(ok=30, policy=500, caller=500, upstream=4))
    assert refused.find() == {}  # 4 of 34
    assert Story("WeighbridgeAgentFailingFast", least_calls=5).show(calls(ok=0)).show(calls(upstream=5)).find() == {A: 1}


def test_zero_traffic_and_old_failures_are_silent() -> None:
    assert Story("WeighbridgeAgentFailingFast").show({CALLS: {}}, 3).find() == {}
    assert Story("WeighbridgeAgentFailingFast").show(calls(ok=10, upstream=5000), 3).find() == {}


def test_a_restart_is_no_failure() -> None:
    story = Story("WeighbridgeAgentFailingFast").show(calls(ok=9000, upstream=100), 5).show(calls(ok=30, upstream=1), 2)
    assert story.find() == {}


def test_a_new_agent_whose_first_calls_all_fail_is_found() -> None:
    story = Story("WeighbridgeAgentFailingFast").show(calls(ok=100)).show({CALLS: {(*A, "ok"): 130, (*B, "upstream"): 25}})
    assert story.find() == {B: 1}


def test_failing_is_a_share_of_half_an_hour_and_of_six() -> None:
    story = Story("WeighbridgeAgentFailing", every_s=300).show(calls(ok=0, upstream=0))
    for step in range(1, 30):
        story.show(calls(ok=93 * step, upstream=7 * step))
    assert story.find() == {A: 0.07}
    assert Story("WeighbridgeAgentFailing").show(calls(ok=0)).show(calls(ok=40, weighbridge=9)).find() == {}  # fewer than 50


def test_refused_is_who_is_turned_back_half_of_the_time() -> None:
    story = Story("WeighbridgeAgentRefused").show(calls(ok=0)).show(calls(ok=10, policy=6, caller=5))
    assert story.find() == {A: round(11 / 21, 6)}
    assert Story("WeighbridgeAgentRefused").show(calls(ok=0)).show(calls(ok=10, policy=10)).find() == {}
    assert Story("WeighbridgeAgentRefused").show(calls(ok=0)).show(calls(policy=19)).find() == {}


def test_stuck_tasks_are_found_by_agent() -> None:
    assert Story("WeighbridgeAgentTaskStuck").show({STUCK: {A: 0, B: 2}}).find() == {B: 2}
