"""Conditions about upstreams: when they hold, and when they must not."""

from __future__ import annotations

from tests.controlplane.notices.conftest import Story

CALLS, ATTEMPTS, RETRIES = "weighbridge_calls_total", "weighbridge_attempts_total", "weighbridge_retries_total"
U, KEY, KIND = ("u",), ("u", "K1"), ("u", "tokens")


def calls(**outcomes: float) -> dict:
    return {CALLS: {("u", outcome): value for outcome, value in outcomes.items()}}


def test_failing_fast_counts_what_the_upstream_and_we_have_failed() -> None:
    story = Story("WeighbridgeUpstreamFailingFast").show(calls(ok=0))
    story.show(calls(ok=70, upstream_error=10, upstream_cut=5, weighbridge_internal=5, upstream_discarded=500, caller_gone=500, policy_paused=500))
    assert story.find() == {U: round(20 / 90, 6)}


def test_failing_fast_is_silent_without_traffic_after_a_restart_and_for_few_calls() -> None:
    assert Story("WeighbridgeUpstreamFailingFast").show({CALLS: {}}, 3).find() == {}
    assert Story("WeighbridgeUpstreamFailingFast").show(calls(ok=1, upstream_error=999), 2).find() == {}
    assert Story("WeighbridgeUpstreamFailingFast").show(calls(ok=500, upstream_error=500)).show(calls(ok=50, upstream_error=1)).find() == {}
    assert Story("WeighbridgeUpstreamFailingFast").show(calls(ok=0)).show(calls(upstream_error=19)).find() == {}


def test_failing_needs_more_calls_and_less_of_a_share() -> None:
    story = Story("WeighbridgeUpstreamFailing").show(calls(ok=0)).show(calls(ok=46, upstream_error=4))
    assert story.find() == {U: 0.08}
    assert Story("WeighbridgeUpstreamFailing").show(calls(ok=0)).show(calls(ok=45, upstream_error=4)).find() == {}
    assert Story("WeighbridgeUpstreamFailing").show(calls(ok=0)).show(calls(ok=95, upstream_error=5)).find() == {}


def test_a_breaker_that_is_open() -> None:
    story = Story("WeighbridgeBreakerOpen").show({"weighbridge_breaker_state": {KEY: 2, ("u", "K2"): 1, ("v", ""): 0}})
    assert story.find() == {KEY: 2}


def test_a_breaker_that_opens_again_and_again() -> None:
    name = "weighbridge_breaker_opened_total"
    story = Story("WeighbridgeBreakerFlapping").show({name: {KEY: 7}}).show({name: {KEY: 9}})
    assert story.find() == {}
    assert story.show({name: {KEY: 1}}).find() == {KEY: 3}  # the data plane was started again


def test_a_key_that_is_parked() -> None:
    assert Story("WeighbridgeKeyParked").show({"weighbridge_key_parked": {KEY: 1, ("u", "K2"): 0}}).find() == {KEY: 1}


def attempts(made: float, again: float) -> dict:
    return {ATTEMPTS: {U: made}, RETRIES: {U: again}}


def test_a_storm_is_a_share_of_retries_and_at_least_ten() -> None:
    assert Story("WeighbridgeRetryStorm").show(attempts(0, 0)).show(attempts(40, 10)).find() == {U: 0.25}
    assert Story("WeighbridgeRetryStorm").show(attempts(0, 0)).show(attempts(20, 9)).find() == {}
    assert Story("WeighbridgeRetryStorm").show(attempts(0, 0)).show(attempts(100, 20)).find() == {}
    assert Story("WeighbridgeRetryStorm").show(attempts(90, 90)).show(attempts(90, 90)).find() == {}


def test_a_quota_of_retries_that_is_spent() -> None:
    name = "weighbridge_retry_quota_refusals_total"
    assert Story("WeighbridgeRetryQuotaSpent").show({name: {U: 5}}).show({name: {U: 14}}).find() == {}
    assert Story("WeighbridgeRetryQuotaSpent").show({name: {U: 5}}).show({name: {U: 15}}).find() == {U: 10}


def test_little_headroom_concerns_only_an_upstream_that_is_called() -> None:
    left = {"weighbridge_upstream_remaining": {KIND: 4, ("u", "requests"): 50}, "weighbridge_upstream_limit": {KIND: 100, ("u", "requests"): 100}}
    assert Story("WeighbridgeUpstreamHeadroomLow").show(attempts(0, 0) | left).show(attempts(1, 0) | left).find() == {KIND: 0.04}
    assert Story("WeighbridgeUpstreamHeadroomLow").show(attempts(5, 0) | left, 3).find() == {}
    only_limit = {"weighbridge_upstream_limit": {KIND: 100}}
    assert Story("WeighbridgeUpstreamHeadroomLow").show(attempts(0, 0) | only_limit).show(attempts(1, 0) | only_limit).find() == {}
