"""The stratified sample, and the law of how many it takes."""

from __future__ import annotations

import math
import random

import pytest

from proxy.controlplane.review import strata
from proxy.controlplane.review.strata import Strata, name_type


@pytest.mark.parametrize("share", [0.01, 0.1, 0.37, 0.5, 0.93, 1.0])
@pytest.mark.parametrize("seed", range(5))
def test_the_number_taken_keeps_to_the_share(share: float, seed: int) -> None:
    chosen = Strata(random.Random(seed).random)
    assert chosen.choose("a", None, share) == 1.0, "the first is certain"
    taken = 0
    for number in range(1, 2000):
        probability = chosen.choose("a", None, share)
        assert probability in (0.0, share)
        taken += probability > 0
        assert abs(taken - number * share) < 3
        assert number % math.ceil(1 / share) or abs(taken - number * share) <= 1.000001, "at the end of a block"


def test_a_rare_agent_is_seen_beside_a_busy_one() -> None:
    chosen = Strata(random.Random(1).random)
    rare = 0
    for number in range(20_000):
        chosen.choose("busy", "summarise", 0.1)
        if number % 1000 == 0:
            rare += chosen.choose("rare", "summarise", 0.1) > 0
    assert 2 <= rare <= 4, "a tenth of its twenty calls, and the first"


def test_no_rhythm_hides_from_it() -> None:
    """An agent whose every tenth call is of another kind: a tenth of these is taken, not all or none."""
    chosen, found = Strata(random.Random(7).random), [0] * 10
    for number in range(20_000):
        found[number % 10] += chosen.choose("a", None, 0.1) > 0
    assert all(140 <= each <= 260 for each in found), found


def test_tasks_are_told_apart_by_their_type() -> None:
    assert name_type("Invoice-4711/2026-11") == name_type("invoice-12/2025-1") == "invoice-#/#-#"
    assert name_type("8f14e45f-ceea-467a-9b36") == "#-ceea-#-#"
    assert name_type(None) == ""
    chosen = Strata(lambda: 0.99)
    assert [chosen.choose("a", task, 0.1) for task in ("mail-1", "mail-2", "translate-1", None)] == [1.0, 0.0, 1.0, 1.0]


def test_nothing_is_taken_of_nothing_and_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = Strata(lambda: 0.99)
    assert chosen.choose("a", None, 0.0) == 0.0
    monkeypatch.setattr(strata, "MOST_STRATA", 2)
    assert [chosen.choose(agent, None, 0.1) for agent in ("a", "b", "a", "c", "a", "b")] == [1.0, 1.0, 0.0, 1.0, 0.0, 1.0]
