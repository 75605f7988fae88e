"""The circuit breaker opens and closes as configured."""

import random

from proxy.dataplane.breaker import Breaker
from proxy.routes import Breaker as Settings

SETTINGS = Settings(share=0.5, least_calls=4, window_s=10, open_s=5.0, most_open_s=15.0)


def go(breaker, is_failure, now):
    breaker.leave(breaker.enter(), is_failure, now)


def opened(now=100.0):
    breaker = Breaker(SETTINGS)
    for _ in range(4):
        go(breaker, True, now)
    return breaker


def test_it_opens_at_its_share_and_not_before_there_were_enough_calls():
    breaker = Breaker(SETTINGS)
    for is_failure in (True, True, True):
        go(breaker, is_failure, 100)
    assert breaker.wait_s(100) == 0
    go(breaker, False, 100)
    assert breaker.wait_s(100) == 0  # it is failures that open it
    go(breaker, True, 101)
    assert breaker.wait_s(101) == 5 and breaker.opened == 1


def test_failures_older_than_the_window_do_not_count():
    breaker = Breaker(SETTINGS)
    for now in (100, 100, 100, 111):
        go(breaker, True, now)
    assert breaker.wait_s(111) == 0


def test_then_one_at_a_time_goes_through_to_see():
    breaker = opened()
    assert breaker.wait_s(104.9) > 0 and breaker.wait_s(105) == 0
    ticket = breaker.enter()
    assert breaker.wait_s(105) > 0  # one is out
    breaker.leave(ticket, None, 106)  # it told nothing: the next one goes
    assert breaker.wait_s(106) == 0
    breaker.leave(breaker.enter(), False, 107)
    assert breaker.wait_s(107) == 0
    go(breaker, True, 107)
    assert breaker.wait_s(107) == 0  # closed, and all forgotten


def test_each_failed_probe_doubles_the_wait_up_to_its_bound():
    breaker, now, waits = opened(), 100.0, []
    for _ in range(4):
        waits.append(breaker.wait_s(now))
        now += waits[-1]
        go(breaker, True, now)
    assert waits == [5, 10, 15, 15]


def test_what_went_out_before_it_opened_tells_nothing_any_more():
    breaker = Breaker(SETTINGS)
    late = breaker.enter()
    for _ in range(4):
        go(breaker, True, 100)
    breaker.leave(late, False, 101)
    assert breaker.wait_s(101) > 0
    probe = breaker.enter() if breaker.wait_s(105) == 0 else None
    breaker.leave(late, False, 105)
    assert breaker.wait_s(105) > 0
    breaker.leave(probe, True, 106)
    assert breaker.wait_s(106) == 10


def test_a_share_of_zero_never_opens():
    breaker = Breaker(Settings())
    for _ in range(100):
        go(breaker, True, 100)
    assert breaker.wait_s(100) == 0


def test_while_an_upstream_is_down_only_probes_reach_it():
    breaker, draw, sent = Breaker(SETTINGS), random.Random(1), []
    for step in range(3000):
        now = 100 + step / 10
        if draw.random() < 0.8 and breaker.wait_s(now) == 0:
            sent.append(now)
            go(breaker, now < 380, now)
    assert sum(110 <= now < 380 for now in sent) <= 270 / 5
    assert sum(now >= 396 for now in sent) > 10  # and it came back


def test_its_state_is_told():
    breaker = Breaker(SETTINGS)
    assert breaker.state(100) == 0
    breaker = opened()
    assert (breaker.state(104.9), breaker.state(105)) == (2, 1)
    go(breaker, False, 106)
    assert breaker.state(106) == 0
