"""The figures that come with an answer and are not in its text: tokens, times, tool calls; not a number where they are not known."""

from __future__ import annotations

import math
from collections.abc import Mapping

NAMES = (
    "latency", "time to first chunk", "input tokens", "output tokens", "output tokens per input token", "characters per token",
    "reasoning tokens", "tool calls",
)  # fmt: skip

RATIOS = ("output tokens per input token", "characters per token")


def _log(value: float | None) -> float:
    return math.nan if value is None or not value >= 0 else math.log1p(value)


def weigh(characters: int, meta: Mapping) -> list[float]:
    """The vector of NAMES, each the logarithm of one plus the figure or of a ratio.

    Read from `meta`: latency_s, first_chunk_s, input_tokens, output_tokens, reasoning_tokens, tools (the names of the tools called).
    """
    if not meta.keys() & _KEYS:
        return _NOTHING
    given, taken = meta.get("output_tokens"), meta.get("input_tokens")
    tools = meta.get("tools")
    milliseconds = [None if meta.get(key) is None else 1e3 * meta[key] for key in ("latency_s", "first_chunk_s")]
    return [
        _log(milliseconds[0]),
        _log(milliseconds[1]),
        _log(taken),
        _log(given),
        _log(given) - _log(taken),
        _log(characters) - _log(given),
        _log(meta.get("reasoning_tokens")),
        math.nan if tools is None else _log(len(tools)),
    ]


_KEYS = frozenset(("latency_s", "first_chunk_s", "input_tokens", "output_tokens", "reasoning_tokens", "tools"))
_NOTHING = [math.nan] * len(NAMES)
