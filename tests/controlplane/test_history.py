"""What the database tells of agents from before: the same cells and pauses that would have been counted."""

from __future__ import annotations

from proxy.controlplane.cadence import find_cell
from proxy.controlplane.history import read_agents, read_hours, read_pauses, read_task_calls
from proxy.controlplane.store import Loaded, Store
from tests.controlplane.conftest import START_NS, call

HOUR = 3600
START_S = START_NS / 1e9
NOW_S = START_S + 10 * 24 * HOUR


def fill(store: Store, seconds: list[int], **other: object) -> None:
    lines = [call(0, id=f"c{second}", started_ns=START_NS + second * 10**9, duration_ns=30 * 10**9, **other) for second in seconds]
    store.load(Loaded(rows={"calls": [one[8:-2] for one in lines]}))


def test_an_hour_counts_once_a_day_in_the_cell_of_its_kind_of_day(store: Store) -> None:
    seconds = [day * 24 * HOUR + more for day in range(7) for more in (0, 60)]
    fill(store, seconds, agent="a")
    ((cells, since_day),) = read_hours(store.query, NOW_S).values()
    expected = [find_cell(int((START_S + second) // HOUR)) for second in seconds[::2]]
    assert {cell: days for cell, days in enumerate(cells) if days} == {cell: expected.count(cell) for cell in set(expected)}
    assert len(set(expected)) == 2 and since_day == int(START_S // 86400)


def test_pauses_are_between_the_last_end_and_the_next_beginning(store: Store) -> None:
    fill(store, [0, 10, 80, 500], agent="a")
    assert read_pauses(store.query, NOW_S) == {"a": [(START_S + 110, START_S + 500)]}
    assert read_pauses(store.query, NOW_S + 60 * 24 * HOUR) == {}, "so old that it says nothing any more"


def test_agents_come_the_latest_first_and_tasks_by_their_name(store: Store) -> None:
    fill(store, [0, 100], agent="a", team="t", task="x")
    fill(store, [50], agent="b", task="y")
    (first, *_) = found = read_agents(store.query, 10)
    assert [(one.agent, one.team, one.calls) for one in found] == [("a", "t", 2), ("b", "", 1)]
    assert (first.first_s, first.last_s) == (START_S, START_S + 130)
    assert read_agents(store.query, 1) == [first]
    assert read_task_calls(store.query, ["x", "never"]) == {"x": ("a", START_S + 130)}
