"""Agent: everything about one of them, from its rhythm to its newest calls."""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import Dashboard

from dashboards.board import make_address, make_agent, make_board
from dashboards.colours import BAD, DRIFT, NOTICE, WARNING
from dashboards.infinity import SHOWN_TIME, Field, make_report
from dashboards.panels import ANY, HALF, PANEL, Column, Line, make_series, make_stat
from dashboards.queries import AGENT, FAILED, FAULTS, RECENT, age, error_share, newest, or_zero, sum_increase, sum_rate

UID = "weighbridge-agent"
_CALLS, _COST, _VERDICTS = "weighbridge_agent_calls_total", "weighbridge_agent_cost_usd_total", "weighbridge_agent_verdicts_total"
_SEEN, _LIMIT = "weighbridge_agent_last_seen_timestamp_seconds", "weighbridge_agent_silence_limit_seconds"
_WHO = {"agent": "${agent:percentencode}"}


def make_agent_board() -> Dashboard:
    description = "One agent: its rhythm, its failures, its spend, what evaluators say of it, and its newest calls and tasks from the store."
    rows = [("How it stands", make_standing()), ("What it does", make_course()), ("Its calls and tasks", make_records())]
    return make_board(UID, "Weighbridge / Agent", description, [make_agent(many=False)], rows)


def make_standing() -> list[PANEL]:
    return [
        make_stat("Last call", "Time since the agent's newest call.", age(_SEEN, AGENT), "s", decimals=0),
        make_stat(
            "Silent",
            "How much of the time that the agent may be silent has passed: at 100 % it counts as silent. No figure while its rhythm is not known.",
            f"({age(_SEEN, AGENT)}) / {newest(_LIMIT, AGENT)}",
            "percentunit",
            steps={0.8: NOTICE, 1: BAD},
            decimals=0,
        ),
        make_stat(
            "Error share",
            f"Share of the agent's calls of the last {RECENT} that failed by policy, upstream or Weighbridge.",
            error_share(_CALLS, FAULTS, AGENT, over=RECENT),
            "percentunit",
            steps={0.01: NOTICE, 0.1: BAD},
            decimals=1,
        ),
        make_stat("Calls a minute", "All calls of the agent.", f"60 * {sum_rate(_CALLS, AGENT)}", "short", sparkline=True, decimals=1),
        make_stat(
            "Cost",
            "Known cost of the agent's calls in the time shown.",
            sum_increase(_COST, AGENT, over="$__range"),
            "currencyUSD",
            decimals=3,
            link=("Spend & budgets", make_address("weighbridge-spend")),
        ),
        make_stat(
            "Stuck tasks",
            "Open tasks of the agent that make no calls any more, or go round in a loop.",
            or_zero(newest("weighbridge_agent_stuck_tasks", AGENT)),
            "none",
            steps={1: WARNING},
        ),
        make_stat(
            "Failed verdicts",
            "Answers in the time shown that an evaluator failed.",
            or_zero(sum_increase(_VERDICTS, FAILED, AGENT, over="$__range")),
            "short",
            steps=ANY,
            decimals=0,
        ),
        make_stat(
            "Drift",
            "Whether the agent's answers have changed against their own past.",
            newest("weighbridge_agent_drift_state", AGENT),
            "none",
            states=DRIFT,
            link=("Quality & drift", make_address("weighbridge-quality")),
        ),
    ]


def make_course() -> list[PANEL]:
    return [
        make_series(
            "Calls by result",
            "The agent's calls a second, by whose fault it was where they failed.",
            [Line(sum_rate(_CALLS, AGENT, by=("result",)), "{{result}}")],
            "reqps",
            stacked=True,
        ),
        make_series(
            "Tokens",
            "Tokens a second that went in and came out.",
            [Line(sum_rate("weighbridge_agent_tokens_total", AGENT, by=("kind",)), "{{kind}}")],
            "short",
            stacked=True,
        ),
        make_series(
            "Cost an hour", "Known cost at the present pace, dollars an hour.", [Line(f"3600 * {sum_rate(_COST, AGENT)}", "cost")], "currencyUSD"
        ),
        make_series(
            "Silence",
            "Time since the newest call at each moment, and how long the agent may be silent.",
            [Line(age(_SEEN, AGENT), "silent for"), Line(newest(_LIMIT, AGENT), "limit")],
            "s",
            width=HALF,
        ),
        make_series(
            "Verdicts",
            "Judgements a second, by evaluator and verdict.",
            [Line(sum_rate(_VERDICTS, AGENT, by=("evaluator", "verdict")), "{{evaluator}}: {{verdict}}")],
            "cps",
            width=HALF,
        ),
    ]


def make_records() -> list[PANEL]:
    calls = [
        Field("started", Column("Started", unit="dateTimeAsIso", width=170), "timestamp"),
        Field("task", Column("Task", unit="string"), "string"),
        Field("upstream", Column("Upstream", unit="string"), "string"),
        Field("model", Column("Model", unit="string"), "string"),
        Field("outcome", Column("Outcome", unit="string"), "string"),
        Field("finish", Column("Finish", unit="string"), "string"),
        Field("input_tokens", Column("Input tokens", unit="none")),
        Field("output_tokens", Column("Output tokens", unit="none")),
        Field("cost_usd", Column("Cost", unit="currencyUSD", decimals=6)),
        Field("duration_ns", Column("Duration", unit="ns")),
        Field("first_token_ns", Column("First token", unit="ns")),
    ]
    tasks = [
        Field("task", Column("Task", unit="string"), "string"),
        Field("outcome", Column("Outcome", unit="string"), "string"),
        Field("calls", Column("Calls", unit="none")),
        Field("errors", Column("Errors", unit="none", steps=ANY)),
        Field("cost_usd", Column("Cost", unit="currencyUSD", decimals=6)),
        Field("last_seen", Column("Last call", unit="dateTimeFromNow"), "timestamp"),
    ]
    return [
        make_report(
            "Newest calls",
            "The agent's newest calls in the time shown, from the store; an empty cost is an unknown one.",
            "calls",
            {**_WHO, **SHOWN_TIME, "last": "100"},
            calls,
            sort="Started",
        ),
        make_report(
            "Tasks",
            "What each task of the agent took, and how it ended where that was told.",
            "tasks",
            {**_WHO, **SHOWN_TIME, "last": "50"},
            tasks,
            sort="Last call",
        ),
    ]
