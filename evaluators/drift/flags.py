"""What is wrong with one answer at first sight: yes or no each, whatever the agent usually does.

These are the events whose *rate* matters: a few in a hundred are lost in means and quantiles, and stand out where they never happened before.
What is usual for a stream (another language, no JSON at all) is for its reference to know; a flag that is always raised carries no news.
"""

from __future__ import annotations

import json

from evaluators.drift.reading import Reading
from evaluators.drift.words import CONTROL_TOKENS, MOJIBAKE, REFUSAL, REFUSAL_HINTS, SCRIPTS

NAMES = (
    "empty", "cut short", "broken JSON", "no JSON", "open fence", "open bracket", "refusal", "repetition", "control tokens", "mojibake",
    *(f"{script} letters" for script in SCRIPTS),
    "another language", "not finished by itself",
)  # fmt: skip

# How much each is watched for: the letters of all scripts together as much as any other.
WEIGHTS = tuple(1 / len(SCRIPTS) if name.endswith(" letters") else 1.0 for name in NAMES)

_OPENING_CHARACTERS = 220
_TAIL_CHARACTERS = 24
_LOOKED_BACK_CHARACTERS = 4_000
_MOST_LOOPED = 0.3
_MOST_JSON_CHARACTERS = 200_000
_NATURAL_FINISHES = frozenset(("", "stop", "end_turn", "completed", "tool_calls", "tool_use", "function_call", "stop_sequence", "STOP", "eos"))
_ENDINGS = frozenset(".!?:;)]}\"'`*|>~%$…。！？»”’")


def raise_flags(reading: Reading, finish_reason: str | None) -> list[bool]:
    """The flags of NAMES."""
    text, whole = reading.text, reading.whole
    end = text.rstrip()
    start = text.lstrip()
    no_json, broken = _look_for_json(start, whole)
    curly = text.count("{") != text.count("}") or text.count("[") != text.count("]")
    return [
        not end,
        bool(end) and end[-1] not in _ENDINGS,
        broken,
        no_json,
        text.count("```") % 2 == 1,
        curly,
        _refuses(text[:_OPENING_CHARACTERS].lower()),
        _repeats(end),
        ("<" in text or "[" in text or "###" in text) and any(token in text for token in CONTROL_TOKENS),
        *_look_for_letters(text),
        reading.is_foreign,
        (finish_reason or "") not in _NATURAL_FINISHES,
    ]


def _look_for_json(start: str, whole: str) -> tuple[bool, bool]:
    """Whether there is no JSON, and whether there is some that does not parse."""
    at = start.find("{") if start.startswith(("```", "{")) or "```json" in start else 0 if start.startswith("[") else -1
    if at < 0 or len(whole) > _MOST_JSON_CHARACTERS:
        return True, False
    whole = whole.lstrip()
    end = whole.rfind("```") if at and whole.count("```") > 1 else len(whole)
    try:
        json.loads(whole[at:end], strict=False)
    except (ValueError, RecursionError):
        return False, True
    return False, False


def _refuses(opening: str) -> bool:
    return any(hint in opening for hint in REFUSAL_HINTS) and REFUSAL.search(opening) is not None


def _repeats(end: str) -> bool:
    """Whether the end of the text is one period over and over, through more than _MOST_LOOPED of it."""
    tail = end[-_TAIL_CHARACTERS:]
    if len(end) < 4 * _TAIL_CHARACTERS:
        return False
    seen = end[-_LOOKED_BACK_CHARACTERS:]
    before = seen.rfind(tail, 0, len(seen) - 1)
    if before < 0:
        return False
    period = len(seen) - _TAIL_CHARACTERS - before
    looped = seen[-max(int(len(seen) * _MOST_LOOPED), 2 * period) :]
    return len(looped) > period and looped[period:] == looped[:-period]


def _look_for_letters(text: str) -> list[bool]:
    if text.isascii():
        return [False] * (1 + len(SCRIPTS))
    codes = {ord(each) for each in set(text) if ord(each) >= SCRIPTS["greek"][0]}
    return [MOJIBAKE.search(text) is not None, *(any(first <= code <= last for code in codes) for first, last in SCRIPTS.values())]
