"""The named reports on calls: what can be asked of the store, as statements of our own with bound values.

Nobody's SQL is run. Groupings, filters and columns come from the tables below; values are bound. Every report reads
`calls_now`, so corrections are in it. Money is an integer of nano-dollars; a sum over calls of which none has a known cost is
None, and `unpriced` tells how many calls a sum leaves out. Errors are all outcomes but `ok` and `caller_gone`.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from proxy.errors import OUTCOMES

Query = Callable[[str, Sequence[Any]], tuple[list[str], list[tuple]]]

# What a report can be grouped by and filtered on: name → column or expression.
DIMENSIONS = {
    "agent": "agent",
    "model": "coalesce(model, model_asked)",
    "model_asked": "model_asked",
    "task": "task",
    "session": "session",
    "parent_agent": "parent_agent",
    "team": "team",
    "upstream": "upstream",
    "dialect": "dialect",
    "operation": "operation",
    "outcome": "outcome",
    "finish": "finish",
    "act": "act",
    "budget": "budget",
    "rung": "rung",
    "key": "key",
    "key_hash": "key_hash",
    "user_agent": "user_agent",
    "service_tier": "service_tier",
    "usage_source": "usage_source",
    "cost_source": "cost_source",
    "price_version": "price_version",
    "quarantined": "CASE WHEN quarantined THEN 'yes' ELSE 'no' END",
    "month": "strftime(started, '%Y-%m')",
    "day": "strftime(started, '%Y-%m-%d')",
    "hour": "strftime(started, '%Y-%m-%dT%H:00Z')",
}
CHOICES = ", ".join([*DIMENSIONS, "tag:NAME"])
ERRORS = "count(*) FILTER (WHERE outcome NOT IN ('ok', 'caller_gone'))"
_FIGURES = (
    ("calls", "count(*)"),
    ("errors", ERRORS),
    ("input_tokens", "sum(input_tokens)::BIGINT"),
    ("output_tokens", "sum(output_tokens)::BIGINT"),
    ("cache_read_tokens", "sum(cache_read_tokens)::BIGINT"),
    ("cache_write_tokens", "sum(cache_write_tokens)::BIGINT"),
    ("reasoning_tokens", "sum(reasoning_tokens)::BIGINT"),
    ("cost_nano_usd", "sum(cost_nano_usd)"),
    ("unpriced", "count(*) FILTER (WHERE cost_nano_usd IS NULL)"),
    ("estimated", "count(*) FILTER (WHERE usage_source = 'estimated')"),
    ("in_quarantine", "count(*) FILTER (WHERE quarantined)"),
    ("duration_p50_ns", "quantile_disc(duration_ns, 0.5)"),
    ("duration_p95_ns", "quantile_disc(duration_ns, 0.95)"),
    ("first_token_p50_ns", "quantile_disc(first_token_ns, 0.5)"),
    ("first_token_p95_ns", "quantile_disc(first_token_ns, 0.95)"),
)
_CALL_COLUMNS = (
    "started_ns", "id", "agent", "task", "session", "upstream", "operation", "coalesce(model, model_asked) AS model", "stream", "outcome", "status",
    "finish", "error", "act", "budget", "input_tokens", "output_tokens", "cache_read_tokens", "usage_source", "cost_nano_usd", "cost_source",
    "price_version", "reserved_nano_usd", "duration_ns", "waited_ns", "first_token_ns", "rung", "key", "quarantined",
)  # fmt: skip
MAX_ROWS = 100_000
_SPAN = re.compile(r"(\d{1,6})([smhdw])\Z")
_SPAN_NS = {"s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9, "d": 86400 * 10**9, "w": 7 * 86400 * 10**9}


class BadQuestion(Exception):
    """A report that cannot be made as asked; the message says what can."""


class Report(msgspec.Struct):
    """A table: column names and rows. Units are in the names: `_nano_usd`, `_ns`, `_tokens`. None is unknown."""

    name: str
    columns: list[str]
    rows: list[list[Any]]
    note: str = ""


class Scope(msgspec.Struct, frozen=True):
    """Which calls a report is about: started from `since_ns` on and before `until_ns`; `filters` by dimension."""

    since_ns: int | None = None
    until_ns: int | None = None
    filters: Mapping[str, str] = {}


def parse_time(text: str, now_ns: int) -> int:
    """ns since the Unix epoch of `24h` (ago), `2026-11-01` or `2026-11-01T12:00:00[Z|+01:00]` (UTC where no zone is named)."""
    match = _SPAN.match(text)
    if match:
        return now_ns - int(match[1]) * _SPAN_NS[match[2]]
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:
        raise BadQuestion(
            f"{text[:40]!r} is no time; write a span such as 90m, 24h, 7d, 2w or a date such as 2026-11-01 or 2026-11-01T12:00:00Z"
        ) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.UTC)
    delta = moment - datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
    return (delta.days * 86400 + delta.seconds) * 10**9 + delta.microseconds * 1000


def make_scope(since: str | None, until: str | None, filters: Mapping[str, str], now_ns: int) -> Scope:
    """A scope from the words of a command or an address. Raises `BadQuestion`."""
    for name, value in filters.items():
        find_dimension(name)
        if name == "outcome" and value not in OUTCOMES:
            raise BadQuestion(f"there is no outcome {value[:40]!r}; there are {', '.join(sorted(OUTCOMES))}")
    return Scope(parse_time(since, now_ns) if since else None, parse_time(until, now_ns) if until else None, dict(filters))


def find_dimension(name: str) -> tuple[str, list[str]]:
    """(expression, values to bind in it) of a dimension or `tag:NAME`. Raises `BadQuestion`."""
    if name.startswith("tag:") and len(name) > 4:
        return "tags[?]", [name[4:]]
    if name not in DIMENSIONS:
        raise BadQuestion(f"{name[:40]!r} is nothing to group or filter by; choose from {CHOICES}")
    return DIMENSIONS[name], []


def make_where(scope: Scope, further: str = "") -> tuple[str, list[Any]]:
    """(condition, values to bind)."""
    conditions, values = ["true"], []
    if scope.since_ns is not None:
        conditions.append("started_ns >= ?")
        values.append(scope.since_ns)
    if scope.until_ns is not None:
        conditions.append("started_ns < ?")
        values.append(scope.until_ns)
    for name, value in scope.filters.items():
        expression, bound = find_dimension(name)
        conditions.append(expression + " = ?")
        values += [*bound, value]
    if further:
        conditions.append(further)
    return " WHERE " + " AND ".join(conditions), values


def make_limit(last: int) -> str:
    if not 1 <= last <= MAX_ROWS:
        raise BadQuestion(f"ask for 1 to {MAX_ROWS} at once")
    return f" LIMIT {int(last)}"


def run(query: Query, name: str, sql: str, values: Sequence[Any]) -> Report:
    columns, rows = query(sql, values)
    note = f"cut at {MAX_ROWS} rows; ask for a shorter time or fewer groupings" if len(rows) >= MAX_ROWS else ""
    return Report(name, columns, [list(row) for row in rows], note)


def report(query: Query, by: Sequence[str], scope: Scope) -> Report:
    """Calls, tokens, cost and times by the given dimensions; without any, one row for all. Times in order, else dearest first."""
    groups, bound = group_by(by)
    figures = [f"{expression} AS {name}" for name, expression in _FIGURES]
    where, values = make_where(scope)
    places = [str(place) for place, _ in enumerate(by, 1)]
    times = [place for place, name in zip(places, by, strict=True) if name in ("month", "day", "hour")]
    sql = f"SELECT {', '.join(groups + figures)} FROM calls_now{where}"
    if by:
        sql += f" GROUP BY {', '.join(places)}"
    sql += f" ORDER BY {', '.join([*times, 'cost_nano_usd DESC NULLS LAST', 'calls DESC', *places])}" + make_limit(MAX_ROWS)
    made = run(query, "report", sql, [*bound, *values])
    return msgspec.structs.replace(made, columns=[*by, *made.columns[len(by) :]])


def group_by(by: Sequence[str]) -> tuple[list[str], list[str]]:
    """(what to select for each dimension, as `g0`, `g1`, …; values to bind in it). Raises `BadQuestion`."""
    if len(set(by)) != len(by):
        raise BadQuestion("group by each dimension once")
    found = [find_dimension(name) for name in by]
    return [f"{expression} AS g{place}" for place, (expression, _) in enumerate(found)], [value for _, bound in found for value in bound]


def calls(query: Query, last: int, scope: Scope) -> Report:
    """The last calls, newest first."""
    where, values = make_where(scope)
    sql = f"SELECT {', '.join(_CALL_COLUMNS)} FROM calls_now{where} ORDER BY started_ns DESC, id" + make_limit(last)
    return run(query, "calls", sql, values)


def agents(query: Query, scope: Scope) -> Report:
    """The inventory: every agent ever seen, the latest first; `rung` is how it was last recognised."""
    where, values = make_where(scope)
    sql = (
        "SELECT agent, arg_max(rung, started_ns) AS rung, arg_max(team, started_ns) AS team, min(started_ns) AS first_seen_ns, "
        f"max(started_ns) AS last_seen_ns, count(*) AS calls, {ERRORS} AS errors, count(DISTINCT task) AS tasks, "
        "sum(cost_nano_usd) AS cost_nano_usd, count(*) FILTER (WHERE cost_nano_usd IS NULL) AS unpriced, "
        "count(*) FILTER (WHERE quarantined) AS in_quarantine "
        f"FROM calls_now{where} GROUP BY agent ORDER BY last_seen_ns DESC, agent"
    )
    return run(query, "agents", sql + make_limit(MAX_ROWS), values)


def unpriced(query: Query, scope: Scope) -> Report:
    """Models whose calls have no known cost: give them a price under `prices:` in the config."""
    where, values = make_where(scope, "cost_nano_usd IS NULL AND outcome <> 'weighbridge_crashed'")
    sql = (
        "SELECT upstream, coalesce(model, model_asked) AS model, operation, count(*) AS calls, sum(input_tokens)::BIGINT AS input_tokens, "
        "sum(output_tokens)::BIGINT AS output_tokens, min(started_ns) AS first_seen_ns, max(started_ns) AS last_seen_ns "
        f"FROM calls_now{where} GROUP BY ALL ORDER BY calls DESC, upstream, model, operation"
    )
    return run(query, "unpriced", sql + make_limit(MAX_ROWS), values)
