"""What every named report is asked by its words: the same over the admin port and at the command line."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from proxy.controlplane import reports
from proxy.controlplane.budgets import budgets
from proxy.controlplane.quarantine import quarantines
from proxy.controlplane.reports import BadQuestion, Query, Report
from proxy.controlplane.review.report import agreement, reviews
from proxy.controlplane.tasks import task_costs, tasks
from proxy.controlplane.verdicts import verdicts
from proxy.toll.terms import Balance

REPORTS = {
    "report": "calls, errors, tokens, cost and times, by any of the recorded names",
    "calls": "the newest calls",
    "agents": "every agent seen, with its first and last call",
    "unpriced": "the models whose price is unknown",
    "budgets": "limit, spent, reserved, reset and forecast of every account of a budget, the most used first",
    "verdicts": "what the evaluators objected to, by agent or any of the recorded names",
    "reviews": "what waits for a reviewer, and what reviewers decided",
    "agreement": "how the evaluators and the reviewers agree",
    "quarantines": "which calls are not to be relied on, and why",
    "tasks": "calls, tokens, cost and outcome of every task, and what tasks cost on the average",
}
_PLAIN = frozenset({"since", "until", "by", "last", "format"})


def answer(query: Query, name: str, asked: dict[str, str], now_ns: int, weigh: Callable[[], Sequence[Balance]]) -> Report:
    """A named report for the words of an address or a command: `by`, `since`, `until`, `last`, and filters. Raises `BadQuestion`.

    `weigh` gives the balances of all accounts; only budgets and tasks ask for them.
    """
    filters = {word: value for word, value in asked.items() if word not in _PLAIN}
    if name == "budgets":
        if asked.keys() & {"since", "until", "by"}:
            raise BadQuestion("budgets are shown as they are now; ask with last, budget, unit or a dimension of the account")
        return budgets(query, weigh(), filters, _read_last(asked, "100"), now_ns)
    if name == "quarantines":
        if asked.keys() - {"format"}:
            raise BadQuestion("quarantines are shown all, without a filter")
        return quarantines(query)
    if name in ("reviews", "agreement"):
        named = filters | {word: asked[word] for word in ("since", "until", "by") if word in asked}
        return agreement(query, named, now_ns) if name == "agreement" else reviews(query, named, _read_last(asked, "100"), now_ns)
    scope = reports.make_scope(asked.get("since"), asked.get("until"), filters, now_ns)
    if name == "report":
        return reports.report(query, _read_by(asked.get("by", "agent,model")), scope)
    if name == "calls":
        return reports.calls(query, _read_last(asked, "20"), scope)
    if name == "verdicts":
        return verdicts(query, _read_by(asked.get("by", "agent")), scope)
    if name == "tasks":
        by = asked.get("by")
        return tasks(query, _read_last(asked, "20"), scope, weigh()) if by is None else task_costs(query, _read_by(by), scope)
    return reports.agents(query, scope) if name == "agents" else reports.unpriced(query, scope)


def _read_by(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _read_last(asked: dict[str, str], default: str) -> int:
    last = asked.get("last", default)
    if not last.isascii() or not last.isdigit() or len(last) > 9 or not 1 <= int(last) <= reports.MAX_ROWS:
        raise BadQuestion(f"last is a number from 1 to {reports.MAX_ROWS}, such as 20")
    return int(last)
