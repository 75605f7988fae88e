"""Quality & drift: whether the answers are any good, whether they change, and what waits for a person."""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import Dashboard

from dashboards.board import make_board, make_team
from dashboards.colours import BAD, DRIFT, NOTICE, WARNING
from dashboards.panels import ANY, PANEL, QUARTER, Line, make_series, make_stat, make_timeline
from dashboards.queries import FAILED, TEAM, add_up, gather, newest, or_nothing, or_zero, quantile, select, share, sum_increase, sum_rate

UID = "weighbridge-quality"
_VERDICTS, _USAGE, _BY = "weighbridge_agent_verdicts_total", "weighbridge_usage_total", ("agent", "team")


def make_quality() -> Dashboard:
    description = "Whether the answers are any good, whether they change against their own past, what waits for a person, and whether usage is known."
    rows = [
        ("Now", [*make_signs(), *make_signs_of_work()]),
        ("Verdicts", make_verdicts()),
        ("Drift and review", make_drift()),
        ("Can the figures be trusted?", make_usage()),
    ]
    return make_board(UID, "Weighbridge / Quality & drift", description, [make_team()], rows)


def make_signs() -> list[PANEL]:
    """Whether the answers are good."""
    failed, all_verdicts = sum_increase(_VERDICTS, FAILED, TEAM, over="$__range"), sum_increase(_VERDICTS, TEAM, over="$__range")
    alarmed = f"sum({newest('weighbridge_agent_drift_state', TEAM, by=_BY)} == bool 2)"
    return [
        make_stat(
            "Failed verdicts",
            "Share of verdicts in the time shown that were a fail.",
            share(or_nothing(failed, all_verdicts), all_verdicts),
            "percentunit",
            steps={0.02: NOTICE, 0.1: BAD},
            decimals=1,
        ),
        make_stat("Agents alarmed", "Agents whose drift alarm stands now.", or_zero(alarmed), "none", steps=ANY),
        make_stat(
            "Drift alarms",
            "Alarms that were raised in the time shown.",
            or_zero(sum_increase("weighbridge_agent_drift_alarms_total", TEAM, over="$__range")),
            "none",
            steps={1: WARNING, 5: BAD},
            decimals=0,
        ),
    ]


def make_signs_of_work() -> list[PANEL]:
    """Whether people and evaluators keep up."""
    estimated, called = sum_increase(_USAGE, 'source="estimated"', over="$__range"), sum_increase(_USAGE, over="$__range")
    return [
        make_stat(
            "Review queue",
            "Sampled and flagged answers that wait for a person.",
            add_up("weighbridge_review_queue_calls"),
            "none",
            steps={50: WARNING, 200: BAD},
        ),
        make_stat(
            "Oldest in the queue",
            "How long the first in the review queue has been waiting.",
            newest("weighbridge_review_oldest_seconds"),
            "s",
            steps={86400: WARNING, 604800: BAD},
            decimals=0,
        ),
        make_stat(
            "Calls evaluated",
            "Calls in the time shown that evaluators looked at.",
            sum_increase("weighbridge_evaluated_calls_total", over="$__range"),
            "short",
            decimals=0,
        ),
        make_stat(
            "Evaluators failing",
            "Judgements in the time shown that an evaluator could not make: it raised an error or took too long.",
            or_zero(sum_increase("weighbridge_evaluator_failures_total", over="$__range")),
            "none",
            steps={1: WARNING},
            decimals=0,
        ),
        make_stat(
            "Estimated usage",
            "Share of calls in the time shown whose token figures are estimates, because the provider told none.",
            share(or_nothing(estimated, called), called),
            "percentunit",
            steps={0.05: NOTICE, 0.2: WARNING},
            decimals=1,
        ),
    ]


def make_verdicts() -> list[PANEL]:
    by_evaluator, by_agent = ("evaluator",), ("agent",)
    failed = sum_rate(_VERDICTS, FAILED, TEAM, by=by_evaluator)
    called = sum_rate(_VERDICTS, TEAM, by=by_evaluator)
    return [
        make_series(
            "Finish reasons",
            "Why answers ended, a second: `length` is an answer that was cut off, `content_filter` one that was withheld.",
            [Line(sum_rate("weighbridge_finishes_total", by=("finish",)), "{{finish}}")],
            "cps",
            stacked=True,
            width=QUARTER,
        ),
        make_series(
            "Failed share by evaluator",
            "Share of each evaluator's verdicts that were a fail.",
            [Line(share(or_nothing(failed, called), called), "{{evaluator}}")],
            "percentunit",
            width=QUARTER,
            most=1,
        ),
        make_series(
            "Failed verdicts by agent",
            "Fails a second of the ten agents with the most of them.",
            [Line(f"topk(10, {sum_rate(_VERDICTS, FAILED, TEAM, by=by_agent)})", "{{agent}}")],
            "cps",
            stacked=True,
            width=QUARTER,
        ),
        make_series(
            "Labels given",
            "What evaluators said, a second, by evaluator and label.",
            [Line(sum_rate("weighbridge_verdicts_total", by=("evaluator", "label")), "{{evaluator}}: {{label}}")],
            "cps",
            width=QUARTER,
        ),
    ]


def make_drift() -> list[PANEL]:
    return [
        make_timeline(
            "Drift by agent",
            "The state of each agent's drift evaluator: learning what is usual, watching, or alarmed.",
            Line(newest("weighbridge_agent_drift_state", TEAM, by=("agent",)), "{{agent}}"),
            DRIFT,
        ),
        make_series(
            "Drift alarms by severity",
            "Alarms in each step, by severity.",
            [
                Line(
                    gather("sum", ("severity",), f"increase({select('weighbridge_agent_drift_alarms_total', TEAM)}[$__rate_interval])"),
                    "{{severity}}",
                )
            ],
            "none",
            stacked=True,
            width=QUARTER,
        ),
        make_series(
            "Review",
            "Answers that wait for a person, and decisions an hour.",
            [
                Line(add_up("weighbridge_review_queue_calls"), "waiting"),
                Line(f"3600 * {sum_rate('weighbridge_reviews_total', by=('decision',))}", "{{decision}} an hour"),
            ],
            "none",
            width=QUARTER,
        ),
    ]


def make_usage() -> list[PANEL]:
    ratios = [Line(quantile(of, "weighbridge_estimate_ratio", by=("kind",)), f"{{{{kind}}}} p{of * 100:g}") for of in (0.05, 0.5, 0.95)]
    return [
        make_series(
            "Where usage comes from",
            "Calls with token figures a second, by where these come from: the provider, or our estimate.",
            [Line(sum_rate(_USAGE, by=("source",)), "{{source}}")],
            "cps",
            stacked=True,
            width=QUARTER,
        ),
        make_series(
            "Estimated against reported",
            "Estimated tokens divided by what the provider reported, where both are known: 1 is exact.",
            ratios,
            "none",
            width=QUARTER,
            steps={1: "grey"},
        ),
        make_series(
            "Evaluator time",
            "Time that a judgement takes, 95th percentile by evaluator.",
            [Line(quantile(0.95, "weighbridge_evaluator_seconds", by=("evaluator",)), "{{evaluator}}")],
            "s",
            width=QUARTER,
        ),
        make_series(
            "Evaluator failures",
            "Judgements a second that could not be made, by evaluator and reason.",
            [Line(sum_rate("weighbridge_evaluator_failures_total", by=("evaluator", "reason")), "{{evaluator}}: {{reason}}")],
            "cps",
            width=QUARTER,
        ),
    ]
