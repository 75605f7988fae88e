"""One of a provider's limits, requests or tokens, as far as its headers have told it: how much is left, and when there will be more.

Providers mean one of two things by the time of a reset. A bucket fills all the time, and the reset is when it will be full: then the
time is always in proportion to what was used. A window gives everything back at once, at its end. Which one it is shows in the headers
themselves, again and again; until it has shown, the end of a window is taken for granted, which is never too early.
"""

from __future__ import annotations

_PERIODS_S = (60.0, 3600.0, 86400.0)  # in which an empty bucket is full again
_SURE = 4  # this many observations decide, and no more
_APART_NS = 1_000_000_000  # between observations that count
_TELLING_S = 3.0  # a shorter time to the reset tells nothing
_PACED_S = 60.0  # the last part of a window is spread over at most this long
Told = tuple[int, int | None, float | None]  # remaining, limit, seconds to the reset


class Allowance:
    """What is left of one limit. Nothing is known of it before `refresh`."""

    __slots__ = ("_began_ns", "_judged_ns", "_paced_ns", "_period_s", "_resets_ns", "_score", "at_ns", "level", "limit")

    def __init__(self) -> None:
        self.limit = 0.0  # 0: not known
        self.level = 0.0  # left at `at_ns`
        self.at_ns = 0
        self._began_ns = 0  # of a window: when it did, once one has ended
        self._resets_ns = 0  # of a window: the latest that it can end
        self._paced_ns = 0
        self._period_s = _PERIODS_S[0]
        self._score = 0
        self._judged_ns = 0

    @property
    def is_known(self) -> bool:
        return self.limit > 0

    @property
    def is_bucket(self) -> bool:
        """Whether it fills all the time."""
        return self._score > 0

    def refresh(self, told: Told, least: float, most: float, sent_ns: int, came_ns: int, now_ns: int) -> None:
        """Take in the headers that came at `came_ns`. So much was sent since their request was: `least` surely, `most` perhaps.

        That leaves a span of what may be left. Our own count stays where it is within.
        """
        remaining, limit, reset_s = told
        if not self.is_known:
            self.level, self.at_ns = remaining - most, now_ns
        self.limit = float(limit or max(remaining, self.limit, 1.0))
        used = max(self.limit - remaining, 0.0)
        if reset_s is None:
            self._score, reset_s = 1, _PERIODS_S[0] * used / self.limit
        else:
            self._judge(reset_s, used, now_ns)
        self.advance(now_ns)
        came_back = 0.0
        if self.is_bucket:
            came_back = (now_ns - sent_ns) / 1e9 * self.rate
        elif not self._place_window(sent_ns + int(reset_s * 1e9), came_ns + int(reset_s * 1e9), now_ns):
            return
        self.level = min(max(self.level, remaining - most), remaining - least + came_back)

    def _place_window(self, soonest_ns: int, latest_ns: int, now_ns: int) -> bool:
        """A window ends between these two moments, by one answer; whether it is the window that is now."""
        if soonest_ns <= self._began_ns:
            return False
        is_same = soonest_ns <= self._resets_ns and now_ns < self._resets_ns
        self._resets_ns = min(self._resets_ns, latest_ns) if is_same else latest_ns
        return True

    @property
    def rate(self) -> float:
        """Of a bucket: how much comes back a second."""
        return self.limit / self._period_s

    def advance(self, now_ns: int) -> None:
        """What has come back since."""
        if self.is_bucket:
            if self.level < self.limit:
                self.level = min(self.limit, self.level + (now_ns - self.at_ns) / 1e9 * self.rate)
        elif now_ns >= self._resets_ns:
            self.level = self.limit
            self._began_ns = now_ns
            self._resets_ns = now_ns + int(self._period_s * 1e9)
            self._paced_ns = 0
        self.at_ns = max(now_ns, self.at_ns)

    def find_ready(self, amount: float, now_ns: int) -> int:
        """When so much may be taken, after `advance`; now or before: at once. A call larger than the whole waits for nearly the whole."""
        needed = min(amount + self.limit // 50, self.limit * 0.9)
        if self.is_bucket:
            return now_ns if self.level >= needed else now_ns + int((needed - self.level) / self.rate * 1e9) + 1
        if self.level < needed:
            return self._resets_ns
        return max(now_ns, self._paced_ns)

    def spend(self, amount: float, now_ns: int) -> None:
        """Take so much, after `advance`."""
        if not self.is_bucket and self.level < self.limit / 5 and 0 < (left_s := (self._resets_ns - now_ns) / 1e9) <= _PACED_S:
            self._paced_ns = now_ns + int(left_s * 1e9 * min(1.0, amount / max(self.level, 1.0)))
        self.level -= amount

    def give_back(self, amount: float) -> None:
        """What was taken was not sent."""
        self.level += amount
        self._paced_ns = 0

    def compare(self, before: int, remaining: int, passed_ns: int) -> float | None:
        """What was used of a bucket between two answers that told what remained; None where that cannot be told."""
        came_back = passed_ns / 1e9 * self.rate
        if not self.is_bucket or max(before + came_back, remaining) >= self.limit:
            return None
        return before + came_back - remaining

    def is_full(self, now_ns: int) -> bool:
        """Whether everything has come back."""
        self.advance(now_ns)
        return self.level >= self.limit

    def _judge(self, reset_s: float, used: float, now_ns: int) -> None:
        """Bucket or window? In a bucket the time to the reset is in proportion to what was used."""
        filling_s = [period * used / self.limit for period in _PERIODS_S]
        if max(reset_s, filling_s[0]) < _TELLING_S or now_ns < self._judged_ns + _APART_NS:
            return
        self._judged_ns = now_ns
        fitting = [period for period, each in zip(_PERIODS_S, filling_s, strict=True) if abs(reset_s - each) <= 2 + reset_s / 20]
        if fitting:
            self._score = min(self._score + 1, _SURE)
            self._period_s = self._period_s if self._period_s in fitting else fitting[0]
        else:
            self._score = max(self._score - 2, -_SURE)
            self._period_s = next((period for period in _PERIODS_S if reset_s <= period), _PERIODS_S[-1])
