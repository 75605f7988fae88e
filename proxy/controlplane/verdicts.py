"""The report of verdicts: how many inspected calls each evaluator objected to, by agent or whatever else calls are told apart by."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from evaluators.verdict import PASS
from proxy.controlplane.inspection.inspector import ANY
from proxy.controlplane.reports import MAX_ROWS, Query, Report, Scope, group_by, make_limit, make_where, run


def verdicts(query: Query, by: Sequence[str], scope: Scope) -> Report:
    """For each group and each finding: its calls, those inspected in the group, their share, and when it was last met.

    Calls without a finding are counted in `inspected` alone; a group without any has one row whose evaluator is None.
    """
    groups, bound = group_by(by)
    names = [f"g{place}" for place, _ in enumerate(by)]
    where, values = make_where(scope)
    selected = "".join(f"{name}, " for name in names)
    sql = (
        "WITH judged AS (SELECT " + "".join(f"{group}, " for group in groups) + "v.evaluator, v.label, v.severity, v.at_ns "
        f"FROM calls_now JOIN verdicts v USING (id){where}), "
        f"inspected AS (SELECT {selected}count(*) AS inspected FROM judged WHERE evaluator = '{ANY}' GROUP BY ALL), "
        f"found AS (SELECT {selected}evaluator, label, severity, count(*) AS calls, max(at_ns) AS last_seen_ns "
        f"FROM judged WHERE evaluator <> '{ANY}' AND label <> '{PASS}' GROUP BY ALL) "
        "SELECT " + "".join(f"i.{name}, " for name in names) + "f.evaluator, f.label, f.severity, coalesce(f.calls, 0) AS calls, i.inspected, "
        "coalesce(f.calls, 0) / i.inspected AS share, f.last_seen_ns FROM inspected i LEFT JOIN found f ON true"
        + "".join(f" AND i.{name} IS NOT DISTINCT FROM f.{name}" for name in names)
        + " ORDER BY calls DESC, " + "".join(f"i.{name}, " for name in names) + "evaluator, label" + make_limit(MAX_ROWS)
    )  # fmt: skip
    made = run(query, "verdicts", sql, [*bound, *values])
    return msgspec.structs.replace(made, columns=[*by, *made.columns[len(by) :]])
