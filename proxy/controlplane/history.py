"""What the database tells of agents and tasks from before: as the fleet remembers it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from proxy.controlplane.cadence import CELLS, DAY_S, PAUSE_S, PAUSES
from proxy.controlplane.reports import Query

_NANO = 1e9
_DAYS = 28  # that are looked back to for hours and pauses
_MOST_TASKS = 10_000
_END = "started_ns + coalesce(duration_ns, 0)"
_AGENTS = (
    f"SELECT agent, coalesce(arg_max(team, started_ns), ''), min(started_ns), max({_END}), count(*) FROM calls "
    "GROUP BY agent ORDER BY 4 DESC, agent LIMIT ?"
)
# The cells of proxy.controlplane.cadence: hours of the day, those of weekends after those of working days; the epoch began on a Thursday.
_HOURS = (
    "SELECT agent, hour % 24 + CASE WHEN (hour // 24 + 3) % 7 >= 5 THEN 24 ELSE 0 END AS cell, count(*), min(min(hour)) OVER (PARTITION BY agent) "
    "FROM (SELECT DISTINCT agent, started_ns // 3600000000000 AS hour FROM calls WHERE started_ns >= ?) GROUP BY agent, cell"
)
_PAUSES = (
    "SELECT agent, began, ended FROM (SELECT agent, "
    f"max({_END}) OVER (PARTITION BY agent ORDER BY started_ns ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS began, started_ns AS ended "
    "FROM calls WHERE started_ns >= ?) WHERE ended - began >= ? "
    "QUALIFY row_number() OVER (PARTITION BY agent ORDER BY ended DESC) <= ? ORDER BY agent, ended"
)
_OPEN = (
    "SELECT task, arg_max(agent, at_ns), min(at_ns) FROM tasks GROUP BY task HAVING max(outcome) IS NULL ORDER BY 3 DESC LIMIT ?"
)
_CALLS = f"SELECT task, arg_max(agent, started_ns), max({_END}) FROM calls WHERE list_contains(?, task) GROUP BY task"


class Past(msgspec.Struct, frozen=True):
    """An agent as it was seen until now; seconds since the Unix epoch."""

    agent: str
    team: str
    first_s: float
    last_s: float
    calls: int


def read_agents(query: Query, most: int) -> list[Past]:
    """The agents that were seen last, the latest first."""
    return [Past(agent, team, first / _NANO, last / _NANO, calls) for agent, team, first, last, calls in query(_AGENTS, [most])[1]]


def read_hours(query: Query, now_s: float) -> dict[str, tuple[bytearray, int]]:
    """Agent → (days with a call in each cell, the day since the epoch from which they were counted)."""
    found: dict[str, tuple[bytearray, int]] = {}
    for agent, cell, days, first_hour in query(_HOURS, [_look_back(now_s)])[1]:
        found.setdefault(agent, (bytearray(CELLS), first_hour // 24))[0][cell] = min(days, 255)
    return found


def read_pauses(query: Query, now_s: float) -> dict[str, list[tuple[float, float]]]:
    """Agent → its last pauses in order, as (began, ended)."""
    found: dict[str, list[tuple[float, float]]] = {}
    for agent, began, ended in query(_PAUSES, [_look_back(now_s), int(PAUSE_S * _NANO), PAUSES])[1]:
        found.setdefault(agent, []).append((began / _NANO, ended / _NANO))
    return found


def read_open_tasks(query: Query) -> dict[str, tuple[str | None, float]]:
    """Task → (its agent, when it was opened) of those that were opened by order and not closed."""
    return {task: (agent, at / _NANO) for task, agent, at in query(_OPEN, [_MOST_TASKS])[1]}


def read_task_calls(query: Query, tasks: Sequence[str]) -> dict[str, tuple[str, float]]:
    """Task → (the agent of its newest call, when its last call ended)."""
    return {task: (agent, last / _NANO) for task, agent, last in query(_CALLS, [list(tasks)])[1]}


def _look_back(now_s: float) -> int:
    return int((now_s - _DAYS * DAY_S) * _NANO)
