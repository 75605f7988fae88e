"""What a provider's response headers say of its limits, and its id of the request."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime

from proxy.call import RateLimits

_SPAN = re.compile(r"(?:(\d+(?:\.\d+)?)d)?(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?\Z")
_UNITS_S = (86400, 3600, 60, 1, 0.001)
_IDS = ("x-request-id", "request-id", "x-amzn-requestid", "apim-request-id", "mistral-correlation-id", "x-goog-request-id", "cf-ray")
_PARTS = [(part, thing) for thing in ("requests", "tokens") for part in ("limit", "remaining", "reset")]
_FAMILIES = (
    tuple(f"x-ratelimit-{part}-{thing}" for part, thing in _PARTS),
    tuple(f"anthropic-ratelimit-{thing}-{part}" for part, thing in _PARTS),
    tuple(f"x-ratelimit-{part}" if thing == "requests" else "" for part, thing in _PARTS),  # OpenRouter: of requests only
)
_NAMES = frozenset((*(name for names in _FAMILIES for name in names), "retry-after", "retry-after-ms"))
_MOST_ID = 200
_NONE = RateLimits()
_LONGEST_S = 10 * 365 * 86400.0


def request_id(headers: Mapping[str, str]) -> str | None:
    """The provider's own id of the request, as it wants to hear it in a support case."""
    for name in _IDS:
        value = headers.get(name)
        if value:
            return value[:_MOST_ID]
    return None


def read_limits(headers: Mapping[str, str], now_s: float) -> RateLimits:
    """The limits in `headers` (lower-case names). Resets that are points in time become seconds from `now_s` (Unix time)."""
    if _NAMES.isdisjoint(headers):
        return _NONE
    wait = _read_retry_after(headers, now_s) if "retry-after" in headers or "retry-after-ms" in headers else None
    for names in _FAMILIES:
        limit_requests, remaining_requests, reset_requests, limit_tokens, remaining_tokens, reset_tokens = map(headers.get, names)
        if limit_requests or remaining_requests or limit_tokens or remaining_tokens:
            return RateLimits(
                limit_requests=_read_count(limit_requests),
                remaining_requests=_read_count(remaining_requests),
                reset_requests_s=_read_reset(reset_requests, now_s),
                limit_tokens=_read_count(limit_tokens),
                remaining_tokens=_read_count(remaining_tokens),
                reset_tokens_s=_read_reset(reset_tokens, now_s),
                retry_after_s=wait,
            )
    return _NONE if wait is None else RateLimits(retry_after_s=wait)


def _read_count(text: str | None) -> int | None:
    """A count; None for what is none (`-1` is how Azure says that it does not know)."""
    return int(text) if text and text.isdecimal() and len(text) <= 15 else None


def _read_seconds(text: str) -> float | None:
    """Seconds as a decimal number, or a span such as `6m0s`, `1h2m`, `120ms`."""
    try:
        seconds = float(text)
    except ValueError:
        found = _SPAN.match(text[:100])
        if not text or found is None:
            return None
        seconds = sum(float(part) * unit for part, unit in zip(found.groups(), _UNITS_S, strict=True) if part)
    return seconds if math.isfinite(seconds) and seconds >= 0 else None


def _read_reset(text: str | None, now_s: float) -> float | None:
    if not text:
        return None
    seconds = _read_seconds(text)
    if seconds is None:
        try:
            seconds = datetime.fromisoformat(text).timestamp() - now_s
        except (ValueError, OverflowError):
            return None
    elif seconds > 1e12:  # OpenRouter writes a point in time, in milliseconds
        seconds = seconds / 1000 - now_s
    elif seconds > 1e9:
        seconds -= now_s
    return min(max(seconds, 0.0), _LONGEST_S)


def _read_retry_after(headers: Mapping[str, str], now_s: float) -> float | None:
    milliseconds = _read_seconds(headers.get("retry-after-ms", ""))
    if milliseconds is not None:
        return min(milliseconds / 1000, _LONGEST_S)
    text = headers.get("retry-after", "")
    seconds = _read_seconds(text)
    if seconds is None:
        try:
            seconds = parsedate_to_datetime(text).timestamp() - now_s
        except (ValueError, TypeError, OverflowError):
            return None
    return min(max(seconds, 0.0), _LONGEST_S)
