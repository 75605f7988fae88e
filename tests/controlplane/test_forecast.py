"""What becomes of an account, in every kind of window."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.controlplane.forecast import HOUR_NS, Forecast, look_ahead
from proxy.toll.terms import Balance

DAY_NS = 24 * HOUR_NS
START_NS = 1_790_000_000_000_000_000


def account(per: str, spent: int, limit: int | None = 1000, length_ns: int | None = None, reserved: int = 0) -> Balance:
    ends = None if length_ns is None else START_NS + length_ns
    starts = None if length_ns is None else START_NS
    return Balance(
        budget="b", unit="usd", mode="enforce", per=per, scope={}, limit=limit, spent=spent, reserved=reserved, starts_ns=starts, resets_at_ns=ends
    )


def test_a_day_grows_by_the_rate_so_far_and_by_that_of_the_last_hour() -> None:
    now = START_NS + 6 * HOUR_NS
    assert look_ahead(account("day", 200, length_ns=DAY_NS), 10, now) == Forecast(800, 200 + 18 * 10, None)
    found = look_ahead(account("day", 200, length_ns=DAY_NS), 100, now)
    assert found == Forecast(800, 2000, now + 8 * HOUR_NS)


def test_what_is_reserved_is_not_left() -> None:
    found = look_ahead(account("day", 200, length_ns=DAY_NS, reserved=400), 100, START_NS + 6 * HOUR_NS)
    assert found.used_up_ns == START_NS + 10 * HOUR_NS


def test_without_the_last_hour_the_rate_so_far_tells_the_end() -> None:
    found = look_ahead(account("day", 500, length_ns=DAY_NS), None, START_NS + 6 * HOUR_NS)
    assert found == Forecast(2000, None, START_NS + 12 * HOUR_NS)


def test_an_hour_goes_by_its_own_rate() -> None:
    assert look_ahead(account("hour", 600, length_ns=HOUR_NS), 10**9, START_NS + HOUR_NS // 2) == Forecast(1200, None, START_NS + HOUR_NS * 5 // 6)


def test_a_window_just_begun_has_no_rate_yet() -> None:
    assert look_ahead(account("day", 1, length_ns=DAY_NS), None, START_NS + 1) == Forecast()
    assert look_ahead(account("day", 1, length_ns=DAY_NS), 0, START_NS) == Forecast(None, 1, None)


def test_a_rolling_window_holds_its_lengths_worth_of_the_rate() -> None:
    assert look_ahead(account("24h", 200), 10, START_NS) == Forecast(200, 240, None)
    assert look_ahead(account("24h", 200), 100, START_NS) == Forecast(200, 2400, START_NS + 8 * HOUR_NS)
    assert look_ahead(account("30m", 200), 10, START_NS) == Forecast(200, None, None)


def test_a_lifetime_has_no_end_but_may_be_used_up() -> None:
    assert look_ahead(account("lifetime", 200), 100, START_NS) == Forecast(None, None, START_NS + 8 * HOUR_NS)
    assert look_ahead(account("lifetime", 200), 0, START_NS) == Forecast()
    assert look_ahead(account("lifetime", 200), None, START_NS) == Forecast()


@pytest.mark.parametrize(("per", "length_ns"), [("lifetime", None), ("24h", None), ("day", DAY_NS)])
def test_what_is_used_up_is_used_up_now_and_what_has_no_limit_never(per: str, length_ns: int | None) -> None:
    now = START_NS + HOUR_NS
    assert look_ahead(account(per, 900, reserved=100, length_ns=length_ns), 0, now).used_up_ns == now
    assert look_ahead(account(per, 900, limit=0, length_ns=length_ns), None, now).used_up_ns == now
    assert look_ahead(account(per, 900, limit=None, length_ns=length_ns), 100, now).used_up_ns is None


@given(
    st.sampled_from([("day", DAY_NS), ("hour", HOUR_NS), ("24h", None), ("1s", None), ("lifetime", None)]),
    st.integers(0, 10**18),
    st.integers(0, 10**18) | st.none(),
    st.integers(0, 10**18) | st.none(),
    st.integers(0, 2 * DAY_NS),
)
def test_no_account_has_no_answer(kind: tuple, spent: int, limit: int | None, last_hour: int | None, passed_ns: int) -> None:
    now = START_NS + passed_ns
    found = look_ahead(account(kind[0], spent, limit, kind[1]), last_hour, now)
    assert found.used_up_ns is None or now <= found.used_up_ns < 2**63
    assert (found.at_end or 0) >= 0
