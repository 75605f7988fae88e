"""The reports on reviews: how calls stand, and how evaluators and reviewers agree.

A figure over all inspected calls weighs every reviewed call by how many it stands for: one that was flagged for itself, one that was drawn with a
probability of a tenth for ten (Horvitz and Thompson 1952). The intervals are Wilson's, at 95 %.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from proxy.controlplane.reports import MAX_ROWS, BadQuestion, Query, Report, find_dimension, make_limit, parse_time, run
from proxy.controlplane.review.queue import OPEN

_FILTERS = ("agent", "task", "model", "state", "reason", "by")
_STATES = ("open", "decided", *OPEN, "pass", "fail", "unsure", "approved", "rejected", "timed_out", "released", "dropped")
_DECIDED = "('pass', 'fail', 'unsure', 'approved', 'rejected')"
_QUEUED = "('queued', 'held')"
_STANDING = (
    'SELECT id, min(at_ns) AS at_ns, arg_max(state, at_ns) AS state, arg_max(reason, at_ns) AS reason, arg_max("by", at_ns) AS "by", '
    "arg_max(note, at_ns) AS note, arg_max(agent, at_ns) AS agent, arg_max(task, at_ns) AS task, arg_max(model, at_ns) AS model, "
    f"arg_max(share, at_ns) AS share, max(at_ns) FILTER (WHERE state NOT IN {_QUEUED}) AS decided_ns FROM reviews GROUP BY id"
)
_Z = 1.959963984540054  # of the normal distribution, 95 %


def reviews(query: Query, asked: Mapping[str, str], last: int, now_ns: int) -> Report:
    """Every call that is or was to be reviewed: those that wait first, the oldest before all; then those last decided on."""
    conditions, values = ["true"], []
    for word, value in asked.items():
        if word in ("since", "until"):
            conditions.append(f"at_ns {'>=' if word == 'since' else '<'} ?")
            values.append(parse_time(value, now_ns))
        elif word == "state":
            conditions.append(_choose(value))
            values += [] if value in ("open", "decided") else [value]
        elif word in _FILTERS:
            conditions.append(f'r."{word}" = ?')
            values.append(value)
        else:
            raise BadQuestion(f"{word[:40]!r} is nothing to filter reviews by; choose from {', '.join(_FILTERS)}")
    sql = (
        f"WITH r AS ({_STANDING}), v AS (SELECT id, any_value(label) AS label FROM verdicts WHERE evaluator = 'any' GROUP BY id) "
        'SELECT r.at_ns, r.id, r.agent, r.task, r.model, r.reason, v.label AS verdict, r.state, r."by", r.note, r.decided_ns '
        f"FROM r LEFT JOIN v USING (id) WHERE {' AND '.join(conditions)} "
        f"ORDER BY r.state IN {_QUEUED} DESC, CASE WHEN r.state IN {_QUEUED} THEN r.at_ns ELSE -r.decided_ns END, r.id"
    )
    return run(query, "reviews", sql + make_limit(last), values)


def _choose(state: str) -> str:
    if state not in _STATES:
        raise BadQuestion(f"there is no state {state[:40]!r}; choose from {', '.join(_STATES)}")
    return {"open": f"r.state IN {_QUEUED}", "decided": f"r.state IN {_DECIDED}"}.get(state, "r.state = ?")


def agreement(query: Query, asked: Mapping[str, str], now_ns: int) -> Report:
    """For each evaluator: the reviewed calls, those that it and those that reviewers failed, and the shares in which they agree.

    `precision` is the share of what it failed that reviewers failed too; `recall` the share, over all inspected calls, of what reviewers fail that it
    failed; `kappa` is Cohen's, over all inspected calls. Calls marked `unsure` count for neither.
    A judge whose `pass` is kept as well is held to the calls that were put before it.
    """
    conditions, values = ["r.state IN ('pass', 'fail', 'approved', 'rejected')"], []
    for word, value in asked.items():
        if word in ("since", "until"):
            conditions.append(f"r.at_ns {'>=' if word == 'since' else '<'} ?")
            values.append(parse_time(value, now_ns))
        elif word in ("agent", "task", "model"):
            conditions.append(f'r."{word}" = ?')
            values.append(value)
        else:
            find_dimension(word)
            raise BadQuestion(f"agreement is told by agent, task or model, not by {word[:40]!r}")
    sql = (
        f"WITH r AS ({_STANDING}), "
        "j AS (SELECT r.id, r.state IN ('fail', 'rejected') AS failed, 1.0 / coalesce(r.share, 1.0) AS weight FROM r "
        f"WHERE r.id IN (SELECT id FROM verdicts WHERE evaluator = 'any') AND {' AND '.join(conditions)}), "
        "f AS (SELECT DISTINCT id, evaluator FROM verdicts WHERE evaluator <> 'any' AND severity IN ('warning', 'error')), "
        "p AS (SELECT DISTINCT evaluator FROM verdicts WHERE evaluator <> 'any' AND label = 'pass'), "
        "w AS (SELECT DISTINCT evaluator, id, true AS judged FROM verdicts), "
        "e AS (SELECT evaluator FROM f UNION SELECT evaluator FROM p UNION SELECT 'any of them') "
        "SELECT e.evaluator, j.failed, j.id IN (SELECT id FROM f WHERE f.evaluator = e.evaluator OR e.evaluator = 'any of them') AS flagged, "
        "count(*) AS calls, sum(j.weight) AS weight FROM e CROSS JOIN j LEFT JOIN w ON w.evaluator = e.evaluator AND w.id = j.id "
        "WHERE e.evaluator NOT IN (SELECT evaluator FROM p) OR w.judged GROUP BY ALL ORDER BY e.evaluator"
    )
    _, rows = query(sql + make_limit(MAX_ROWS), values)
    cells: dict[str, dict[tuple[bool, bool], tuple[int, float]]] = {}
    for evaluator, failed, flagged, calls, weight in rows:
        cells.setdefault(evaluator, {})[flagged, failed] = (calls, weight)
    columns = ["evaluator", "reviewed", "flagged", "failed", "both", "precision", "precision_low", "precision_high", "recall", "kappa"]
    note = "reviewed calls are weighed by how many they stand for in recall and kappa" if cells else "nobody has reviewed an inspected call yet"
    return Report("agreement", columns, [[name, *weigh(table)] for name, table in cells.items()], note)


def weigh(table: Mapping[tuple[bool, bool], tuple[int, float]]) -> list[Any]:
    """The figures of one evaluator, of (flagged, failed) → (calls, how many these stand for); None is unknown."""
    calls = {place: table.get(place, (0, 0.0))[0] for place in ((True, True), (True, False), (False, True), (False, False))}
    stands = {place: table.get(place, (0, 0.0))[1] for place in calls}
    both, flagged = calls[True, True], calls[True, True] + calls[True, False]
    failed = both + calls[False, True]
    low, high = find_interval(both, flagged)
    all_failed, all_flagged, whole = stands[True, True] + stands[False, True], stands[True, True] + stands[True, False], sum(stands.values())
    agreed = (stands[True, True] + stands[False, False]) / whole
    by_chance = (all_failed * all_flagged + (whole - all_failed) * (whole - all_flagged)) / whole**2
    return [
        sum(calls.values()), flagged, failed, both, _round(both, flagged), low, high, _round(stands[True, True], all_failed),
        _round(agreed - by_chance, 1 - by_chance),
    ]  # fmt: skip


def find_interval(successes: int, trials: int) -> tuple[float | None, float | None]:
    """Wilson's interval of a share (https://doi.org/10.1080/01621459.1927.10502953)."""
    if not trials:
        return None, None
    share, z2 = successes / trials, _Z * _Z
    middle = (share + z2 / (2 * trials)) / (1 + z2 / trials)
    half = _Z * math.sqrt(share * (1 - share) / trials + z2 / (4 * trials**2)) / (1 + z2 / trials)
    return round(max(0.0, middle - half), 3), round(min(1.0, middle + half), 3)


def _round(part: float, whole: float) -> float | None:
    return round(part / whole, 3) if whole > 0 else None
