"""What drift watches of a call: the stream it belongs to, and what a detector is told of its answer."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Any

from evaluators.sample import Sample, Tool
from evaluators.verdict import Verdict
from proxy.record import Sample as Sent

_PARTS = re.compile(r"[^A-Za-z0-9]+")
_MOST_TYPE = 64
_MOST_TOOL_NAMES = 100  # characters; longer lists are told apart by their digest
_SECOND_NS = 10**9


def find_type(task: str | None) -> str:
    """The type of a task: its name up to the part that tells it from others of its type. `report-2026-11-03` is a `report`; a UUID has no type."""
    kept = []
    for part in _PARTS.split(task or ""):
        if any(letter.isdigit() for letter in part):
            break
        kept.append(part)
    return "-".join(part for part in kept if part)[:_MOST_TYPE]


def name_stream(sent: Sent, by: Sequence[str]) -> tuple[str, ...]:
    """The stream of a call. The model is the one that was asked for: one that is exchanged behind its name changes the stream, not its name."""
    values = {"agent": sent.agent, "task": find_type(sent.task), "model": sent.model_asked or sent.model or "", "upstream": sent.upstream or ""}
    return tuple(values[dimension] for dimension in by)


def tell(sent: Sent, sample: Sample, verdicts: Sequence[Verdict], with_times: bool = False) -> dict[str, Any]:
    """What a detector is told beside the text, in the words of `evaluators.drift`; what is not known is None, as are times that nobody wants."""
    return {
        "id": sent.id,
        "prompt": sample.prompt,
        "finish_reason": sent.finish,
        "verdicts": [verdict.name for verdict in verdicts if verdict.failed],
        "latency_s": _to_seconds(sent.duration_ns if with_times else None),
        "first_chunk_s": _to_seconds(sent.first_token_ns if with_times else None),
        "input_tokens": sent.input_tokens,
        "output_tokens": sent.output_tokens,
        "reasoning_tokens": sent.reasoning_tokens,
        "tools": [call.name for call in sample.calls],
        "model_asked": sent.model_asked,
        "model_answered": sent.model,
        "system_fingerprint": sent.system_fingerprint,
        "prompt_digest": sample.prompt_digest,
        "upstream": sent.upstream,
        "tool_set": _name_tools(sample.offered),
    }


def _to_seconds(span_ns: int | None) -> float | None:
    return None if span_ns is None else span_ns / _SECOND_NS


def _name_tools(offered: list[Tool] | None) -> str | None:
    """The tools of a request as one value, whatever order they came in."""
    if offered is None:
        return None
    names = ", ".join(sorted(tool.name for tool in offered)) or "none"
    if len(names) <= _MOST_TOOL_NAMES:
        return names
    return f"{len(offered)} tools, {hashlib.sha256(names.encode('utf-8', 'surrogatepass')).hexdigest()[:12]}"
