"""Agents: right figures, bounded labels, and series that never go down."""

from __future__ import annotations

import pytest

from proxy.controlplane.metrics.agents import AgentCounts
from proxy.observing import Shown
from tests.controlplane.conftest import START_NS

WEEK_S = 7 * 86400


def test_calls_are_counted_by_whose_fault_their_ending_was(weigh, read) -> None:
    counts = AgentCounts(Shown())
    counts.observe([weigh(1, agent="a", team="t", cost_nano_usd=2_500_000_000, input_tokens=100, output_tokens=7)])
    for outcome in ("upstream_cut", "upstream_error", "caller_gone", "policy_paused", "weighbridge_internal", "unheard_of"):
        counts.observe([weigh(2, agent="a", outcome=outcome, cost_nano_usd=None, input_tokens=None, output_tokens=None)])
    found = read(counts.collect())
    results = {"ok": 1, "upstream": 2, "caller": 1, "policy": 1, "weighbridge": 1, "other": 1}
    assert {name: found[f"agent_calls_total{{agent=a,result={name},team=t}}"] for name in results} == results
    assert found["agent_cost_usd_total{agent=a,team=t}"] == 2.5
    assert (found["agent_tokens_total{agent=a,kind=input,team=t}"], found["agent_tokens_total{agent=a,kind=output,team=t}"]) == (100, 7)
    assert found["agent_last_seen_timestamp_seconds{agent=a,team=t}"] == pytest.approx(1_790_000_003)


def test_agents_past_the_bound_share_and_those_within_keep_their_series(weigh, read) -> None:
    counts = AgentCounts(Shown(agents=2))
    for number in range(50):
        before = read(counts.collect())
        counts.observe([weigh(number, agent=f"agent-{number % 5}")])
        after = read(counts.collect())
        assert all(after[name] >= value for name, value in before.items()), "nothing goes down, nothing goes away"
    calls = {name: value for name, value in after.items() if name.startswith("agent_calls")}
    expected = {"agent-0": 10, "agent-1": 10, "other": 30}
    assert calls == {f"agent_calls_total{{agent={agent},result=ok,team=}}": count for agent, count in expected.items()}


def test_an_agent_that_is_called_other_is_one_of_them(weigh, read) -> None:
    counts = AgentCounts(Shown(agents=1))
    counts.seat("other", None, 1)
    counts.observe([weigh(1, agent="other"), weigh(2, agent="a"), weigh(3, agent="b")])
    assert read(counts.collect())["agent_calls_total{agent=other,result=ok,team=}"] == 2


def test_who_has_not_called_for_a_week_gives_its_place_to_a_new_one(weigh, read) -> None:
    counts = AgentCounts(Shown(agents=2))
    counts.observe([weigh(0, agent="gone"), weigh(1, agent="there"), weigh(2, agent="late")])
    counts.observe([weigh(WEEK_S, agent="there"), weigh(WEEK_S - 60, agent="early"), weigh(WEEK_S + 60, agent="new")])
    names = {name for name in read(counts.collect()) if name.startswith("agent_cost")}
    assert names == {f"agent_cost_usd_total{{agent={agent},team=}}" for agent in ("there", "new", "other")}
    assert read(counts.collect())["agent_calls_total{agent=other,result=ok,team=}"] == 2, "late and early, as before"


def test_who_was_known_before_a_restart_comes_first(weigh) -> None:
    counts = AgentCounts(Shown(agents=2))
    counts.seat("old", "t", START_NS)
    counts.observe([weigh(1, agent="a"), weigh(1, agent="b")])
    counts.seat("older", None, START_NS)
    assert counts.list_seats() == [("old", ["old", "t"]), ("a", ["a", ""])]
    assert (counts.label("old"), counts.label("b")) == (["old", "t"], ["other", ""])
    counts.configure(Shown(agents=3))
    counts.observe([weigh(2, agent="b")])
    assert counts.label("b") == ["b", ""]


def test_an_attempt_that_was_given_up_is_no_failed_call_of_its_agent(weigh, read) -> None:
    counts = AgentCounts(Shown())
    given_up = weigh(1, agent="a", outcome="upstream_discarded", attempt_of="2", cost_nano_usd=5 * 10**8)
    counts.observe([given_up, weigh(2, agent="a", cost_nano_usd=10**9)])
    found = read(counts.collect())
    assert {name: value for name, value in found.items() if name.startswith("agent_calls")} == {"agent_calls_total{agent=a,result=ok,team=}": 1}
    assert found["agent_cost_usd_total{agent=a,team=}"] == 1.5, "it was billed nevertheless"
