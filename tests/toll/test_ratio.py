"""How much of estimates comes true."""

from __future__ import annotations

import random

from proxy.toll.ratio import Ratio


def test_it_begins_by_believing_the_estimate() -> None:
    assert Ratio().value == 1.0


def test_it_finds_the_mean_of_what_came() -> None:
    chance = random.Random(7)
    ratio, seen = Ratio(), []
    for _ in range(2000):
        ratio.learn(16_384, 400 * chance.uniform(0.5, 1.5))
        seen.append(ratio.value)
    assert abs(sum(seen[200:]) / len(seen[200:]) - 400 / 16_384) < 0.02 * 400 / 16_384


def test_one_short_answer_does_not_make_calls_free() -> None:
    ratio = Ratio()
    ratio.learn(16_384, 1)
    assert ratio.value > 0.15


def test_it_has_bounds() -> None:
    low, high = Ratio(), Ratio()
    for _ in range(500):
        low.learn(1000, -50)
        high.learn(1, 1e9)
    assert low.value == 1 / 1024 and high.value == 8.0
