"""Conditions about Weighbridge itself: when they hold, and when they must not."""

from __future__ import annotations

from tests.controlplane.notices.conftest import Story

PULSE, STARTED = "weighbridge_pulse_age_seconds", "weighbridge_data_plane_start_time_seconds"
BEHIND, WAITING = "weighbridge_journal_lag_bytes", "weighbridge_waiting_calls"


def test_a_data_plane_that_is_not_heard_of_any_more_or_never_was() -> None:
    story = Story("WeighbridgeDataPlaneSilent").show({})
    assert story.find() == {}
    assert story.show({}).find() == {(): 30}
    assert story.show({PULSE: {(): 0.4}}).find() == {}
    assert story.show({PULSE: {(): 5.1}}).find() == {(): 5.1}


def test_a_data_plane_that_dies_again_and_again() -> None:
    story = Story("WeighbridgeDataPlaneCrashLoop").show({}).show({STARTED: {(): 1}}, 3).show({STARTED: {(): 2}}).show({STARTED: {(): 3}})
    assert story.find() == {}
    assert story.show({STARTED: {(): 4}}).find() == {(): 3}
    assert story.show({STARTED: {(): 4}}, 40).find() == {}


def test_calls_that_were_lost_in_a_crash() -> None:
    story = Story("WeighbridgeCallsCrashed").show({"weighbridge_crashed_calls_total": {(): 0}}).show({"weighbridge_crashed_calls_total": {(): 2}})
    assert story.find() == {(): 2}


def test_errors_of_our_own() -> None:
    def errors(number: float, others: float = 0) -> dict:
        counts = {("u", "weighbridge_internal"): number, ("v", "weighbridge_ledger_away"): 0, ("u", "upstream_error"): others}
        return {"weighbridge_calls_total": counts}

    assert Story("WeighbridgeOwnErrors").show(errors(0)).show(errors(2, 100)).find() == {}
    assert Story("WeighbridgeOwnErrors").show(errors(0)).show(errors(3)).find() == {(): 3}


def test_an_event_loop_that_stands_still() -> None:
    shown = "weighbridge_loop_lag_seconds"
    assert Story("WeighbridgeLoopLagging").show({shown: {(): 0.25}}).find() == {}
    assert Story("WeighbridgeLoopLagging").show({shown: {(): 0.26}}).find() == {(): 0.26}


def test_a_journal_that_is_far_behind_and_grows() -> None:
    story = Story("WeighbridgeJournalLagging").show({BEHIND: {(): 20e6}})
    assert story.find() == {}
    assert story.show({BEHIND: {(): 30e6}}).find() == {(): 30e6}
    assert story.show({BEHIND: {(): 19e6}}).find() == {}
    assert Story("WeighbridgeJournalLagging").show({BEHIND: {(): 1}}).show({BEHIND: {(): 9e6}}).find() == {}


def test_calls_that_wait_all_the_time() -> None:
    story = Story("WeighbridgeCallsWaiting").show({WAITING: {("fair",): 3, ("now and then",): 5}}, 15)
    assert story.find() == {}
    assert story.show({WAITING: {("fair",): 2, ("now and then",): 0}}, 6).find() == {("fair",): 2}
    assert story.show({}).find() == {}
