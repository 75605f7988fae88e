"""Token counts in OpenAI's spelling and its followers'."""

from __future__ import annotations

import msgspec
import pytest

from proxy.call import Usage
from proxy.wire.loose import Loose
from proxy.wire.tokens import Counts, nano_usd, read_counts


def counts(**fields: object) -> Usage | None:
    return read_counts(Loose(Counts).decode(msgspec.json.encode(fields)))


def test_chat_with_all_details() -> None:
    usage = counts(
        prompt_tokens=100, completion_tokens=50, total_tokens=150,
        prompt_tokens_details={"cached_tokens": 60, "cache_write_tokens": 10, "audio_tokens": 5, "image_tokens": 7},
        completion_tokens_details={"reasoning_tokens": 20, "audio_tokens": 3, "image_tokens": 2},
    )  # fmt: skip
    assert usage == Usage(100, 50, 60, 10, 0, 20, 5, 3, 7, 2)


def test_responses_with_writes_by_time_to_live() -> None:
    usage = counts(
        input_tokens=100, output_tokens=5, input_tokens_details={"cached_tokens": 1, "cache_write_tokens": 90,
        "cache_write_tokens_details": {"ttl_30m_tokens": 30, "ttl_12h_tokens": 60}},
    )  # fmt: skip
    assert usage == Usage(100, 5, 1, 90, 60)


def test_realtime() -> None:
    usage = counts(
        input_tokens=80, output_tokens=40,
        input_token_details={"audio_tokens": 50, "cached_tokens": 20, "cached_tokens_details": {"audio_tokens": 15}},
        output_token_details={"audio_tokens": 30, "text_tokens": 10},
    )  # fmt: skip
    assert usage == Usage(80, 40, 20, input_audio_tokens=50, output_audio_tokens=30, cache_read_audio_tokens=15)


def test_followers() -> None:
    assert counts(prompt_tokens=9, completion_tokens=1, prompt_cache_hit_tokens=4) == Usage(9, 1, 4)
    assert counts(prompt_tokens=9, completion_tokens=1, cached_tokens=5) == Usage(9, 1, 5)
    assert counts(total_tokens=12) == Usage(12)
    assert counts(prompt_tokens=10, completion_tokens=2, total_tokens=20, completion_tokens_details={"reasoning_tokens": 8}) == Usage(
        10, 10, reasoning_tokens=8
    )
    assert counts(prompt_tokens=1, completion_tokens=1, server_tool_use_details={"web_search_requests": 2}) == Usage(1, 1, web_searches=2)
    assert counts(prompt_tokens=1, completion_tokens=1, cost=0.00123) == Usage(1, 1, cost_nano_usd=1_230_000)


def test_durations() -> None:
    assert counts(type="duration", seconds=12.5) == Usage(audio_seconds=12.5)
    assert counts(prompt_tokens=4, completion_tokens=2, prompt_audio_seconds=3) == Usage(4, 2, audio_seconds=3.0)


def test_nothing_counted_is_no_usage() -> None:
    assert counts() is None
    assert counts(prompt_tokens_details={"cached_tokens": 1}) is None


def test_odd_numbers() -> None:
    assert counts(prompt_tokens=-5, completion_tokens=1e30, cost=-1) == Usage(0, 2**53)
    assert counts(prompt_tokens="5", completion_tokens=2.0) == Usage(5, 2)


@pytest.mark.parametrize(
    ("cost", "nano"), [(None, None), (0, 0), (0.5, 500_000_000), (1e-9, 1), (-0.1, None), (float("inf"), None), (float("nan"), None), (1e12, None)]
)
def test_dollars(cost: float | None, nano: int | None) -> None:
    assert nano_usd(cost) == nano
