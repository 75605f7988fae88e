"""Spend & budgets: what was spent on what, from the records themselves, and how the budgets stand."""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import Dashboard

from dashboards.board import make_address, make_board
from dashboards.colours import BAD, WARNING
from dashboards.infinity import SHOWN_TIME, Field, make_bars, make_figure, make_report
from dashboards.panels import HALF, PANEL, Column, Line, make_series
from dashboards.queries import budget_share, newest, share, sum_rate

UID = "weighbridge-spend"
_MONEY = Column("Cost", unit="currencyUSD", decimals=6)
_AGENT = Column("Agent", unit="string", link=("Open this agent", make_address("weighbridge-agent", "var-agent=${__data.fields.Agent}")))
_LABELS = ("budget", "scope")


def make_spend() -> Dashboard:
    description = "What was spent on what, from the records themselves: every figure is an exact sum, and an unknown price is unknown, never 0."
    rows = [("Spend", make_sums()), ("Who and what", make_tables()), ("Budgets", make_budgets())]
    return make_board(UID, "Weighbridge / Spend & budgets", description, [], rows).time("now-7d", "now")


def make_sums() -> list[PANEL]:
    def figure(title: str, description: str, selector: str, column: Column, **more: object) -> PANEL:
        return make_figure(title, description, "report", {"by": "", **SHOWN_TIME}, Field(selector, column), **more)

    days = [
        Field("day", Column("Day", unit="dateTimeAsIso"), "timestamp"),
        Field("agent", Column("Agent", unit="string"), "string"),
        Field("cost_usd", Column("Cost", unit="currencyUSD")),
    ]
    return [
        figure("Spend", "Sum of all known costs in the time shown.", "cost_usd", Column("Cost", unit="currencyUSD", decimals=2)),
        figure("Calls", "Calls in the time shown, answered or not.", "calls", Column("Calls", unit="short")),
        figure(
            "Calls without a price",
            "Calls whose cost is unknown and which no sum contains; the table below names their models.",
            "unpriced",
            Column("Unpriced", unit="short"),
            steps={1: WARNING},
        ),
        figure(
            "Calls with estimated usage",
            "Calls whose provider told no token figures, or which were cut off: theirs are estimated, and so is their cost.",
            "estimated",
            Column("Estimated", unit="short"),
        ),
        make_bars("Spend a day", "Known cost by day (UTC) and agent.", "report", {"by": "day,agent", **SHOWN_TIME}, days, "currencyUSD"),
    ]


def make_tables() -> list[PANEL]:
    figures = [
        Field("calls", Column("Calls", unit="short")),
        Field("errors", Column("Errors", unit="short")),
        Field("input_tokens", Column("Input tokens", unit="short")),
        Field("output_tokens", Column("Output tokens", unit="short")),
        Field("cache_read_tokens", Column("Cached tokens", unit="short")),
        Field("cost_usd", _MONEY),
        Field("unpriced", Column("Unpriced", unit="short", steps={1: WARNING})),
    ]
    whose = [Field("team", Column("Team", unit="string"), "string"), Field("agent", _AGENT, "string")]
    which = [Field("upstream", Column("Upstream", unit="string"), "string"), Field("model", Column("Model", unit="string"), "string")]
    tasks = [
        Field("agent", _AGENT, "string"),
        Field("tasks", Column("Tasks", unit="short")),
        Field("succeeded", Column("Succeeded", unit="short")),
        Field("cost_per_task_usd", Column("Cost a task", unit="currencyUSD", decimals=6)),
        Field("cost_per_success_usd", Column("Cost a success", unit="currencyUSD", decimals=6)),
    ]
    unpriced = [*which, Field("calls", Column("Calls", unit="short")), Field("last_seen", Column("Last call", unit="dateTimeFromNow"), "timestamp")]
    return [
        make_report("By team and agent", "Who spent it.", "report", {"by": "team,agent", **SHOWN_TIME}, [*whose, *figures], sort="Cost", width=HALF),
        make_report(
            "By model", "What it was spent on.", "report", {"by": "upstream,model", **SHOWN_TIME}, [*which, *figures], sort="Cost", width=HALF
        ),
        make_report(
            "By task",
            "What a task costs on the average, and a task that succeeded: the cost of those that failed is in it.",
            "tasks",
            {"by": "agent", **SHOWN_TIME},
            tasks,
            sort="Cost a task",
            width=HALF,
        ),
        make_report(
            "Models without a price",
            "Give them one under `prices:` in the configuration; until then their calls are in no sum.",
            "unpriced",
            SHOWN_TIME,
            unpriced,
            sort="Calls",
            width=HALF,
        ),
    ]


def make_budgets() -> list[PANEL]:
    accounts = [
        Field("budget", Column("Budget", unit="string"), "string"),
        Field("scope_text", Column("Scope", unit="string"), "string"),
        Field("mode", Column("Mode", unit="string"), "string"),
        Field("used_percent", Column("Used", unit="percent", steps={80: WARNING, 100: BAD})),
        Field("limit_usd", Column("Limit", unit="currencyUSD", decimals=2)),
        Field("spent_usd", Column("Spent", unit="currencyUSD", decimals=4)),
        Field("reserved_usd", Column("Reserved", unit="currencyUSD", decimals=4)),
        Field("left_usd", Column("Left", unit="currencyUSD", decimals=4)),
        Field("forecast_usd", Column("Forecast", unit="currencyUSD", decimals=2)),
        Field("resets_at", Column("Resets", unit="dateTimeFromNow"), "timestamp"),
        Field("used_up", Column("Used up", unit="dateTimeFromNow"), "timestamp"),
    ]
    forecast = share(newest("weighbridge_budget_forecast_usd", by=_LABELS), newest("weighbridge_budget_limit_usd", by=_LABELS))
    return [
        make_report(
            "Money budgets",
            "How every account of a money budget stands, the fullest first; the forecast is for the end of its window.",
            "budgets",
            {"unit": "usd", "last": "200"},
            accounts,
            sort="Used",
        ),
        make_series(
            "Use of budgets",
            "Share of each budget that is spent or reserved, in dollars, tokens or calls.",
            [Line(budget_share(), "{{budget}} {{scope}}")],
            "percentunit",
            steps={0.8: WARNING, 1: BAD},
        ),
        make_series(
            "Forecast of money budgets",
            "What each will have used at the end of its window, by the rate so far: over 100 % it will not last.",
            [Line(forecast, "{{budget}} {{scope}}")],
            "percentunit",
            steps={1: BAD},
        ),
        make_series(
            "Cost an hour by model",
            "Known cost at the present pace.",
            [Line(f"3600 * {sum_rate('weighbridge_cost_usd_total', by=('gen_ai_request_model',))}", "{{gen_ai_request_model}}")],
            "currencyUSD",
            stacked=True,
        ),
    ]
