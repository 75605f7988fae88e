"""What may be wrong with Weighbridge itself: a plane is not heard of, dies again and again, falls behind or fails calls."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from proxy.controlplane.notices.conditions.condition import Condition, Finding, label, write_span
from proxy.controlplane.notices.window import Figure, Labels, Window
from proxy.notify import Thresholds

_PULSE, _STARTED, _LAG = "weighbridge_pulse_age_seconds", "weighbridge_data_plane_start_time_seconds", "weighbridge_loop_lag_seconds"
_CRASHED, _BEHIND, _WAITING = "weighbridge_crashed_calls_total", "weighbridge_journal_lag_bytes", "weighbridge_waiting_calls"
_CALLS = "weighbridge_calls_total"  # kept by `upstreams`
_LIMIT: Labels = ("limit",)
FIGURES = (*(Figure(name) for name in (_PULSE, _STARTED, _LAG, _CRASHED, _BEHIND)), Figure(_WAITING, _LIMIT))
_OWN_ERRORS = ("weighbridge_internal", "weighbridge_ledger_away", "weighbridge_journal_away")
_FRESH_S = 5.0
_LEAST_STARTS, _LEAST_ERRORS = 3, 3
_MOST_BYTES = 10e6


def find_silent(window: Window, _: Thresholds) -> Iterable[Finding]:
    ages = window.read(_PULSE) or {(): window.span_s}  # never heard of: since the first look
    return label((), {one: age for one, age in ages.items() if age > _FRESH_S})


def find_crash_loop(window: Window, _: Thresholds) -> Iterable[Finding]:
    starts = [moment[()] for moment in window.trace(_STARTED, 900) if moment]
    changes = sum(before != after for before, after in zip(starts, starts[1:], strict=False))
    return [Finding({}, changes)] if changes >= _LEAST_STARTS else []


def find_crashed(window: Window, _: Thresholds) -> Iterable[Finding]:
    return label((), {one: calls for one, calls in window.measure(_CRASHED, 900).items() if calls > 0})


def find_own_errors(window: Window, _: Thresholds) -> Iterable[Finding]:
    calls = window.measure(_CALLS, 600, outcome=_OWN_ERRORS)
    return label((), {one: errors for one, errors in calls.items() if errors >= _LEAST_ERRORS})


def find_loop_lag(window: Window, thresholds: Thresholds) -> Iterable[Finding]:
    return label((), {one: lag for one, lag in window.read(_LAG).items() if lag > thresholds.loop_lag_s})


def find_behind(window: Window, _: Thresholds) -> Iterable[Finding]:
    trace = _read_single(window, _BEHIND, 600)
    return [Finding({}, trace[-1])] if trace and trace[-1] > _MOST_BYTES and trace[-1] > trace[0] else []


def _read_single(window: Window, name: str, seconds: float) -> Sequence[float]:
    return [moment[()] for moment in window.trace(name, seconds) if moment]


def find_waiting(window: Window, _: Thresholds) -> Iterable[Finding]:
    if window.span_s < 600:
        return []
    trace = window.trace(_WAITING, 600, _LIMIT)
    least = {limit: min(moment.get(limit, 0.0) for moment in trace) for limit in trace[-1]}
    return label(_LIMIT, {limit: calls for limit, calls in least.items() if calls > 0})


CONDITIONS = (
    Condition(
        name="WeighbridgeDataPlaneSilent",
        severity="critical",
        find=find_silent,
        for_s=60,
        write=write_span,
        summary="The data plane of {instance} is not heard of",
        description="It sends a pulse every second and none came: it hangs, is gone, or cannot reach its socket. Calls may fail.",
    ),
    Condition(
        name="WeighbridgeDataPlaneCrashLoop",
        severity="critical",
        find=find_crash_loop,
        needs_s=900,
        summary="The data plane of {instance} dies again and again",
        description="It was started {value} times anew within 15 minutes; calls that ran were broken off.",
    ),
    Condition(
        name="WeighbridgeCallsCrashed",
        severity="warning",
        find=find_crashed,
        needs_s=900,
        summary="Calls of {instance} were lost in a crash",
        description="{value} calls had no end because their process died; their budgets hold what was reserved.",
    ),
    Condition(
        name="WeighbridgeOwnErrors",
        severity="critical",
        find=find_own_errors,
        needs_s=600,
        summary="{instance} itself fails calls",
        description="{value} calls of the last ten minutes failed by a defect, or because its ledger or journal was away.",
    ),
    Condition(
        name="WeighbridgeLoopLagging",
        severity="warning",
        find=find_loop_lag,
        for_s=300,
        write=write_span,
        summary="The data plane of {instance} stands still now and then",
        description="Its event loop stood still for {value}; every stream waits for that long.",
    ),
    Condition(
        name="WeighbridgeJournalLagging",
        severity="warning",
        find=find_behind,
        for_s=600,
        needs_s=600,
        summary="The control plane of {instance} falls behind",
        description="{value} bytes of the journal are not loaded yet, and it grows: reports, metrics and alerts are late.",
    ),
    Condition(
        name="WeighbridgeCallsWaiting",
        severity="info",
        find=find_waiting,
        for_s=300,
        needs_s=600,
        summary="Calls wait for limit {limit}",
        description="There was no moment without a waiting call in ten minutes; at least {value} waited.",
    ),
)
