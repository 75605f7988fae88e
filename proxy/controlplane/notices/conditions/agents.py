"""What may be wrong with agents: one has fallen silent, its calls fail, it is turned back, its tasks are stuck."""

from __future__ import annotations

from collections.abc import Iterable

from proxy.controlplane.notices.conditions.condition import Condition, Finding, divide, label, write_share, write_span
from proxy.controlplane.notices.window import Figure, Labels, Window
from proxy.notify import Thresholds

_AGENT: Labels = ("agent", "team")
_CALLS, _SEEN, _LIMIT, _STUCK = (
    "weighbridge_agent_calls_total",
    "weighbridge_agent_last_seen_timestamp_seconds",
    "weighbridge_agent_silence_limit_seconds",
    "weighbridge_agent_stuck_tasks",
)
FIGURES = (Figure(_CALLS, (*_AGENT, "result")), Figure(_SEEN, _AGENT), Figure(_LIMIT, _AGENT), Figure(_STUCK, _AGENT))
_FAILED = ("upstream", "weighbridge")
_ANSWERABLE = ("ok", *_FAILED)
_TURNED_BACK = ("caller", "policy")
_LEAST_SLOW = 2.5  # times the least calls: the longer the window, the more there must be


def find_silent(window: Window, _: Thresholds) -> Iterable[Finding]:
    limits = window.read(_LIMIT, _AGENT)
    silences = {agent: window.now_s - seen for agent, seen in window.read(_SEEN, _AGENT).items() if agent[0] != "other"}
    return label(_AGENT, {agent: silence for agent, silence in silences.items() if agent in limits and silence > limits[agent]})


def _share(window: Window, seconds: float, results: tuple[str, ...], of: tuple[str, ...], least: float) -> dict[Labels, float]:
    wholes = window.measure(_CALLS, seconds, _AGENT, result=of)
    return divide(window.measure(_CALLS, seconds, _AGENT, result=results), wholes, least)


def find_failing_fast(window: Window, thresholds: Thresholds) -> Iterable[Finding]:
    most = thresholds.failed_share_fast
    hour = _share(window, 3600, _FAILED, _ANSWERABLE, thresholds.least_calls)
    now = _share(window, 300, _FAILED, _ANSWERABLE, 1)
    return label(_AGENT, {agent: share for agent, share in now.items() if share > most and hour.get(agent, 0) > most})


def find_failing(window: Window, thresholds: Thresholds) -> Iterable[Finding]:
    most = thresholds.failed_share
    day = _share(window, 6 * 3600, _FAILED, _ANSWERABLE, thresholds.least_calls * _LEAST_SLOW)
    now = _share(window, 1800, _FAILED, _ANSWERABLE, 1)
    return label(_AGENT, {agent: share for agent, share in now.items() if share > most and day.get(agent, 0) > most})


def find_refused(window: Window, thresholds: Thresholds) -> Iterable[Finding]:
    shares = _share(window, 900, _TURNED_BACK, (*_TURNED_BACK, *_ANSWERABLE), thresholds.least_calls)
    return label(_AGENT, {agent: share for agent, share in shares.items() if share > thresholds.refused_share})


def find_stuck(window: Window, _: Thresholds) -> Iterable[Finding]:
    return label(_AGENT, {agent: tasks for agent, tasks in window.read(_STUCK, _AGENT).items() if tasks > 0})


CONDITIONS = (
    Condition(
        name="WeighbridgeAgentSilent",
        severity="critical",
        find=find_silent,
        for_s=60,
        write=write_span,
        summary="Agent {agent} is silent",
        description="It made no call for {value}, longer than its usual or configured pause.",
    ),
    Condition(
        name="WeighbridgeAgentFailingFast",
        severity="critical",
        find=find_failing_fast,
        for_s=60,
        needs_s=300,
        write=write_share,
        summary="Calls of agent {agent} fail",
        description="{value} of its calls failed in the last five minutes, and too many in the last hour.",
    ),
    Condition(
        name="WeighbridgeAgentFailing",
        severity="warning",
        find=find_failing,
        for_s=300,
        needs_s=1800,
        write=write_share,
        summary="Calls of agent {agent} keep failing",
        description="{value} of its calls failed in the last half hour, and too many in the last six hours.",
    ),
    Condition(
        name="WeighbridgeAgentRefused",
        severity="warning",
        find=find_refused,
        for_s=300,
        needs_s=900,
        write=write_share,
        summary="Agent {agent} is turned back",
        description="{value} of its calls in the last 15 minutes were refused by a budget, a limit or an order, or were no valid requests.",
    ),
    Condition(
        name="WeighbridgeAgentTaskStuck",
        severity="warning",
        find=find_stuck,
        for_s=300,
        summary="Tasks of agent {agent} are stuck",
        description="{value} open tasks make no calls any more, or go round in a loop.",
    ),
)
