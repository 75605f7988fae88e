"""One limit of a provider: what its headers mean, and when there is more."""

from __future__ import annotations

import pytest

from proxy.toll.allowance import Allowance

S = 1_000_000_000
NOW = 1_800_000_000 * S


def tell(allowance: Allowance, remaining: int, limit: int | None, reset_s: float | None, at_s: float = 0.0, spent: float = 0.0) -> None:
    at_ns = NOW + int(at_s * S)
    allowance.refresh((remaining, limit, reset_s), spent, spent, at_ns, at_ns, at_ns)


def left(allowance: Allowance, at_s: float) -> float:
    allowance.advance(NOW + int(at_s * S))
    return allowance.level


def test_nothing_is_known_at_first() -> None:
    assert not Allowance().is_known


def test_a_bucket_shows_by_the_proportion_and_fills_all_the_time() -> None:
    allowance = Allowance()
    tell(allowance, 100, 600, 50.0)
    assert allowance.is_bucket and allowance.rate == pytest.approx(10)
    assert left(allowance, 5) == pytest.approx(150)
    assert left(allowance, 500) == 600


@pytest.mark.parametrize("remaining, reset_s, a_second", [(100, 3000.0, 1 / 6), (100, 72_000.0, 1 / 144)])
def test_a_bucket_may_take_an_hour_or_a_day_to_fill(remaining: int, reset_s: float, a_second: float) -> None:
    allowance = Allowance()
    tell(allowance, remaining, 600, reset_s)
    assert allowance.is_bucket and allowance.rate == pytest.approx(a_second)


def test_a_window_gives_nothing_until_its_end_and_then_all() -> None:
    allowance = Allowance()
    tell(allowance, 100, 600, 20.0)
    assert not allowance.is_bucket
    assert left(allowance, 19.9) == 100
    assert left(allowance, 20) == 600


def test_a_window_that_looked_like_a_bucket_for_a_moment_is_soon_known() -> None:
    allowance = Allowance()
    tell(allowance, 300, 600, 30.0)  # half of it in half of the minute
    assert allowance.is_bucket
    tell(allowance, 290, 600, 20.0, at_s=10)
    assert not allowance.is_bucket
    tell(allowance, 420, 600, 18.0, at_s=12)
    tell(allowance, 200, 600, 10.0, at_s=20)
    assert not allowance.is_bucket


def test_a_bucket_stays_one_though_its_headers_are_rough() -> None:
    allowance = Allowance()
    for second, remaining, reset_s in ((0, 100, 50.0), (2, 40, 57.0), (4, 200, 39.0), (6, 300, 31.0), (8, 590, 1.0), (10, 10, 60.0)):
        tell(allowance, remaining, 600, reset_s, at_s=second)
        assert allowance.is_bucket


@pytest.mark.parametrize("least, most, level", [(0, 90, 60), (0, 10, 90), (0, 40, 60), (50, 90, 50), (40, 40, 60)])
def test_our_own_count_stays_where_it_is_within_what_may_be_left(least: float, most: float, level: float) -> None:
    allowance = Allowance()
    tell(allowance, 60, 600, 20.0)
    allowance.refresh((100, 600, 20.0), least, most, NOW, NOW, NOW)
    assert allowance.level == level


def test_a_window_that_is_over_tells_nothing_of_the_next() -> None:
    allowance = Allowance()
    tell(allowance, 0, 600, 20.0)
    assert left(allowance, 20) == 600
    allowance.refresh((0, 600, 15.0), 0, 0, NOW + 4 * S, NOW + 21 * S, NOW + 21 * S)  # it was asked before the end
    assert allowance.level == 600
    tell(allowance, 550, 600, 57.0, at_s=23)
    assert allowance.level == 550


def test_the_end_of_a_window_is_the_earliest_that_was_seen_of_it() -> None:
    allowance = Allowance()
    allowance.refresh((0, 600, 30.0), 0, 0, NOW, NOW + 9 * S, NOW + 9 * S)  # the answer took nine seconds
    allowance.refresh((0, 600, 28.0), 0, 0, NOW + 2 * S, NOW + 10 * S, NOW + 10 * S)
    assert left(allowance, 37.9) == 0 and left(allowance, 38) == 600


def test_when_it_fits() -> None:
    bucket, window = Allowance(), Allowance()
    tell(bucket, 100, 600, 50.0)
    tell(window, 100, 600, 30.0)
    assert bucket.find_ready(80, NOW) == NOW and window.find_ready(80, NOW) == NOW
    assert bucket.find_ready(138, NOW) == pytest.approx(NOW + 5 * S, abs=S // 100)  # a fiftieth is not touched
    assert window.find_ready(138, NOW) == NOW + 30 * S
    assert bucket.find_ready(10_000, NOW) == pytest.approx(NOW + 44 * S, abs=S // 100)  # larger than all of it: nearly all


def test_the_end_of_a_window_is_spread_over_the_time_that_is_left() -> None:
    allowance, now_ns, sent = Allowance(), NOW, []
    tell(allowance, 62, 600, 30.0)
    while now_ns < NOW + 30 * S:
        allowance.advance(now_ns)
        ready_ns = allowance.find_ready(1, now_ns)
        if ready_ns > now_ns:
            now_ns = ready_ns
            continue
        allowance.spend(1, now_ns)
        sent.append(now_ns)
    assert 45 <= len(sent) <= 62
    assert max(later - sooner for sooner, later in zip(sent, sent[1:], strict=False)) < 6 * S
    assert len([each for each in sent if each < NOW + 10 * S]) < 35


def test_a_long_window_is_not_spread() -> None:
    allowance = Allowance()
    tell(allowance, 10, 600, 40_000.0)
    allowance.spend(1, NOW)
    assert allowance.find_ready(1, NOW) > NOW + S  # a fiftieth is not touched: what is left is for nobody
    tell(allowance, 60, 600, 40_000.0, at_s=1)
    allowance.spend(1, NOW + S)
    assert allowance.find_ready(1, NOW + S) == NOW + S


def test_what_was_not_sent_comes_back() -> None:
    allowance = Allowance()
    tell(allowance, 60, 600, 50.0)
    allowance.spend(20, NOW)
    allowance.give_back(20)
    assert allowance.level == 60 and allowance.find_ready(1, NOW) == NOW


@pytest.mark.parametrize("limit", [None, 0, 100])
def test_headers_may_leave_things_out(limit: int | None) -> None:
    allowance = Allowance()
    tell(allowance, 5, limit, None)
    assert allowance.is_known and allowance.find_ready(1, NOW) >= NOW
    tell(allowance, 0, limit, None, at_s=1)
    allowance.advance(NOW + S)
    assert allowance.find_ready(1, NOW + S) > NOW + S
    assert left(allowance, 100) > 0
