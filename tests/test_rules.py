"""The operator's rules: what may stand in them, and every fault in plain words."""

from __future__ import annotations

import pytest

from proxy.config import ConfigError, parse
from proxy.rules import Budget, RateLimit, is_dimension, read_moment, read_period


def faults_of(text: str) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        parse(text, environment={})
    return [str(fault) for fault in raised.value.faults]


def test_a_budget_and_a_limit_as_they_are_written() -> None:
    config = parse(
        "budgets: [{name: agent-day, each: [agent, 'tag:stage'], usd: 10, per: day, timezone: Europe/Berlin, match: {team: 're*'}, mode: strict}]\n"
        "rate_limits: [{name: fair, requests_per_minute: 60, queue: {length: 5}}]",
        environment={},
    )
    assert config.budgets == [
        Budget("agent-day", usd=10, per="day", timezone="Europe/Berlin", each=["agent", "tag:stage"], match={"team": "re*"}, mode="strict")
    ]
    assert isinstance(config.rate_limits[0], RateLimit) and config.rate_limits[0].queue.length == 5


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("{name: a}", "budgets[0]: limits nothing; set at least one of `usd`, `tokens`, `calls`"),
        ("{name: a, usd: x}", "budgets[0].usd: expected"),
        ("{name: a, usd: -1}", "budgets[0].usd: expected 0 or more, and less than 1000000000"),
        ("{name: a, usd: 1, per: fortnight}", "budgets[0].per: expected one of call, hour, day, week, month, lifetime, or a rolling time such as"),
        ("{name: a, usd: 1, per: 400d}", "budgets[0].per: expected one of"),
        ("{name: a, usd: 1, timezone: Mars/Olympus}", "budgets[0].timezone: is no time zone; expected a name such as Europe/Berlin"),
        ("{name: a, usd: 1, each: [planet]}", "budgets[0].each[0]: expected one of team, agent, task, session, model, upstream, key or tag:NAME"),
        ("{name: a, usd: 1, match: {planet: x}}", "budgets[0].match.planet: expected one of"),
        ("{name: A b, usd: 1}", "budgets[0].name: a name is lower-case letters"),
        ("{name: task, usd: 1}", "budgets[0].name: this name is kept for the budgets of keys and tasks themselves"),
        ("{name: a, usd: 1, mode: downgrade}", "budgets[0].downgrade: goes with `mode: downgrade`"),
        ("{name: a, usd: 1, unbounded_usd: 2}", "budgets[0].unbounded_usd: goes with `mode: strict`"),
    ],
)
def test_faults_of_a_budget(rule: str, expected: str) -> None:
    (fault,) = faults_of(f"budgets: [{rule}]")
    assert fault.startswith(f"line 1: {expected}")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("budgets: [{name: a, usd: 1}, {name: a, calls: 1}]", "budgets[1].name: is also the name of another one; give each its own"),
        ("rate_limits: [{name: a}]", "rate_limits[0]: limits nothing; set at least one of `requests_per_minute`, `input_tokens_per_minute`"),
        ("rate_limits: [{name: a, concurrent: 0}]", "rate_limits[0].concurrent: must be greater than 0; to let nothing through"),
        ("rate_limits: [{name: a, concurrent: 1, burst_s: -1}]", "rate_limits[0].burst_s: expected 0 to 3600 seconds"),
        ("rate_limits: [{name: a, concurrent: 1, queue: {length: -1}}]", "rate_limits[0].queue.length: expected 0 to 100000 calls"),
        ("rate_limits: [{name: a, concurrent: 1, queue: {wait_s: 0}}]", "rate_limits[0].queue.wait_s: expected more than 0 and at most 3600 seconds"),
        ("headroom: {wait_s: -1}", "headroom.wait_s: expected 0 or more seconds"),
        ("reservation: {output_tokens: 0}", "reservation.output_tokens: must be greater than 0"),
        ("reservation: {input_margin: 0.5}", "reservation.input_margin: expected 1 to 10, such as 1.1"),
        ("reservation: {least_output_tokens: 0}", "reservation.least_output_tokens: must be greater than 0"),
        ("ledger: {timeout_s: 0}", "ledger.timeout_s: expected 0.001 to 10 seconds"),
        ("ledger: {share: 2}", "ledger.share: expected 0 to 1; over all data planes at most 1"),
    ],
)
def test_faults_of_the_other_rules(text: str, expected: str) -> None:
    (fault,) = faults_of(text)
    assert fault.startswith(f"line 1: {expected}")


def test_periods_and_moments() -> None:
    assert read_period("day") is None
    assert read_period("30m") == 1800
    assert read_moment("1970-01-02") == (2 * 86400 * 10**9) - 1000
    assert read_moment("1970-01-01T00:00:01Z") == 10**9
    assert read_moment("1970-01-01T01:00:01+01:00") == 10**9
    assert is_dimension("tag:stage") and not is_dimension("tag:")
