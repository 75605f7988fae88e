"""Where an account will stand when its window ends, and when it will be used up, if calls go on as they did.

Two rates: that of the window so far, and that of the last hour, which is asked only for windows longer than an hour. A calendar window
grows to what was spent and what the rest of it adds; a rolling one holds its length's worth of the rate; a lifetime has no end, only a moment at
which it is used up. Amounts are integers in the account's unit.
"""

from __future__ import annotations

import msgspec

from proxy.rules import read_period
from proxy.toll.terms import Balance

HOUR_NS = 3600 * 10**9
_LEAST_SHARE = 100  # of a window: before a hundredth of it has passed, its rate so far says nothing


class Forecast(msgspec.Struct, frozen=True):
    """None: cannot be told (a budget that is gone has no forecast), or (`used_up_ns`) not before the window ends."""

    at_end: int | None = None  # by the window's rate so far
    by_last_hour: int | None = None
    used_up_ns: int | None = None  # at the earliest; by the last hour's rate where there is one


def look_ahead(balance: Balance, last_hour: int | None, now_ns: int) -> Forecast:
    """What becomes of an account of which `last_hour` was spent in the last hour (None: not known)."""
    if balance.limit is None:
        return Forecast()
    if balance.per == "lifetime":
        return Forecast(used_up_ns=_find_end(balance, last_hour, HOUR_NS, None, now_ns))
    rolling_s = read_period(balance.per)
    if rolling_s is not None:
        return _roll(balance, last_hour, int(rolling_s * 10**9), now_ns)
    if balance.starts_ns is None or balance.resets_at_ns is None:
        return Forecast()
    length, elapsed, rest = balance.resets_at_ns - balance.starts_ns, now_ns - balance.starts_ns, balance.resets_at_ns - now_ns
    has_rate = 0 < length <= elapsed * _LEAST_SHARE
    at_end = balance.spent * length // elapsed if has_rate else None
    if length > HOUR_NS and last_hour is not None:
        used_up = _find_end(balance, last_hour, HOUR_NS, balance.resets_at_ns, now_ns)
        return Forecast(at_end, balance.spent + last_hour * rest // HOUR_NS, used_up)
    return Forecast(at_end, None, _find_end(balance, balance.spent if has_rate else None, elapsed, balance.resets_at_ns, now_ns))


def _roll(balance: Balance, last_hour: int | None, length: int, now_ns: int) -> Forecast:
    asked = length > HOUR_NS and last_hour is not None
    spent, span = (last_hour or 0, HOUR_NS) if asked else (balance.spent, length)
    held = spent * length // span  # by the window in the long run
    assert balance.limit is not None
    may_end = held > balance.limit or balance.spent + balance.reserved >= balance.limit
    used_up = _find_end(balance, spent, span, None, now_ns) if may_end else None
    return Forecast(balance.spent, held if asked else None, used_up)


def _find_end(balance: Balance, spent: int | None, span_ns: int, resets_at_ns: int | None, now_ns: int) -> int | None:
    """When what is left is gone, if so much is spent in every such span; None: not before the window ends, or nobody can tell."""
    assert balance.limit is not None
    left = balance.limit - balance.spent - balance.reserved
    if left <= 0:
        return now_ns
    if not spent or span_ns <= 0:
        return None
    moment = now_ns + left * span_ns // spent
    if resets_at_ns is not None and moment >= resets_at_ns:
        return None
    return moment if moment < 2**63 else None
