"""The page at the admin port's root: whether the data plane lives, who called lately, the newest calls, and where to go on.

Plain HTML made anew for each request; it holds no script, and everything that came from outside is escaped.
"""

from __future__ import annotations

import html
from collections.abc import Sequence

from proxy.controlplane import show
from proxy.controlplane.reports import DIMENSIONS, Report
from proxy.pulse import Pulse

_LINKS = (
    ("/api/report?by=agent,model&since=24h", "calls, tokens, cost and times by any of the recorded names"),
    ("/api/calls?last=20", "the newest calls"),
    ("/api/agents", "every agent seen"),
    ("/api/unpriced", "models whose price is unknown"),
    ("/api/budgets", "limit, spent, reserved and forecast of every account of a budget"),
    ("/api/tasks", "every task with its calls and cost; by=agent: what tasks cost on the average"),
    ("/api/reviews?state=open", "what waits for a reviewer, the oldest first"),
    ("/api/agreement", "how the evaluators and the reviewers agree"),
    ("/api/quarantines", "which calls are not to be relied on, and why"),
    ("/api/orders", "who is paused or killed, by whom and why"),
    ("/api/keys", "the virtual keys, and what they may spend"),
    ("/api/alerts", "what is wrong now, whether or not anybody was told"),
    ("/metrics", "for Prometheus"),
    ("/healthz", "whether this process runs"),
    ("/readyz", "whether the data plane was heard of in the last five seconds"),
)
_STYLE = (
    ":root{color-scheme:light dark}body{font:13px/1.5 system-ui,sans-serif;max-width:110em;margin:2em auto;padding:0 1.5em}"
    "h1{margin:0 0 .3em}h2{font-size:1.1em;margin:2em 0 .4em}section{overflow-x:auto}table{border-collapse:collapse}"
    "th,td{text-align:left;padding:.25em 1.2em .25em 0;border-bottom:1px solid #8884;white-space:nowrap;font-variant-numeric:tabular-nums}"
    "th{font-weight:600}.number{text-align:right}code{font-size:.95em}.state{padding:.5em .9em;border-left:.35em solid #2a8a4a;background:#8881}"
    ".bad{border-color:#c33}"
)
_FIRST_STEP = "None yet. Make the call of the README's first screen, or run <code>make demo</code>."


def write_page(pulse: Pulse | None, age_s: float | None, fresh_s: float, parts: Sequence[tuple[str, Report | str]]) -> str:
    """The page; `parts` are (heading, report, or why there is none)."""
    sections = "".join(f"<h2>{html.escape(title)}</h2><section>{_write_part(part)}</section>" for title, part in parts)
    links = "".join(f'<tr><td><a href="{html.escape(path)}"><code>{html.escape(path)}</code></a><td>{html.escape(text)}' for path, text in _LINKS)
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Weighbridge</title>'
        f"<style>{_STYLE}</style><h1>Weighbridge</h1>{_write_state(pulse, age_s, fresh_s)}{sections}"
        f"<h2>Ask for more</h2><section><table>{links}</table></section>"
        "<p>Reports are JSON; add <code>format=csv</code> for a spreadsheet. "
        "Times (<code>since=</code>, <code>until=</code>): 90m, 24h, 7d, 2026-11-01, 2026-11-01T12:00:00Z.</p>"
        f"<p>Group by (<code>by=</code>) and filter on (<code>agent=researcher</code>): {html.escape(', '.join(DIMENSIONS))}.</p></html>"
    )


def _write_state(pulse: Pulse | None, age_s: float | None, fresh_s: float) -> str:
    if pulse is None or age_s is None:
        return '<p class="state bad">The data plane was not heard of yet; if this stays so, see the log of weighbridge serve.</p>'
    if age_s > fresh_s:
        return f'<p class="state bad">The data plane was last heard of {age_s:.0f} s ago; see the log of weighbridge serve.</p>'
    waiting = f", {pulse.journal_waiting} records waiting for the disk" if pulse.journal_waiting else ""
    lost = f", {pulse.journal_lost} records lost" if pulse.journal_lost else ""
    mood = "state bad" if waiting or lost else "state"
    since = show.write_moment(pulse.started_ns)
    return f'<p class="{mood}">The data plane is alive: {pulse.in_flight} calls in flight, {pulse.settled} ended since {since}{waiting}{lost}.</p>'


def _write_part(part: Report | str) -> str:
    if isinstance(part, str):
        return f"<p>{html.escape(part)}</p>"
    if not part.rows:
        return f"<p>{_FIRST_STEP}</p>"
    heads, rows, right = show.lay_out(part)
    marks = [' class="number"' if to_right else "" for to_right in right]
    lines = [_write_row("th", heads, marks), *(_write_row("td", row, marks) for row in rows)]
    return f"<table>{''.join(lines)}</table>"


def _write_row(tag: str, cells: Sequence[str], marks: Sequence[str]) -> str:
    return "<tr>" + "".join(f"<{tag}{mark}>{html.escape(cell)}" for cell, mark in zip(cells, marks, strict=True))
