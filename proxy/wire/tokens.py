"""OpenAI's token counts, in all the spellings that it and its many followers use, made into a `Usage`.

Chat says `prompt_tokens` and `completion_tokens`, everything newer `input_tokens` and `output_tokens`; Realtime writes its
`…_token_details` in the singular. DeepSeek adds `prompt_cache_hit_tokens`, Together a top-level `cached_tokens`, OpenRouter `cost` in
US dollars, transcriptions a duration instead of tokens. Mistral's former `num_cached_tokens` is left aside: it tells of its
engine and lowered no price; what does stands in `prompt_tokens_details`.
"""

from __future__ import annotations

import math

import msgspec

from proxy.call import Usage
from proxy.wire.loose import count

Number = int | float | None


class WriteDetails(msgspec.Struct, gc=False):
    ttl_30m_tokens: Number = None
    ttl_12h_tokens: Number = None


class CachedDetails(msgspec.Struct, gc=False):
    audio_tokens: Number = None


class Details(msgspec.Struct, gc=False):
    cached_tokens: Number = None
    cache_write_tokens: Number = None
    cache_creation_tokens: Number = None
    cache_write_tokens_details: WriteDetails | None = None
    cached_tokens_details: CachedDetails | None = None
    audio_tokens: Number = None
    image_tokens: Number = None
    reasoning_tokens: Number = None


class Searches(msgspec.Struct, gc=False):
    web_search_requests: Number = None


class Counts(msgspec.Struct, gc=False):
    """The `usage` object of a response."""

    prompt_tokens: Number = None
    completion_tokens: Number = None
    input_tokens: Number = None
    output_tokens: Number = None
    total_tokens: Number = None
    prompt_tokens_details: Details | None = None
    completion_tokens_details: Details | None = None
    input_tokens_details: Details | None = None
    output_tokens_details: Details | None = None
    input_token_details: Details | None = None
    output_token_details: Details | None = None
    prompt_cache_hit_tokens: Number = None
    cached_tokens: Number = None
    reasoning_tokens: Number = None
    server_tool_use_details: Searches | None = None
    server_tool_use: Searches | None = None
    num_search_queries: Number = None
    seconds: Number = None
    duration: Number = None
    prompt_audio_seconds: Number = None
    cost: Number = None


_NONE = Details()


def nano_usd(cost: float | None) -> int | None:
    """US dollars as integer nano-USD; None stays None, and what is no price is None."""
    if cost is None or not math.isfinite(cost) or not 0 <= cost < 1e9:
        return None
    return round(cost * 1e9)


def read_counts(counts: Counts) -> Usage | None:
    """The usage of a `usage` object; None if it counts nothing at all."""
    into = counts.prompt_tokens_details or counts.input_tokens_details or counts.input_token_details or _NONE
    out = counts.completion_tokens_details or counts.output_tokens_details or counts.output_token_details or _NONE
    taken = counts.prompt_tokens if counts.prompt_tokens is not None else counts.input_tokens
    made = counts.completion_tokens if counts.completion_tokens is not None else counts.output_tokens
    seconds = counts.seconds if counts.seconds is not None else counts.prompt_audio_seconds
    if taken is None and made is None and counts.total_tokens is None and seconds is None and counts.cost is None:
        return None
    if taken is None:  # embeddings of some providers give the total only
        taken = count(counts.total_tokens) - count(made)
    reasoning = count(out.reasoning_tokens, counts.reasoning_tokens)
    input_tokens, output_tokens = count(taken), count(made)
    if reasoning and counts.total_tokens is not None and count(counts.total_tokens) == input_tokens + output_tokens + reasoning:
        output_tokens += reasoning  # xAI counts reasoning beside the completion, and only the total tells
    searches = counts.server_tool_use_details or counts.server_tool_use
    writes = into.cache_write_tokens_details
    cached = into.cached_tokens_details
    return Usage(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cache_read_tokens=count(into.cached_tokens, counts.prompt_cache_hit_tokens, counts.cached_tokens),
        cache_write_tokens=count(into.cache_write_tokens, into.cache_creation_tokens),
        cache_write_1h_tokens=count(writes.ttl_12h_tokens) if writes else 0,
        reasoning_tokens=reasoning,
        input_audio_tokens=count(into.audio_tokens),
        output_audio_tokens=count(out.audio_tokens),
        input_image_tokens=count(into.image_tokens),
        output_image_tokens=count(out.image_tokens),
        cache_read_audio_tokens=count(cached.audio_tokens) if cached else 0,
        web_searches=count(searches.web_search_requests if searches else None, counts.num_search_queries),
        audio_seconds=float(min(max(seconds, 0.0), 1e9)) if seconds is not None else 0.0,
        cost_nano_usd=nano_usd(counts.cost),
    )
