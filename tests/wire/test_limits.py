"""Rate-limit headers and request ids."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.call import RateLimits
from proxy.wire.limits import read_limits, request_id

NOW_S = 1_800_000_000.0  # 2027-01-15T08:00:00Z


def test_openai() -> None:
    headers = {
        "x-ratelimit-limit-requests": "500",
        "x-ratelimit-remaining-requests": "499",
        "x-ratelimit-reset-requests": "120ms",
        "x-ratelimit-limit-tokens": "30000",
        "x-ratelimit-remaining-tokens": "29000",
        "x-ratelimit-reset-tokens": "6m0s",
    }
    assert read_limits(headers, NOW_S) == RateLimits(500, 499, 0.12, 30000, 29000, 360.0)


def test_anthropic() -> None:
    headers = {
        "anthropic-ratelimit-requests-limit": "50",
        "anthropic-ratelimit-requests-remaining": "0",
        "anthropic-ratelimit-requests-reset": "2027-01-15T08:00:30Z",
        "anthropic-ratelimit-tokens-reset": "2027-01-15T07:00:00Z",
        "retry-after": "17",
    }
    assert read_limits(headers, NOW_S) == RateLimits(50, 0, 30.0, None, None, 0.0, 17.0)


def test_openrouter_gives_a_point_in_time_in_milliseconds() -> None:
    headers = {"x-ratelimit-limit": "20", "x-ratelimit-remaining": "0", "x-ratelimit-reset": "1800000005000"}
    assert read_limits(headers, NOW_S) == RateLimits(20, 0, 5.0)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1s", 1.0), ("1h2m3.5s", 3723.5), ("2d", 172800.0), ("0", 0.0), ("7.66s", 7.66), ("-1", None), ("soon", None), ("nan", None)],
)
def test_resets(text: str, seconds: float | None) -> None:
    limits = read_limits({"x-ratelimit-limit-tokens": "1", "x-ratelimit-reset-tokens": text}, NOW_S)
    assert limits.reset_tokens_s == (pytest.approx(seconds) if seconds is not None else None)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "3"}, 3.0),
        ({"retry-after": "3", "retry-after-ms": "1500"}, 1.5),
        ({"retry-after": "Fri, 15 Jan 2027 08:00:20 GMT"}, 20.0),
        ({"retry-after": "Fri, 15 Jan 2027 07:00:00 GMT"}, 0.0),
        ({"retry-after": "later"}, None),
        ({}, None),
    ],
)
def test_retry_after(headers: dict[str, str], seconds: float | None) -> None:
    assert read_limits(headers, NOW_S) == RateLimits(retry_after_s=seconds)


def test_counts_that_are_none() -> None:
    """Azure says -1 where it does not know."""
    assert read_limits({"x-ratelimit-limit-requests": "-1", "x-ratelimit-remaining-requests": "x"}, NOW_S) == RateLimits()


NAMES = ["x-ratelimit-limit-tokens", "x-ratelimit-reset-tokens", "retry-after", "retry-after-ms"]
NAMES += ["anthropic-ratelimit-requests-limit", "anthropic-ratelimit-requests-reset"]


@given(st.dictionaries(st.sampled_from(NAMES), st.text(max_size=30)))
def test_odd_values_never_raise(headers: dict[str, str]) -> None:
    read_limits(headers, NOW_S)


def test_request_ids() -> None:
    assert request_id({"x-request-id": "a", "cf-ray": "b"}) == "a"
    assert request_id({"request-id": "req_1"}) == "req_1"
    assert request_id({"x-amzn-requestid": "x" * 500}) == "x" * 200
    assert request_id({"content-type": "a"}) is None
