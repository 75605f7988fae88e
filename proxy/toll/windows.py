"""Windows of time: which one a moment falls into, when it begins and ends, and what it is called in the id of a cell.

    hour 2026-11-21T07   day 2026-11-21   week 2026-W47   month 2026-11   lifetime (empty)   rolling 24h:20453

A calendar window is one of its time zone: an hour that the clocks repeat in autumn is one window of two hours. A rolling window is
counted in buckets of a sixtieth of its length; a bucket counts until all of it is older than the window, so that a charge
leaves late by a bucket at most, and never early.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

import msgspec

from proxy.rules import read_period

BUCKETS = 60
_SECOND_NS = 1_000_000_000
_HOUR_NS = 3600 * _SECOND_NS
_NAME = re.compile(r"([12]\d{3})-(?:W(\d\d)|(\d\d)(?:-(\d\d)(?:T(\d\d))?)?)\Z", re.ASCII)
_BUCKET = re.compile(r"([1-9][0-9]{0,4}[smhd]):(-?\d{1,19})\Z", re.ASCII)
# Names do not tell their time zone: between UTC and the westernmost one lie 12 hours. Two more are for clocks that are set back.
_KEPT_NS = 14 * _HOUR_NS
_MOST_KEPT_ROLLING_NS = 2 * _HOUR_NS


class Window(msgspec.Struct, frozen=True, gc=False):
    """A span of time under one name; None: without a beginning, or without an end. Of a rolling window, one bucket."""

    name: str
    starts_ns: int | None = None
    ends_ns: int | None = None  # the first moment after it


class Windows:
    """The windows of one `per`, one after the other."""

    def __init__(self, per: str, timezone: str = "UTC") -> None:
        length_s = read_period(per)
        self.per = per
        self.length_ns = None if length_s is None else int(length_s * _SECOND_NS)  # of a rolling window
        self.bucket_ns = 0 if self.length_ns is None else -(-self.length_ns // BUCKETS)
        self._zone: tzinfo = UTC if timezone == "UTC" else ZoneInfo(timezone)

    def at(self, now_ns: int) -> Window:
        """The window that a moment falls into; of rolling ones its newest bucket."""
        if self.length_ns is not None:
            bucket = now_ns // self.bucket_ns
            return Window(f"{self.per}:{bucket}", bucket * self.bucket_ns, (bucket + 1) * self.bucket_ns)
        if self.per in ("lifetime", "call"):
            return Window("")
        now = datetime.fromtimestamp(now_ns // _SECOND_NS, self._zone)
        name, first, after = _name_calendar(self.per, now.replace(tzinfo=None))
        return Window(name, self._moment(first), self._moment(after))

    def first_live(self, now_ns: int) -> int:
        """The oldest bucket of a rolling window that still counts."""
        return first_live(now_ns, self.length_ns or 0, self.bucket_ns)

    def leaves_ns(self, bucket: int) -> int:
        """When a bucket of a rolling window stops counting."""
        return (bucket + 1) * self.bucket_ns + (self.length_ns or 0)

    def _moment(self, wall: datetime) -> int:
        """What a clock on the wall shows, in nanoseconds since the epoch: the first time, where it shows it twice."""
        return int(wall.replace(tzinfo=self._zone, fold=0).timestamp()) * _SECOND_NS


def first_live(now_ns: int, length_ns: int, bucket_ns: int) -> int:
    """The oldest bucket that has not wholly left a rolling window."""
    return (now_ns - length_ns) // bucket_ns


def _name_calendar(per: str, wall: datetime) -> tuple[str, datetime, datetime]:
    """(name, first moment, first moment after) of the calendar window around a time on the wall."""
    if per == "hour":
        first = wall.replace(minute=0, second=0, microsecond=0)
        return f"{wall:%Y-%m-%dT%H}", first, first + timedelta(hours=1)
    first = wall.replace(hour=0, minute=0, second=0, microsecond=0)
    if per == "day":
        return f"{wall:%Y-%m-%d}", first, first + timedelta(days=1)
    if per == "week":
        year, week, day = wall.isocalendar()
        first -= timedelta(days=day - 1)
        return f"{year:04d}-W{week:02d}", first, first + timedelta(days=7)
    first = first.replace(day=1)
    return f"{wall:%Y-%m}", first, (first + timedelta(days=32)).replace(day=1)


class Named(msgspec.Struct, frozen=True, gc=False):
    """What the name of a window tells by itself."""

    per: str
    kept_until_ns: int | None = None  # what it holds may count in some time zone, or after the clock was set back, until then; None: for ever
    bucket: int | None = None  # of a rolling one


def read_name(name: str) -> Named:
    """What a window's name tells. Raises ValueError for what is none."""
    if not name:
        return Named("lifetime")
    if rolling := _BUCKET.match(name):
        windows, bucket = Windows(rolling[1]), int(rolling[2])
        return Named(rolling[1], windows.leaves_ns(bucket) + min(windows.length_ns or 0, _MOST_KEPT_ROLLING_NS), bucket)
    found = _NAME.match(name)
    if not found:
        raise ValueError(f"no window: {name}")
    year, week, month, day, hour = (int(part) if part else None for part in found.groups())
    assert year is not None
    if week is not None:
        per, first = "week", datetime.combine(date.fromisocalendar(year, week, 1), datetime.min.time())
    else:
        per = "hour" if hour is not None else "day" if day is not None else "month"
        first = datetime(year, month or 1, day or 1, hour or 0)
    after = _name_calendar(per, first)[2]
    return Named(per, int(after.replace(tzinfo=UTC).timestamp()) * _SECOND_NS + _KEPT_NS)
