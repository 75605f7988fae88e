"""What may be wrong with answers: they drift, they fail an evaluator, an evaluator fails itself, or nobody reviews them."""

from __future__ import annotations

from collections.abc import Iterable

from proxy.controlplane.notices.conditions.condition import Condition, Finding, divide, label, write_share, write_span
from proxy.controlplane.notices.window import Figure, Labels, Window
from proxy.notify import Thresholds

_AGENT: Labels = ("agent", "team")
_JUDGED: Labels = ("agent", "team", "evaluator")
_DRIFT, _VERDICTS, _FAILURES = "weighbridge_agent_drift_state", "weighbridge_agent_verdicts_total", "weighbridge_evaluator_failures_total"
_CAUSE = "weighbridge_agent_drift_cause"
_QUEUE, _OLDEST = "weighbridge_review_queue_calls", "weighbridge_review_oldest_seconds"
FIGURES = (
    Figure(_DRIFT, _AGENT),
    Figure(_CAUSE, (*_AGENT, "cause")),
    Figure(_VERDICTS, (*_JUDGED, "verdict")),
    Figure(_FAILURES, ("evaluator",)),
    Figure(_QUEUE),
    Figure(_OLDEST),
)
_ALARMED = 2
_FAILED_SHARE, _LEAST_VERDICTS, _LEAST_FAILURES = 0.5, 20, 5


def find_drift(window: Window, _: Thresholds) -> Iterable[Finding]:
    causes = {(agent, team): cause for agent, team, cause in window.read(_CAUSE, (*_AGENT, "cause"))}
    alarmed = label(_AGENT, {agent: state for agent, state in window.read(_DRIFT, _AGENT).items() if state == _ALARMED})
    for finding in alarmed:
        cause = causes.get((finding.labels["agent"], finding.labels["team"]), "`weighbridge drift` says what changed")
        yield Finding(finding.labels, finding.value, {"cause": cause})


def find_failed_verdicts(window: Window, _: Thresholds) -> Iterable[Finding]:
    verdicts = window.measure(_VERDICTS, 3600, _JUDGED)
    shares = divide(window.measure(_VERDICTS, 3600, _JUDGED, verdict="fail"), verdicts, _LEAST_VERDICTS)
    return label(_JUDGED, {judged: share for judged, share in shares.items() if share > _FAILED_SHARE})


def find_failing_evaluators(window: Window, _: Thresholds) -> Iterable[Finding]:
    failures = window.measure(_FAILURES, 900, ("evaluator",))
    return label(("evaluator",), {one: times for one, times in failures.items() if times >= _LEAST_FAILURES})


def find_backlog(window: Window, thresholds: Thresholds) -> Iterable[Finding]:
    return label((), {one: calls for one, calls in window.read(_QUEUE).items() if calls > thresholds.review_calls})


def find_waiting(window: Window, thresholds: Thresholds) -> Iterable[Finding]:
    has_any = any(calls > 0 for calls in window.read(_QUEUE).values())
    return label((), {one: age for one, age in window.read(_OLDEST).items() if has_any and age > thresholds.review_s})


CONDITIONS = (
    Condition(
        name="WeighbridgeQualityDrift",
        severity="warning",
        find=find_drift,
        for_s=60,
        summary="The answers of agent {agent} have drifted",
        description="They differ from the usual ones by more than chance explains: {cause}",
    ),
    Condition(
        name="WeighbridgeVerdictsFailing",
        severity="warning",
        find=find_failed_verdicts,
        for_s=600,
        needs_s=3600,
        write=write_share,
        summary="Most answers of agent {agent} fail {evaluator}",
        description="{value} of the verdicts of the last hour are failures.",
    ),
    Condition(
        name="WeighbridgeEvaluatorFailing",
        severity="warning",
        find=find_failing_evaluators,
        for_s=300,
        needs_s=900,
        summary="Evaluator {evaluator} fails",
        description="It raised an error or ran out of time {value} times in 15 minutes: what it should have judged was not judged.",
    ),
    Condition(
        name="WeighbridgeReviewBacklog",
        severity="warning",
        find=find_backlog,
        for_s=3600,
        summary="The review queue is long",
        description="{value} outputs wait for a reviewer.",
    ),
    Condition(
        name="WeighbridgeReviewWaiting",
        severity="warning",
        find=find_waiting,
        for_s=900,
        write=write_span,
        summary="An output has been waiting for a reviewer for days",
        description="The oldest one has waited for {value}.",
    ),
)
