"""Windows of time, in every zone and over every change of clocks."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.toll.windows import BUCKETS, Window, Windows, read_name

SECOND_NS = 10**9
HOUR_NS = 3600 * SECOND_NS


def ns(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp()) * SECOND_NS


@pytest.mark.parametrize(
    ("per", "zone", "at", "name", "starts", "ends"),
    [
        ("hour", "UTC", "2026-11-21T07:59:59Z", "2026-11-21T07", "2026-11-21T07:00:00Z", "2026-11-21T08:00:00Z"),
        ("day", "UTC", "2026-11-21T00:00:00Z", "2026-11-21", "2026-11-21T00:00:00Z", "2026-11-22T00:00:00Z"),
        ("day", "Europe/Berlin", "2026-11-20T23:30:00Z", "2026-11-21", "2026-11-20T23:00:00Z", "2026-11-21T23:00:00Z"),
        ("week", "UTC", "2026-11-22T23:59:59Z", "2026-W47", "2026-11-16T00:00:00Z", "2026-11-23T00:00:00Z"),
        ("week", "UTC", "2027-01-02T00:00:00Z", "2026-W53", "2026-12-28T00:00:00Z", "2027-01-04T00:00:00Z"),
        ("month", "Asia/Kolkata", "2026-11-30T18:29:59Z", "2026-11", "2026-10-31T18:30:00Z", "2026-11-30T18:30:00Z"),
        ("month", "UTC", "2026-12-31T23:59:59Z", "2026-12", "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z"),
        # the clocks go forward: a day of 23 hours; and back: one of 25, and an hour of two
        ("day", "Europe/Berlin", "2026-03-29T12:00:00Z", "2026-03-29", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"),
        ("day", "Europe/Berlin", "2026-10-25T12:00:00Z", "2026-10-25", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"),
        ("hour", "Europe/Berlin", "2026-10-25T01:30:00Z", "2026-10-25T02", "2026-10-25T00:00:00Z", "2026-10-25T02:00:00Z"),
        ("hour", "Australia/Lord_Howe", "2026-04-04T15:10:00Z", "2026-04-05T01", "2026-04-04T14:00:00Z", "2026-04-04T15:30:00Z"),
        # midnight that does not exist, and midnight twice
        ("day", "Asia/Beirut", "2026-03-29T00:00:00Z", "2026-03-29", "2026-03-28T22:00:00Z", "2026-03-29T21:00:00Z"),
        ("day", "America/Havana", "2026-11-01T04:30:00Z", "2026-11-01", "2026-11-01T04:00:00Z", "2026-11-02T05:00:00Z"),
    ],
)
def test_calendar_windows(per: str, zone: str, at: str, name: str, starts: str, ends: str) -> None:
    assert Windows(per, zone).at(ns(at)) == Window(name, ns(starts), ns(ends))


def test_a_life_has_no_window() -> None:
    assert Windows("lifetime").at(5) == Window("")


@settings(max_examples=200)
@given(
    zone=st.sampled_from(("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "Asia/Kathmandu", "Africa/Cairo")),
    per=st.sampled_from(("hour", "day", "week", "month")),
    at_s=st.integers(1_200_000_000, 2_200_000_000),
)
def test_a_moment_lies_in_its_window_and_windows_follow_each_other(zone: str, per: str, at_s: int) -> None:
    windows = Windows(per, zone)
    window = windows.at(at_s * SECOND_NS)
    assert window.starts_ns is not None and window.ends_ns is not None
    assert window.starts_ns <= at_s * SECOND_NS < window.ends_ns
    assert windows.at(window.starts_ns) == windows.at(window.ends_ns - 1) == window
    following = windows.at(window.ends_ns)
    assert following.starts_ns == window.ends_ns and following.name != window.name
    kept = read_name(window.name).kept_until_ns
    assert kept is not None and kept >= window.ends_ns + HOUR_NS, "kept for an hour more, whatever the zone"


@settings(max_examples=200)
@given(per=st.sampled_from(("1s", "59s", "30m", "24h", "7d", "366d")), at_ns=st.integers(10**18, 2 * 10**18), ago=st.floats(0, 2))
def test_a_charge_leaves_a_rolling_window_late_by_a_bucket_at_most_and_never_early(per: str, at_ns: int, ago: float) -> None:
    windows = Windows(per)
    assert windows.length_ns is not None
    charged_ns = at_ns - int(windows.length_ns * ago)
    bucket = charged_ns // windows.bucket_ns
    counts = bucket >= windows.first_live(at_ns)
    if charged_ns > at_ns - windows.length_ns:
        assert counts, "it left early"
    if charged_ns <= at_ns - windows.length_ns - windows.bucket_ns:
        assert not counts, "it stayed for more than a bucket"
    assert windows.first_live(windows.leaves_ns(bucket) - 1) <= bucket < windows.first_live(windows.leaves_ns(bucket))
    assert at_ns // windows.bucket_ns - windows.first_live(at_ns) <= BUCKETS


def test_the_name_of_a_bucket_tells_its_window() -> None:
    windows = Windows("24h")
    window = windows.at(ns("2026-11-21T09:10:00Z"))
    named = read_name(window.name)
    assert (named.per, named.bucket) == ("24h", ns("2026-11-21T09:10:00Z") // windows.bucket_ns)
    assert window.starts_ns == named.bucket * windows.bucket_ns and named.kept_until_ns == windows.leaves_ns(named.bucket) + 2 * HOUR_NS
    assert read_name("").kept_until_ns is None


@pytest.mark.parametrize(
    "name", ["2026", "2026-13", "2026-W60", "2026-02-30", "2026-11-21T25", "24h:", "0h:5", "9999d:1", "24x:1", "lifetime", "2026-11 "]
)
def test_what_is_no_window(name: str) -> None:
    with pytest.raises(ValueError):
        read_name(name)


def test_buckets_of_neighbours_touch() -> None:
    windows = Windows("7d")
    named = [windows.at(n * windows.bucket_ns) for n in range(5)]
    assert all(one.ends_ns == other.starts_ns for one, other in pairwise(named))


def test_zones_are_those_of_the_machine() -> None:
    moment = datetime(2026, 7, 1, tzinfo=ZoneInfo("Asia/Tokyo")).astimezone(UTC)
    assert Windows("day", "Asia/Tokyo").at(int(moment.timestamp()) * SECOND_NS).name == "2026-07-01"
