"""Counting over the last seconds."""

import random

import pytest

from proxy.dataplane.window import Window


@pytest.mark.parametrize("seconds", [1, 3, 60])
def test_it_counts_what_a_list_counts(seconds):
    draw = random.Random(seconds)
    window, times, now = Window(seconds), [], 1000.0
    for _ in range(3000):
        now += draw.choice([0, 0.2, 0.9, 1, 5, seconds, 3 * seconds]) * draw.random()
        if draw.random() < 0.7:
            window.add(now)
            times.append(int(now))
        assert window.sum(now) == sum(int(now) - seconds < each <= int(now) for each in times)


def test_it_forgets():
    window = Window(5)
    window.add(1)
    window.clear()
    assert window.sum(1) == 0
