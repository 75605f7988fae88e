"""Overview: is anything wrong, and which agent."""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import Dashboard

from dashboards.board import make_address, make_board, make_team
from dashboards.colours import BAD, DRIFT, NOTICE, STATUS, WARNING
from dashboards.panels import ANY, PANEL, Column, Line, make_series, make_stat, make_table
from dashboards.queries import (
    FAILED,
    FAULTS,
    FIRING,
    OUTPUT,
    RECENT,
    TEAM,
    add_up,
    age,
    budget_share,
    error_share,
    failing,
    gather,
    newest,
    or_zero,
    silent,
    spread,
    status,
    sum_increase,
    sum_rate,
)

UID = "weighbridge-overview"
_CALLS, _COST, _BY = "weighbridge_agent_calls_total", "weighbridge_agent_cost_usd_total", ("agent", "team")
_TO_AGENT = ("Open this agent", make_address("weighbridge-agent", "var-agent=${__data.fields.Agent}"))


def make_overview() -> Dashboard:
    description = "Is anything wrong, and which agent: the first row counts what should be 0, the table names who it is."
    rows = [
        ("Is anything wrong?", [*make_signs_of_agents(), *make_signs_of_all()]),
        ("Which agent?", [make_agents()]),
        ("What is going on", make_course()),
    ]
    return make_board(UID, "Weighbridge / Overview", description, [make_team()], rows)


def make_signs_of_agents() -> list[PANEL]:
    """How many alerts there are, and how many agents something is wrong with."""

    def count(inner: str) -> str:
        return or_zero(f"sum({inner})")

    drifting = newest("weighbridge_agent_drift_state", TEAM, by=_BY)
    return [
        make_stat(
            "Alerts firing",
            "Alerts of the rules in dashboards/rules that fire now; Alertmanager and docs/runbooks.md have the rest.",
            or_zero(f"count({FIRING})"),
            "none",
            steps=ANY,
        ),
        make_stat(
            "Agents silent",
            "Agents that have not called for longer than they may: the limit is configured, or learned from their own rhythm. "
            "Agents whose rhythm is not known yet are not counted.",
            count(silent(TEAM)),
            "none",
            steps=ANY,
        ),
        make_stat(
            "Agents failing",
            f"Agents of whose calls in the last {RECENT} more than a tenth failed by policy, upstream or Weighbridge. "
            "What a caller did wrong itself is not counted.",
            count(failing(TEAM)),
            "none",
            steps=ANY,
        ),
        make_stat(
            "Agents drifting",
            "Agents whose answers have changed against their own past, as the drift evaluator sees it.",
            count(f"{drifting} == bool 2"),
            "none",
            steps={1: WARNING, 3: BAD},
            link=("Quality & drift", make_address("weighbridge-quality")),
        ),
    ]


def make_signs_of_all() -> list[PANEL]:
    """What is wrong that no single agent has to answer for."""
    return [
        make_stat(
            "Error share",
            f"Share of all calls of the last {RECENT} that failed by policy, upstream or Weighbridge.",
            error_share(_CALLS, FAULTS, TEAM, over=RECENT),
            "percentunit",
            steps={0.01: NOTICE, 0.05: BAD},
            decimals=1,
            link=("Upstreams", make_address("weighbridge-upstreams")),
        ),
        make_stat(
            "Fullest budget",
            "Of all budgets that have a limit, the largest share that is spent or reserved.",
            gather("max", (), budget_share()),
            "percentunit",
            steps={0.8: WARNING, 1: BAD},
            decimals=0,
            link=("Spend & budgets", make_address("weighbridge-spend")),
        ),
        make_stat(
            "Calls a minute",
            "All calls, whatever came of them.",
            f"60 * {sum_rate(_CALLS, TEAM)}",
            "short",
            sparkline=True,
            decimals=1,
        ),
        make_stat(
            "Review queue",
            "Sampled and flagged answers that wait for a person.",
            add_up("weighbridge_review_queue_calls"),
            "none",
            steps={50: WARNING, 200: BAD},
            link=("Quality & drift", make_address("weighbridge-quality")),
        ),
    ]


def make_agents() -> PANEL:
    seen = age("weighbridge_agent_last_seen_timestamp_seconds", TEAM, by=_BY)
    columns = [
        Column("Status", status(TEAM), "none", states=STATUS, width=110),
        Column("Last call", seen, "s", decimals=0),
        Column("Calls a minute", f"60 * {sum_rate(_CALLS, TEAM, by=_BY)}", decimals=1),
        Column("Errors", error_share(_CALLS, FAULTS, TEAM, by=_BY, over=RECENT), "percentunit", steps={0.01: NOTICE, 0.1: BAD}, decimals=1),
        Column("Output tokens a minute", f"60 * {sum_rate('weighbridge_agent_tokens_total', OUTPUT, TEAM, by=_BY)}", decimals=0),
        Column("Cost", sum_increase(_COST, TEAM, by=_BY, over="$__range"), "currencyUSD", decimals=3),
        Column("Failed verdicts", sum_increase("weighbridge_agent_verdicts_total", FAILED, TEAM, by=_BY, over="$__range"), decimals=0),
        Column("Stuck tasks", newest("weighbridge_agent_stuck_tasks", TEAM, by=_BY), "none", steps={1: WARNING}),
        Column("Drift", newest("weighbridge_agent_drift_state", TEAM, by=_BY), "none", states=DRIFT),
    ]
    return make_table(
        "Agents",
        "One row an agent, the worst first. Status is the worst of silent, failing "
        f"(more than a tenth of the calls of the last {RECENT}), a stuck task and drifting; "
        "cost and failed verdicts are of the time shown. A click on the name opens the agent. Past the cap on agents, the rest is `other`.",
        [Column("Agent", unit="string", link=_TO_AGENT), Column("Team", unit="string")],
        columns,
        sort="Status",
    )


def make_course() -> list[PANEL]:
    costly = f"topk(10, 3600 * {sum_rate(_COST, TEAM, by=('agent',))})"
    failed = sum_rate(_CALLS, FAULTS, TEAM, by=("agent",))
    return [
        make_series(
            "Calls by result",
            "Calls a second by whose fault it was where they failed.",
            [Line(sum_rate(_CALLS, TEAM, by=("result",)), "{{result}}")],
            "reqps",
            stacked=True,
        ),
        make_series(
            "Failing calls by agent",
            "The ten agents with the most calls that failed by policy, upstream or Weighbridge.",
            [Line(f"topk(10, {failed})", "{{agent}}")],
            "reqps",
        ),
        make_series(
            "Duration",
            "How long the calls of all teams take, from the request's arrival to the last byte. The dots are single calls: a click opens the trace.",
            [Line(*each) for each in spread("gen_ai_client_operation_duration_seconds")],
            "s",
            exemplars=True,
            link=("Upstreams", make_address("weighbridge-upstreams")),
        ),
        make_series(
            "Tokens",
            "Tokens a second that went in and came out.",
            [Line(sum_rate("weighbridge_agent_tokens_total", TEAM, by=("kind",)), "{{kind}}")],
            "short",
            stacked=True,
        ),
        make_series(
            "Dearest agents",
            "Dollars an hour of the ten dearest agents; calls without a known price are not in it.",
            [Line(costly, "{{agent}}")],
            "currencyUSD",
            stacked=True,
            link=("Spend & budgets", make_address("weighbridge-spend")),
        ),
        make_series(
            "Agents known",
            "Agents that have ever called, and those that did in the last 15 minutes.",
            [
                Line(newest("weighbridge_agents"), "known"),
                Line(f"count({sum_increase(_CALLS, TEAM, by=('agent',))} > 0)", "active"),
            ],
            "none",
        ),
    ]
