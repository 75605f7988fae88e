"""What may be wrong with upstreams: calls fail, retries pile up, a breaker is open, a key is parked, the provider's limit is nearly used up."""

from __future__ import annotations

from collections.abc import Iterable

from proxy.controlplane.notices.conditions.condition import Condition, Finding, divide, label, write_share
from proxy.controlplane.notices.window import Figure, Labels, Window
from proxy.errors import OUTCOMES
from proxy.notify import Thresholds

_CALLS, _ATTEMPTS, _RETRIES = "weighbridge_calls_total", "weighbridge_attempts_total", "weighbridge_retries_total"
_REFUSALS, _BREAKER, _OPENED = "weighbridge_retry_quota_refusals_total", "weighbridge_breaker_state", "weighbridge_breaker_opened_total"
_PARKED, _REMAINING, _LIMIT = "weighbridge_key_parked", "weighbridge_upstream_remaining", "weighbridge_upstream_limit"
_UPSTREAM, _KEY, _KIND = ("upstream",), ("upstream", "key"), ("upstream", "kind")
FIGURES = (
    Figure(_CALLS, ("upstream", "outcome")),
    *(Figure(name, _UPSTREAM) for name in (_ATTEMPTS, _RETRIES, _REFUSALS)),
    *(Figure(name, _KEY) for name in (_BREAKER, _OPENED, _PARKED)),
    *(Figure(name, _KIND) for name in (_REMAINING, _LIMIT)),
)
_FAILED = tuple(outcome for outcome in OUTCOMES if outcome.startswith(("upstream_", "weighbridge_")) and outcome != "upstream_discarded")
_ANSWERABLE = ("ok", "other", *_FAILED)
_LEAST_SLOW = 2.5
_OPEN = 2
_RETRIED_SHARE, _LEAST_RETRIES, _LEAST_REFUSALS, _LEAST_OPENINGS = 0.2, 10, 10, 3
_LOW_SHARE = 0.05


def _share(window: Window, seconds: float, least: float) -> dict[Labels, float]:
    """The share of failed calls of each upstream."""
    wholes = window.measure(_CALLS, seconds, _UPSTREAM, outcome=_ANSWERABLE)
    return divide(window.measure(_CALLS, seconds, _UPSTREAM, outcome=_FAILED), wholes, least)


def find_failing_fast(window: Window, thresholds: Thresholds) -> Iterable[Finding]:
    most, hour = thresholds.failed_share_fast, _share(window, 3600, thresholds.least_calls)
    return label(_UPSTREAM, {one: share for one, share in _share(window, 300, 1).items() if share > most and hour.get(one, 0) > most})


def find_failing(window: Window, thresholds: Thresholds) -> Iterable[Finding]:
    most, hours = thresholds.failed_share, _share(window, 6 * 3600, thresholds.least_calls * _LEAST_SLOW)
    return label(_UPSTREAM, {one: share for one, share in _share(window, 1800, 1).items() if share > most and hours.get(one, 0) > most})


def find_open(window: Window, _: Thresholds) -> Iterable[Finding]:
    return label(_KEY, {one: state for one, state in window.read(_BREAKER, _KEY).items() if state == _OPEN})


def find_flapping(window: Window, _: Thresholds) -> Iterable[Finding]:
    return label(_KEY, {one: times for one, times in window.measure(_OPENED, 1800, _KEY).items() if times >= _LEAST_OPENINGS})


def find_parked(window: Window, _: Thresholds) -> Iterable[Finding]:
    return label(_KEY, {one: state for one, state in window.read(_PARKED, _KEY).items() if state == 1})


def find_retries(window: Window, _: Thresholds) -> Iterable[Finding]:
    retries = {one: times for one, times in window.measure(_RETRIES, 300, _UPSTREAM).items() if times >= _LEAST_RETRIES}
    attempts = {one: times for one, times in window.measure(_ATTEMPTS, 300, _UPSTREAM).items() if one in retries}
    return label(_UPSTREAM, {one: share for one, share in divide(retries, attempts, 1).items() if share > _RETRIED_SHARE})


def find_quota_spent(window: Window, _: Thresholds) -> Iterable[Finding]:
    return label(_UPSTREAM, {one: times for one, times in window.measure(_REFUSALS, 600, _UPSTREAM).items() if times >= _LEAST_REFUSALS})


def find_headroom_low(window: Window, _: Thresholds) -> Iterable[Finding]:
    busy = {one for one, times in window.measure(_ATTEMPTS, 300, _UPSTREAM).items() if times > 0}
    limits = {kind: limit for kind, limit in window.read(_LIMIT, _KIND).items() if kind[:1] in busy}
    remaining = window.read(_REMAINING, _KIND)
    shares = divide(remaining, {kind: limit for kind, limit in limits.items() if kind in remaining}, 0)
    return label(_KIND, {kind: share for kind, share in shares.items() if share < _LOW_SHARE})


CONDITIONS = (
    Condition(
        name="WeighbridgeUpstreamFailingFast",
        severity="critical",
        find=find_failing_fast,
        for_s=60,
        needs_s=300,
        write=write_share,
        summary="Calls to upstream {upstream} fail",
        description="{value} of its calls failed in the last five minutes, and too many in the last hour.",
    ),
    Condition(
        name="WeighbridgeUpstreamFailing",
        severity="warning",
        find=find_failing,
        for_s=300,
        needs_s=1800,
        write=write_share,
        summary="Calls to upstream {upstream} keep failing",
        description="{value} of its calls failed in the last half hour, and too many in the last six hours.",
    ),
    Condition(
        name="WeighbridgeBreakerOpen",
        severity="warning",
        find=find_open,
        for_s=120,
        summary="Upstream {upstream} is left alone",
        description="Its breaker is open because it failed again and again; calls go to its fallbacks or are refused.",
    ),
    Condition(
        name="WeighbridgeBreakerFlapping",
        severity="warning",
        find=find_flapping,
        needs_s=1800,
        summary="The breaker of upstream {upstream} opens again and again",
        description="It opened {value} times within half an hour.",
    ),
    Condition(
        name="WeighbridgeKeyParked",
        severity="warning",
        find=find_parked,
        for_s=900,
        summary="Key {key} of upstream {upstream} is parked",
        description="The provider has refused it for 15 minutes, so calls go with the other keys.",
    ),
    Condition(
        name="WeighbridgeRetryStorm",
        severity="warning",
        find=find_retries,
        for_s=120,
        needs_s=300,
        write=write_share,
        summary="Retries pile up at upstream {upstream}",
        description="{value} of the attempts of the last five minutes were retries.",
    ),
    Condition(
        name="WeighbridgeRetryQuotaSpent",
        severity="warning",
        find=find_quota_spent,
        for_s=120,
        needs_s=600,
        summary="Upstream {upstream} is not asked again any more",
        description="{value} retries of the last ten minutes were not made because the share of retries is used up.",
    ),
    Condition(
        name="WeighbridgeUpstreamHeadroomLow",
        severity="warning",
        find=find_headroom_low,
        for_s=300,
        write=write_share,
        summary="The limit of {kind} at upstream {upstream} is nearly used up",
        description="{value} of what the provider allows is left; it will soon answer 429.",
    ),
)
