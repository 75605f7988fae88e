"""The report on tasks: what each took and how it ended, and what tasks cost on the average.

A task is there from its first call on, or from the order that opened it. Its budget and its outcome are what was ordered last;
what is left of the budget is the ledger's word. `succeeded` counts the tasks that were closed as succeeded; the cost of a successful task is
what all tasks cost, divided by how many succeeded: the failed ones were paid for as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec

from proxy.controlplane import show
from proxy.controlplane.reports import ERRORS, MAX_ROWS, Query, Report, Scope, group_by, make_limit, make_where, run
from proxy.toll.terms import Balance

BUDGET = "task"  # the ledger's name for the budgets that tasks were given by order
_TOLD = "(SELECT task, " + ", ".join(f"arg_max({name}, at_ns) AS {name}" for name in ("agent", "usd", "tokens", "calls", "outcome"))
_TOLD += ", min(at_ns) AS at_ns FROM tasks GROUP BY task)"
_DONE = (
    "(SELECT task, arg_max(agent, started_ns) AS agent, count(DISTINCT agent) AS agents, count(*) AS calls, "
    f"{ERRORS} AS errors, sum(input_tokens)::BIGINT AS input_tokens, sum(output_tokens)::BIGINT AS output_tokens, "
    "sum(cost_nano_usd) AS cost_nano_usd, count(*) FILTER (WHERE cost_nano_usd IS NULL) AS unpriced, "
    "min(started_ns) AS first_seen_ns, max(started_ns) AS last_seen_ns FROM calls_now{} GROUP BY task)"
)
_COLUMNS = (
    "coalesce(done.task, told.task) AS task, coalesce(done.agent, told.agent) AS agent, coalesce(done.agents, 0) AS agents, told.outcome, "
    "coalesce(done.calls, 0) AS calls, coalesce(done.errors, 0) AS errors, done.input_tokens, done.output_tokens, "
    "CASE WHEN done.calls IS NULL THEN 0 ELSE done.cost_nano_usd END AS cost_nano_usd, coalesce(done.unpriced, 0) AS unpriced, "
    "coalesce(done.first_seen_ns, told.at_ns) AS first_seen_ns, coalesce(done.last_seen_ns, told.at_ns) AS last_seen_ns, "
    "told.usd, told.tokens AS limit_tokens, told.calls AS limit_calls"
)
_WHOLE = (
    "count(DISTINCT c.task) AS tasks, count(DISTINCT c.task) FILTER (WHERE told.outcome = 'succeeded') AS succeeded, "
    "count(DISTINCT c.task) FILTER (WHERE told.outcome IS NOT NULL) AS closed, count(*) AS calls, sum(c.cost_nano_usd) AS cost_nano_usd, "
    "count(*) FILTER (WHERE c.cost_nano_usd IS NULL) AS unpriced"
)
_IS_A_TASK = "task IS NOT NULL"


def tasks(query: Query, last: int, scope: Scope, balances: Sequence[Balance]) -> Report:
    """Every task with its calls, the latest first; the note has the totals of all of them."""
    where, values = make_where(scope, _IS_A_TASK)
    since, until = scope.since_ns or 0, scope.until_ns if scope.until_ns is not None else 2**63 - 1
    sql = (
        f"SELECT {_COLUMNS} FROM {_DONE.format(where)} done FULL JOIN {_TOLD} told ON done.task = told.task "
        "WHERE done.task IS NOT NULL OR (? AND told.at_ns >= ? AND told.at_ns < ?) ORDER BY last_seen_ns DESC, task" + make_limit(last)
    )
    made = run(query, "tasks", sql, [*values, not scope.filters, since, until])
    (whole,) = task_costs(query, [], scope).rows
    note = "; ".join(part for part in (made.note, _write_totals(*whole)) if part)
    return msgspec.structs.replace(_add_budgets(made, balances), note=note)


def task_costs(query: Query, by: Sequence[str], scope: Scope) -> Report:
    """Tasks, calls and costs a task, by the dimensions of their calls; without any, one row for all."""
    picked, bound = group_by(by)
    where, values = make_where(scope, _IS_A_TASK)
    groups = [f"g{place}" for place, _ in enumerate(by)]
    calls = f"(SELECT {', '.join([*picked, 'task', 'cost_nano_usd'])} FROM calls_now{where})"
    sql = f"SELECT {', '.join([*groups, _WHOLE])} FROM {calls} c LEFT JOIN {_TOLD} told ON c.task = told.task"
    sql += (f" GROUP BY {', '.join(groups)}" if by else "") + f" ORDER BY {', '.join(['cost_nano_usd DESC NULLS LAST', 'tasks DESC', *groups])}"
    made = run(query, "task_costs", sql + make_limit(MAX_ROWS), [*bound, *values])
    figures = ["cost_per_task_nano_usd", "cost_per_success_nano_usd", "calls_per_task"]
    rows = [[*row, *_divide(*row[len(by) :])] for row in made.rows]
    return msgspec.structs.replace(made, columns=[*by, *made.columns[len(by) :], *figures], rows=rows)


def _divide(tasks: int, succeeded: int, _closed: int, calls: int, cost: int | None, _unpriced: int) -> list[Any]:
    a_task = None if cost is None or not tasks else cost // tasks
    a_success = None if cost is None or not succeeded else cost // succeeded
    return [a_task, a_success, round(calls / tasks, 2) if tasks else None]


def _write_totals(
    tasks: int, succeeded: int, closed: int, _calls: int, _cost: int | None, unpriced: int, a_task: int | None, a_success: int | None, calls: Any
) -> str:
    if not tasks:
        return ""
    parts = [f"{tasks} with calls, {closed} closed, {succeeded} succeeded", f"{calls:g} calls a task"]
    parts.append("cost unknown" if a_task is None else f"${show.write_usd(a_task)} a task")
    if a_success is not None:
        parts.append(f"${show.write_usd(a_success)} a successful task")
    if unpriced:
        parts.append(f"calls of unknown cost left out: {unpriced}")
    return "; ".join(parts)


def _add_budgets(report: Report, balances: Sequence[Balance]) -> Report:
    """The report with each task's limits, and what the ledger says is left of them."""
    left = {
        (one.scope.get("task"), one.unit): one.limit - one.spent - one.reserved for one in balances if one.budget == BUDGET and one.limit is not None
    }
    rows = []
    for row in report.rows:
        *facts, usd, limit_tokens, limit_calls = row
        limits = {"usd": None if usd is None else int(Decimal(repr(usd)) * 10**9), "tokens": limit_tokens, "calls": limit_calls}
        for unit, limit in limits.items():
            facts += [limit, None if limit is None else left.get((row[0], unit))]
        rows.append(facts)
    columns = [*report.columns[:-3], "limit_nano_usd", "left_nano_usd", "limit_tokens", "left_tokens", "limit_calls", "left_calls"]
    return msgspec.structs.replace(report, columns=columns, rows=rows)
