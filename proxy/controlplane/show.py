"""Reports as text: an aligned table for a terminal, CSV for a spreadsheet, JSON for a program.

A figure that is not known is `unknown` in a table, an empty field in CSV and null in JSON; it is never 0.
Money is written exactly, from the integer: nano-dollars become dollars with as many digits as they have.
"""

from __future__ import annotations

import csv
import datetime
import io
from typing import Any

import msgspec

from proxy.controlplane.reports import Report

FORMATS = ("table", "csv", "json")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet would run: https://owasp.org/www-community/attacks/CSV_Injection
_MAX_CELL = 60
# What a table shows of reports that have more columns than a terminal has room for.
_MAIN = {
    "calls": frozenset({
        "started_ns", "agent", "task", "session", "upstream", "model", "outcome", "error", "act", "input_tokens", "output_tokens",
        "cost_nano_usd", "duration_ns", "first_token_ns", "rung",
    }),
    "budgets": frozenset({
        "budget", "scope", "unit", "limit_amount", "spent_amount", "reserved_amount", "left_amount", "resets_in_ns", "forecast_amount",
        "by_last_hour_amount", "used_up_in_ns",
    }),
    "drift": frozenset({
        "agent", "task", "model", "upstream", "state", "answers", "missing", "baseline", "last_seen_ns", "severity", "alarmed_ns", "said",
    }),
    "alerts": frozenset({"alert", "severity", "state", "summary", "description", "started_ns"}),
    "tasks": frozenset({
        "task", "agent", "outcome", "calls", "errors", "input_tokens", "output_tokens", "cost_nano_usd", "left_nano_usd", "left_tokens",
        "left_calls", "last_seen_ns",
    }),
}  # fmt: skip
_MOMENTS = frozenset({
    "at_ns", "decided_ns", "started_ns", "first_seen_ns", "last_seen_ns", "since_ns", "starts_ns", "until_ns", "resets_at_ns", "used_up_ns",
    "alarmed_ns",
})  # fmt: skip
_MAY_BE_ABSENT = frozenset({  # "-", not "unknown"
    "decided_ns", "since_ns", "until_ns",
    "resets_in_ns", "used_up_in_ns", "limit_nano_usd", "left_nano_usd", "limit_tokens", "left_tokens", "cost_per_success_nano_usd",
    "alarmed_ns",
})  # fmt: skip


def write_usd(nano_usd: int) -> str:
    """Nano-dollars as dollars: at least two digits behind the point, and no more than it takes to be exact."""
    sign, whole, rest = "-" if nano_usd < 0 else "", *divmod(abs(nano_usd), 10**9)
    return f"{sign}{whole}.{f'{rest:09d}'.rstrip('0'):0<2}"


def write_moment(at_ns: int) -> str:
    """A point in time as ISO 8601 in UTC, to the millisecond."""
    moment = datetime.datetime(1970, 1, 1) + datetime.timedelta(microseconds=at_ns // 1000)
    return moment.isoformat(timespec="milliseconds") + "Z"


def write_span(span_ns: int) -> str:
    """A span for people: 840 µs, 12.3 ms, 1.24 s, 3 min 20 s."""
    if span_ns < 1_000_000:
        return f"{span_ns // 1000} µs"
    if span_ns < 1_000_000_000:
        return f"{span_ns / 1e6:.3g} ms" if span_ns < 999_500_000 else "1.00 s"
    if span_ns < 120_000_000_000:
        return f"{span_ns / 1e9:.2f} s"
    minutes = span_ns // 60_000_000_000
    if minutes < 120:
        return f"{minutes} min {span_ns // 1_000_000_000 % 60} s"
    return f"{minutes // 60} h {minutes % 60} min" if minutes < 2880 else f"{minutes // 1440} d {minutes // 60 % 24} h"


def write_amount(amount: int, unit: str) -> str:
    """An amount of a budget for people, in three or more digits and never rounded up: $12.41, $0.00123, 1.23M, 812."""
    sign, size = "-" if amount < 0 else "", abs(amount)
    if unit == "usd":
        whole = write_usd(size)
        kept = whole.index(".") + 3
        if whole.startswith("0."):
            kept = max(kept, len(whole) - len(whole[2:].lstrip("0")) + 3)
        return f"{sign}${whole[:kept]}"
    for power, letter in ((12, "T"), (9, "G"), (6, "M"), (3, "k")):
        if size >= 10 ** (power + (power == 3)):
            return f"{sign}{size * 100 // 10**power / 100:g}{letter}"
    return f"{sign}{size}"


def _is_moment(column: str) -> bool:
    return column in _MOMENTS


def _head(column: str) -> str:
    if column == "by_last_hour_amount":
        return "by hour"
    if column.endswith("_nano_usd"):
        return column.removesuffix("_nano_usd").replace("_", " ")
    return column.removesuffix("_ns").removesuffix("_tokens").removesuffix("_amount").replace("_", " ")


def write_scope(scope: dict[str, str]) -> str:
    """Whose account it is: `agent=researcher model=m`; empty for all calls."""
    return " ".join(f"{dimension}={name}" for dimension, name in scope.items())


def _cell(column: str, value: Any, unit: str = "") -> str:
    """One cell of a table."""
    if isinstance(value, dict):
        value = write_scope(value)
    if value is None or value == "":
        return "unknown" if column.endswith(("_nano_usd", "_tokens", "_ns")) and column not in _MAY_BE_ABSENT else "-"
    if column.endswith("_amount"):
        return write_amount(value, unit)
    if column == "used_up_in_ns" and value == 0:
        return "now"
    if column.endswith("_nano_usd"):
        return "$" + write_usd(value)
    if _is_moment(column):
        return write_moment(value)
    if column.endswith("_ns"):
        return write_span(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3g}"
    text = "".join(letter if letter.isprintable() else "�" for letter in str(value))
    return text if len(text) <= _MAX_CELL else text[: _MAX_CELL - 1] + "…"


def _is_number(column: str, rows: list[list[Any]], place: int) -> bool:
    return not _is_moment(column) and any(isinstance(row[place], (int, float)) and not isinstance(row[place], bool) for row in rows)


def _narrow(report: Report) -> Report:
    """The report without what a terminal has no room for: names that no row has, and all but the main columns where these are told."""
    kept, main = [], _MAIN.get(report.name)
    for place, column in enumerate(report.columns):
        if main is not None and column not in main:
            continue
        is_figure = column.endswith(("_nano_usd", "_tokens", "_ns")) and column not in _MAY_BE_ABSENT
        if is_figure or not report.rows or any(row[place] is not None for row in report.rows):
            kept.append(place)
    rows = [[row[place] for place in kept] for row in report.rows]
    return msgspec.structs.replace(report, columns=[report.columns[place] for place in kept], rows=rows)


def _units(report: Report) -> list[str]:
    """The unit of each row's amounts: usd (the amounts are nano-USD), tokens or calls."""
    place = report.columns.index("unit") if "unit" in report.columns else None
    return ["" if place is None else row[place] for row in report.rows]


def lay_out(report: Report) -> tuple[list[str], list[list[str]], list[bool]]:
    """What a reader sees of a report: heads, cells as text, and which columns are numbers."""
    report = _narrow(report)
    heads = [_head(column) for column in report.columns]
    rows = zip(report.rows, _units(report), strict=True)
    cells = [[_cell(column, value, unit) for column, value in zip(report.columns, row, strict=True)] for row, unit in rows]
    return heads, cells, [_is_number(column, report.rows, place) for place, column in enumerate(report.columns)]


def write_table(report: Report) -> str:
    """Aligned columns, numbers to the right, and how many rows; CSV and JSON have all columns."""
    heads, cells, right = lay_out(report)
    widths = [max([len(head), *(len(row[place]) for row in cells)]) for place, head in enumerate(heads)]
    lines = []
    for row in [heads, ["─" * width for width in widths], *cells]:
        padded = [cell.rjust(width) if to_right else cell.ljust(width) for cell, width, to_right in zip(row, widths, right, strict=True)]
        lines.append("  ".join(padded).rstrip())
    count = len(report.rows)
    lines.append(f"{count} row{'' if count == 1 else 's'}" + (f"; {report.note}" if report.note else ""))
    return "\n".join(lines) + "\n"


def write_csv(report: Report) -> str:
    """RFC 4180. Money as `cost_usd` in exact dollars, times as ISO 8601 and spans in ns."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow([rename(column) for column in report.columns])
    for row, unit in zip(report.rows, _units(report), strict=True):
        writer.writerow([_field(column, value, unit) for column, value in zip(report.columns, row, strict=True)])
    return out.getvalue()


def rename(column: str) -> str:
    """A column's name outside tables: what is no longer in nano-dollars or ns since the epoch is not named so."""
    if column.endswith("_nano_usd"):
        return column.removesuffix("_nano_usd") + "_usd"
    if column.endswith("_amount"):
        return column.removesuffix("_amount")
    return column.removesuffix("_ns") if _is_moment(column) else column


def _field(column: str, value: Any, unit: str) -> Any:
    if value is None:
        return ""
    if isinstance(value, dict):
        value = write_scope(value)
    if column.endswith("_nano_usd") or (column.endswith("_amount") and unit == "usd"):
        return write_usd(value)
    if _is_moment(column):
        return write_moment(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str) and value.startswith(_FORMULA):
        return "'" + value
    return value


def build_json(report: Report) -> dict[str, Any]:
    """The report as an object: rows by column name; money also as `…_usd`, an exact decimal in a string, and a scope as `scope_text`."""
    rows = []
    for row in report.rows:
        item = dict(zip(report.columns, row, strict=True))
        for column, value in list(item.items()):
            if column.endswith("_nano_usd"):
                item[rename(column)] = None if value is None else write_usd(value)
            elif _is_moment(column):
                item[rename(column)] = None if value is None else write_moment(value)
            elif column.endswith("_amount") and item["unit"] == "usd":
                item[rename(column) + "_usd"] = None if value is None else write_usd(value)
            elif isinstance(value, dict):
                item[f"{column}_text"] = write_scope(value)
        rows.append(item)
    return {"report": report.name, "columns": report.columns, "rows": rows, "note": report.note}


def write(report: Report, form: str) -> str:
    """The report as `table`, `csv` or `json` text."""
    if form == "csv":
        return write_csv(report)
    if form == "json":
        return msgspec.json.format(msgspec.json.encode(build_json(report)), indent=2).decode() + "\n"
    return write_table(report)
