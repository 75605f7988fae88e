"""A line: agents take turns, first come first served within one, and a full line makes room for whoever has less in it."""

from __future__ import annotations

import asyncio
from itertools import count

from proxy.rules import Queue
from proxy.toll.line import Line, Wait, Waiter

S = 1_000_000_000
_orders = count()


def stand(line: Line, agent: str, name: str, order: int | None = None) -> Waiter:
    loop = asyncio.new_event_loop()
    waiter = Waiter(name, agent, (), next(_orders) if order is None else order, 0, loop.create_future())
    loop.close()
    line.add(waiter)
    return waiter


def serve(line: Line) -> str:
    return "".join(line.serve_first(index * S).id for index in range(line.count))


def make_wait(line: Line, after_s: float = 0.5, **fields: object) -> Wait:
    known = {"refusal": "policy_rate_limited", "limit": "x", "unit": "input_tokens", "bound": 1e6, "scope": {"agent": "a"}, "earliest_s": 0.0}
    return Wait(**(known | fields), after_s=after_s, line=line)  # type: ignore[arg-type]


def test_agents_take_turns() -> None:
    line = Line(Queue(length=9), 0)
    for agent, name in ("a1", "a2", "a3", "a4", "b1", "c1", "c2"):
        stand(line, agent, agent + name)
    assert serve(line) == "a1b1c1a2c2a3a4"
    assert line.count == 0 and not line.rows


def test_who_came_first_stands_first_even_if_added_later() -> None:
    line = Line(Queue(length=9), 0)
    for order in (5, 2, 9, 1, 7):
        stand(line, "a", str(order), order)
    assert serve(line) == "12579"


def test_who_leaves_is_not_served() -> None:
    line = Line(Queue(length=9), 0)
    first, _, last = stand(line, "a", "1"), stand(line, "a", "2"), stand(line, "b", "3")
    line.remove(first)
    line.remove(last)
    assert (first.line, last.line, line.count, list(line.rows)) == (None, None, 1, ["a"])
    assert line.first.id == "2"


def test_a_full_line_makes_room_only_for_who_has_less_than_a_share() -> None:
    line = Line(Queue(length=4), 0)
    newest = [stand(line, "flood", str(number)) for number in range(4)][-1]
    assert line.find_victim("flood") is None
    assert line.find_victim("b") is newest
    line.remove(newest)
    stand(line, "b", "b1")
    assert (victim := line.find_victim("b")) is not None and victim.agent == "flood"
    line.remove(victim)
    stand(line, "b", "b2")
    assert line.find_victim("b") is None  # two each
    assert (victim := line.find_victim("c")) is not None and victim.id in ("1", "b2")


def test_a_refusal_says_when_to_come_again() -> None:
    line = Line(Queue(length=100), 0)
    for number in range(40):
        stand(line, "a", str(number))
    for second in range(1, 31):
        line.serve_first(second * S)  # one a second
    refusal = line.refuse(make_wait(line), "a")
    assert refusal.retry_after_s is not None and 8 <= refusal.retry_after_s <= 12
    assert "x allows 1000000 input tokens a minute" in refusal.message
    assert refusal.details == {"limit": "x", "unit": "input_tokens", "allowed": 1e6, "scope": {"agent": "a"}, "waiting": 10}
    other = line.refuse(make_wait(line), "b")
    assert other.retry_after_s is not None and other.retry_after_s < 2  # its first turn comes soon
    assert line.refuse(make_wait(line, after_s=77.0), "b").retry_after_s == 77.0
    empty = Line(Queue(), 0)
    provider = empty.refuse(make_wait(empty, refusal="policy_upstream_limited", bound=None), "a")
    assert provider.name == "policy_upstream_limited" and provider.status == 429
