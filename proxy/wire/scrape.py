"""Finding usage and model in a body that is cut or too large to be decoded: the ends of it are searched.

Large answers are vectors and pictures; their counts stand behind or before the bulk as one small JSON object.
"""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec

from proxy.wire.loose import FAULTS, Loose
from proxy.wire.tally import Tally
from proxy.wire.tokens import Counts, read_counts

_USAGE = re.compile(rb'"(?:usage|usageMetadata|meta)"\s*:\s*\{')
_WORD = re.compile(rb'"(model|modelVersion|id|responseId|status|system_fingerprint)"\s*:\s*"([^"\\]{1,300})"')
_PROMPT_COUNT = re.compile(rb'"(?:prompt_eval_count|inputTextTokenCount)"\s*:\s*([0-9]{1,15})')
_MOST_OBJECT = 16 * 1024
_MOST_TRIES = 20
_COUNTS = Loose(Counts)
_DECODER = json.JSONDecoder()


def scrape(kept: bytes, tally: Tally) -> None:
    """Note usage, model and id found in `kept`; the piece counts as unread."""
    reading = tally.reading
    reading.unread += 1
    for name, value in _WORD.findall(kept):
        word = value.decode("utf-8", "replace")
        if name in (b"model", b"modelVersion"):
            reading.model = reading.model or word
        elif name in (b"id", b"responseId"):
            reading.response_id = reading.response_id or word
        elif name == b"system_fingerprint":
            reading.system_fingerprint = reading.system_fingerprint or word
    for found in list(_USAGE.finditer(kept))[: -_MOST_TRIES - 1 : -1]:
        counts = _read_object(kept[found.end() - 1 : found.end() - 1 + _MOST_OBJECT])
        if counts is not None and (usage := read_counts(counts)) is not None:
            reading.usage = usage
            return
    if found := _PROMPT_COUNT.search(kept):
        reading.usage = read_counts(Counts(input_tokens=int(found[1])))


def _read_object(kept: bytes) -> Counts | None:
    """The counts of the JSON object that `kept` begins with, under the names of any of the dialects."""
    try:
        value: dict[str, Any] = _DECODER.raw_decode(kept.decode("utf-8", "replace"))[0]
        billed = value.get("billed_units") or value.get("tokens")
        if isinstance(billed, dict):
            value = billed
        if "promptTokenCount" in value:
            made = [value.get(name) or 0 for name in ("candidatesTokenCount", "thoughtsTokenCount")]
            value = {"input_tokens": value["promptTokenCount"], "output_tokens": sum(made)}
        return _COUNTS.decode(msgspec.json.encode(value))
    except (ValueError, TypeError, *FAULTS):
        return None
