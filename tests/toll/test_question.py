"""A question: how long it waits, and what becomes of an answer that nobody waits for any more."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from proxy.rules import Budget
from proxy.toll.account import Standing
from proxy.toll.ledger import Ledger
from proxy.toll.question import Question, stand, write_claims
from proxy.toll.subject import Subject
from proxy.toll.terms import Weight

NOW_NS = 1_795_251_600 * 10**9  # 2026-11-21T09:00:00Z


class Asked(Question):
    def __init__(self) -> None:
        self.given_back = 0
        super().__init__(lambda word, standing: (word, [(one.spent, one.reserved, one.used) for one in standing]), self.note)

    def note(self) -> None:
        self.given_back += 1


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


def test_the_answer_is_decided_upon_in_the_turn_in_which_it_comes() -> None:
    async def scenario() -> None:
        asked = Asked()
        asyncio.get_running_loop().call_soon(asked.hear, ["short", 1, [[5, 2], [7, 0, [[3, 7]]]]])
        assert await asked.wait(5, lambda: 0) == ("short", [(5, 2, []), (7, 0, [[3, 7]])])
        assert asked.was_answered and asked.in_time

    run(scenario())


def test_without_any_answer_it_ends_and_what_is_granted_later_is_given_back() -> None:
    async def scenario() -> None:
        asked = Asked()
        assert await asked.wait(0.01, lambda: 60) is None
        assert not asked.in_time and not asked.was_answered
        assert asked.hear(["short", 1, []]) is False and not asked.given_back
        assert asked.hear(["ok", 1, []]) is False and asked.given_back == 1

    run(scenario())


def test_while_other_answers_come_it_waits_for_its_own() -> None:
    async def scenario() -> None:
        loop, asked = asyncio.get_running_loop(), Asked()
        loop.call_later(0.1, asked.hear, ["ok", 1, []])
        assert await asked.wait(0.01, lambda: 0.001) == ("ok", [])
        endless, began = Asked(), loop.time()
        assert await endless.wait(0.01, lambda: 0.001) is None
        assert loop.time() - began >= 0.2

    run(scenario())


def test_a_conversation_that_ended_and_an_arbiter_that_is_closed_decide_nothing() -> None:
    async def scenario() -> None:
        for answer, came in ((None, False), (["closed", 1, 2], True)):
            asked = Asked()
            assert asked.hear(answer) is came
            assert await asked.wait(5, lambda: 0) is None
            assert asked.in_time and not asked.was_answered

    run(scenario())


def test_claims_as_the_script_reads_them() -> None:
    budgets = [Budget("a", usd=1.0, mode="observe"), Budget("b", tokens=50, per="day", each=["agent"]), Budget("c", calls=9, per="1h")]
    budgets.append(Budget("d", usd=2.0, mode="downgrade", downgrade={"m": "n"}))
    ledger = Ledger(budgets)
    claims = ledger.claim(Subject("x y", "up"), Weight(7, 5), None, NOW_NS)
    bucket = NOW_NS // (60 * 10**9)
    kept = NOW_NS // 10**9 + (15 + 14) * 3600 + 1
    rolling = bucket * 60 + 60 + 3600 + 3600 + 1
    assert write_claims(claims, frozenset({"d"}), ledger.cells, NOW_NS).splitlines() == [
        f"b.tokens@2026-11-21?agent=x%20y 5 50 {kept}",
        f"c.calls@1h:{bucket} 1 9 {rolling} c.calls@1h {bucket - 60} {bucket + 1} ",
        "d.usd@ 7 - -",
        "a.usd@ 7 - -",
    ]
    whole = stand(claims, [Standing(46, 0), Standing(0, 9), Standing(0, 0), Standing(0, 0)])
    assert [slot.fits(amount) for slot, amount in whole] == [False, False, True, True]
    assert all(slot.fits(amount) for slot, amount in claims)
