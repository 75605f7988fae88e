"""PromQL of the panels, put together from few pieces: every selector names job and instance, every counter is rated before it is summed."""

from __future__ import annotations

from collections.abc import Sequence

FLEET = ('job=~"$job"', 'instance=~"$instance"')
AGENT = 'agent=~"${agent:regex}"'  # one, by its name as it is
TEAM = 'team=~"$team"'
OUTPUT = 'kind="output"'
FAILED = 'verdict="fail"'
UPSTREAM = 'upstream=~"$upstream"'
MODEL = 'gen_ai_request_model=~"$model"'
# The faults that are not the caller's own, as `weighbridge_agent_calls_total` names them.
FAULTS = 'result=~"policy|upstream|weighbridge"'
RECENT = "15m"  # what "now" means to a single figure: long enough for an agent that calls every few minutes
FAILING_SHARE = 0.1
# Some alerts are about no job: those of what is absent.
FIRING = 'ALERTS{alertstate="firing", alertname=~"Weighbridge.+", job=~"$job|"}'
QUANTILES = (0.5, 0.95, 0.99)


def select(metric: str, *matchers: str) -> str:
    """The series of a metric, of the jobs and instances chosen."""
    return f"{metric}{{{', '.join([*FLEET, *matchers])}}}"


def gather(operator: str, by: Sequence[str], inner: str) -> str:
    """`sum by (agent) (inner)`; without labels to keep, over all."""
    return f"{operator} by ({', '.join(by)}) ({inner})" if by else f"{operator}({inner})"


def sum_rate(metric: str, *matchers: str, by: Sequence[str] = ()) -> str:
    """Events a second."""
    return gather("sum", by, f"rate({select(metric, *matchers)}[$__rate_interval])")


def sum_increase(metric: str, *matchers: str, by: Sequence[str] = (), over: str = RECENT) -> str:
    """How many, in the time that is looked at."""
    return gather("sum", by, f"increase({select(metric, *matchers)}[{over}])")


def newest(metric: str, *matchers: str, by: Sequence[str] = ()) -> str:
    """A gauge that is the same from every replica, or of which the worst counts."""
    return gather("max", by, select(metric, *matchers))


def add_up(metric: str, *matchers: str, by: Sequence[str] = ()) -> str:
    """A gauge of which every replica holds its own part."""
    return gather("sum", by, select(metric, *matchers))


def share(part: str, whole: str) -> str:
    """Part of a whole, 0 to 1; nothing where the whole is 0."""
    return f"{part} / ({whole} > 0)"


def or_zero(inner: str) -> str:
    """Nothing to count is 0, not an empty panel."""
    return f"{inner} or vector(0)"


def quantile(of: float, metric: str, *matchers: str, by: Sequence[str] = ()) -> str:
    """A quantile of a histogram."""
    return f"histogram_quantile({of:g}, {sum_rate(metric + '_bucket', *matchers, by=['le', *by])})"


def age(metric: str, *matchers: str, by: Sequence[str] = ()) -> str:
    """Seconds since a point in time."""
    return f"time() - {newest(metric, *matchers, by=by)}"


def silent(*matchers: str) -> str:
    """1 for each agent that has not called for longer than it may, else 0; only agents whose cadence is known."""
    by = ("agent", "team")
    since = age("weighbridge_agent_last_seen_timestamp_seconds", *matchers, by=by)
    limit = newest("weighbridge_agent_silence_limit_seconds", *matchers, by=by)
    return f"({since}) > bool {limit}"


def failing(*matchers: str) -> str:
    """1 for each agent of whose newest calls too many failed, else 0."""
    by, calls = ("agent", "team"), "weighbridge_agent_calls_total"
    failed = or_nothing(sum_increase(calls, FAULTS, *matchers, by=by), sum_increase(calls, *matchers, by=by))
    return f"({share(failed, sum_increase(calls, *matchers, by=by))}) > bool {FAILING_SHARE:g}"


def or_nothing(part: str, whole: str) -> str:
    """The part, and 0 for what has a whole but never had a part: what never failed has no series of failures."""
    return f"({part} or 0 * {whole})"


def error_share(metric: str, faults: str, *matchers: str, by: Sequence[str] = (), over: str = "") -> str:
    """Share of calls that failed and not by the caller's own fault; over a time, or as a rate."""
    if over:
        failed, called = sum_increase(metric, faults, *matchers, by=by, over=over), sum_increase(metric, *matchers, by=by, over=over)
    else:
        failed, called = sum_rate(metric, faults, *matchers, by=by), sum_rate(metric, *matchers, by=by)
    return share(or_nothing(failed, called), called)


def status(*matchers: str) -> str:
    """One figure an agent, the worst that is true: 0 ok, 1 drifting, 2 a stuck task, 3 failing, 4 silent."""
    by = ("agent", "team")
    checks = {
        "silent": f"4 * ({silent(*matchers)})",
        "failing": f"3 * ({failing(*matchers)})",
        "stuck": f"2 * ({newest('weighbridge_agent_stuck_tasks', *matchers, by=by)} > bool 0)",
        "drifting": f"({newest('weighbridge_agent_drift_state', *matchers, by=by)} == bool 2)",
        "seen": f"0 * {newest('weighbridge_agent_last_seen_timestamp_seconds', *matchers, by=by)}",
    }
    told_apart = [f'label_replace({inner}, "check", "{name}", "", "")' for name, inner in checks.items()]
    return gather("max", by, " or ".join(told_apart))


def spread(metric: str, *matchers: str) -> list[tuple[str, str]]:
    """(query, name) of each quantile that is shown of a histogram."""
    return [(quantile(of, metric, *matchers), f"p{of * 100:g}") for of in QUANTILES]


def budget_share(*matchers: str) -> str:
    """Share of a budget that is spent or reserved, by budget and account; whatever its unit."""
    parts = []
    for unit in ("usd", "tokens", "calls"):
        spent, reserved, limit = (
            newest(f"weighbridge_budget_{figure}_{unit}", *matchers, by=("budget", "scope")) for figure in ("spent", "reserved", "limit")
        )
        parts.append(f"({spent} + {reserved}) / {limit}")
    return " or ".join(parts)
