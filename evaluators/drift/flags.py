"""What is wrong with one answer at first sight: yes or no each, whatever the agent usually does.

These are the events whose *rate* matters: a few in a hundred are lost in means and quantiles, and stand out where they never happened before.
What is usual for a stream (another language, no JSON at all) is for its reference to know; a flag that is always raised carries no news.
"""

from __future__ import annotations

import json

from evaluators.drift.reading import Reading
from evaluators.drift.words import CONTROL_TOKENS, MOJIBAKE, MOJIBAKE_SIGNS, REFUSAL, REFUSAL_HINTS, SCRIPTS
from evaluators.signs import has_one

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
# The first bytes in UTF-8 of what may belong to one of SCRIPTS; others, as those of typographic quotes, do not.
_LEADS = bytes((*range(0xCD, 0xE2), *range(0xE3, 0xEE)))
_NO_LETTERS = [False] * (1 + len(SCRIPTS))


def raise_flags(whole: str, reading: Reading, finish_reason: str | None) -> list[bool]:
    """The flags of NAMES."""
    text = reading.text
    end = text.rstrip()
    no_json, broken = _look_for_json(text.lstrip(), whole)
    return [
        not end,
        bool(end) and end[-1] not in _ENDINGS,
        broken,
        no_json,
        "`" in text and text.count("```") % 2 == 1,
        text.count("{") != text.count("}") or text.count("[") != text.count("]"),
        _refuses(text[:_OPENING_CHARACTERS].lower()),
        _repeats(end),
        _has_token(text),
        *_look_for_letters(reading),
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


def _has_token(text: str) -> bool:
    for sign, tokens in CONTROL_TOKENS.items():  # noqa: SIM110
        if sign in text and has_one(text, tokens):
            return True
    return False


def _refuses(opening: str) -> bool:
    return has_one(opening, REFUSAL_HINTS) and REFUSAL.search(opening) is not None


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


def _look_for_letters(reading: Reading) -> list[bool]:
    text = reading.text
    if text.isascii():
        return _NO_LETTERS
    broken = has_one(text, MOJIBAKE_SIGNS) and MOJIBAKE.search(text) is not None
    if len(reading.data.translate(None, _LEADS)) == len(reading.data):
        return [broken, *_NO_LETTERS[1:]]
    codes = {ord(each) for each in set(text) if ord(each) >= SCRIPTS["greek"][0]}
    return [broken, *(any(first <= code <= last for code in codes) for first, last in SCRIPTS.values())]
