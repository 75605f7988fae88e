"""The quota of further attempts: in no minute more than its share."""

import random

import pytest

from proxy.dataplane.quota import Quota


def storm(quota, draw, calls_a_second, seconds):
    """All calls fail, and each wants three more attempts, at once or later. (times of the calls, times of further attempts)"""
    calls, taken, wanting = [], [], []
    for step in range(seconds * 10):
        now = 5000 + step / 10
        for _ in range(sum(draw.random() < calls_a_second / 40 for _ in range(4))):
            quota.count(now)
            calls.append(now)
            wanting += [now, now + draw.random() * 8, now + draw.random() * 40]
        for due in [one for one in wanting if one <= now]:
            wanting.remove(due)
            if quota.take(now):
                taken.append(now)
    return calls, taken


@pytest.mark.parametrize("seed", range(4))
def test_under_a_failing_upstream_at_most_a_tenth_more_go_there_in_any_minute(seed):
    calls, taken = storm(Quota(0.1, 3), random.Random(seed), 8, 240)
    assert taken
    for start in [5000 + each / 2 for each in range(360)]:
        many = sum(start <= one < start + 60 for one in calls)
        assert sum(start <= one < start + 60 for one in taken) <= 0.11 * many + 1  # the calls that a minute's edge divides


@pytest.mark.parametrize("seed", range(4))
def test_at_the_moment_of_each_it_is_exact(seed):
    calls, taken = storm(Quota(0.25, 2), random.Random(seed), 2, 300)
    for moment in taken:
        many = sum(moment - 60 <= one <= moment for one in calls)
        assert sum(moment - 60 < one <= moment for one in taken) <= max(2, 0.25 * many)


def test_few_calls_have_a_few_attempts_and_a_share_of_none_has_none():
    quota = Quota(0.1, 2)
    quota.count(0)
    assert [quota.take(1), quota.take(2), quota.take(3)] == [True, True, False] and quota.refused == 1
    assert quota.take(70)
    assert not Quota(0.0, 0).take(0)
