"""How much CPU a decision about a call under five budgets takes: reserve and settle, beside a loop that only looks into dicts.

    .venv/bin/python benchmarks/admission.py [CALLS]

The five accounts are those of a call of one of 200 agents: all, team, agent, task and model, of them one a rolling window. Nothing is
written to disk here. Fails where a decision (reserve) takes more than 20 us.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable

from proxy.rules import Budget
from proxy.toll.ledger import Ledger
from proxy.toll.subject import Subject
from proxy.toll.terms import Grant, Weight

_CALLS = 100_000
_ROUNDS = 5
_MOST_US = 20.0
_BUDGETS = [
    Budget("all", usd=1e8, per="month", timezone="Europe/Berlin"),
    Budget("team-day", usd=1e7, per="day", each=["team"]),
    Budget("agent-day", usd=1e7, per="day", each=["agent"], mode="strict"),
    Budget("task", usd=1e7, each=["task"], match={"agent": "agent-*"}),
    Budget("model-rolling", usd=1e7, per="24h", each=["model"]),
]
_ESTIMATE, _BOUND, _ACTUAL = Weight(30_000_000, 2_000), Weight(120_000_000, 9_000), Weight(21_000_000, 1_400)


def measure(run: Callable[[int], None], calls: int) -> float:
    """CPU in microseconds a call: the median of some rounds."""
    figures = []
    for _ in range(_ROUNDS):
        before = time.process_time_ns()
        run(calls)
        figures.append((time.process_time_ns() - before) / calls / 1000)
    return statistics.median(figures)


class Bench:
    """A ledger with calls of many agents; every call of a round has an id of its own."""

    def __init__(self) -> None:
        self.ledger = Ledger(_BUDGETS)
        self.subjects = [Subject(f"agent-{n}", "openai", f"model-{n % 7}", f"team-{n % 5}", f"task-{n % 50}") for n in range(200)]
        self.ids: list[str] = []
        self._last = 0

    def name(self, calls: int) -> None:
        self.ids = [f"{number:026x}" for number in range(self._last, self._last + calls)]
        self._last += calls

    def reserve(self, calls: int) -> None:
        ledger, subjects, now = self.ledger, self.subjects, time.time_ns()
        for index, id in enumerate(self.ids):
            granted = ledger.reserve(id, subjects[index % 200], _ESTIMATE, _BOUND, now + index * 1000)
            assert type(granted) is Grant

    def settle(self, calls: int) -> None:
        for id in self.ids:
            self.ledger.settle(id, _ACTUAL)

    def concern(self, calls: int) -> None:
        ledger, subjects = self.ledger, self.subjects
        for index in range(calls):
            ledger.concerns(subjects[index % 200])


def look_up(calls: int) -> None:
    """The least that anything with five counters does: five keys made, five look-ups, five additions."""
    counters = {(name, f"agent-{n}"): 0 for name in "abcde" for n in range(200)}
    agents = [f"agent-{n}" for n in range(200)]
    for index in range(calls):
        agent = agents[index % 200]
        for name in "abcde":
            counters[name, agent] += 30_000_000


def main() -> None:
    calls = int(sys.argv[1]) if len(sys.argv) > 1 else _CALLS
    bench = Bench()
    reserves, settles = [], []
    for _ in range(_ROUNDS):
        bench.name(calls)
        before = time.process_time_ns()
        bench.reserve(calls)
        between = time.process_time_ns()
        bench.settle(calls)
        reserves.append((between - before) / calls / 1000)
        settles.append((time.process_time_ns() - between) / calls / 1000)
    print(f"{calls} calls under {len(_BUDGETS)} budgets, CPU a call, median of {_ROUNDS} rounds")
    reserve = statistics.median(reserves)
    print(f"  reserve     {reserve:6.2f} us   (at most {_MOST_US:.0f})")
    print(f"  settle      {statistics.median(settles):6.2f} us")
    print(f"  concerns    {measure(bench.concern, calls):6.2f} us   (whom it concerns, asked once before the estimate)")
    print(f"  five dicts  {measure(look_up, calls):6.2f} us   (five look-ups and additions, nothing decided)")
    assert not bench.ledger.open_ids
    if reserve > _MOST_US:
        sys.exit(f"a decision took {reserve:.1f} us")


if __name__ == "__main__":
    main()
