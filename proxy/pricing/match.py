"""How the price book recognises a model, a provider or a moment: clauses over names and constraints over time.

The semantics are those of genai-prices (`genai_prices/types.py`, `data_snapshot.py`): names are compared in lower case,
a regular expression searches in the lower-cased name; dates and times of day are UTC; a daily interval includes its start
and not its end, and may run over midnight.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator
from typing import Literal
from urllib.parse import unquote

import msgspec

MINUTE_NS = 60 * 10**9
_MINUTES_PER_DAY = 24 * 60
_COMPACT_DATE = re.compile(r"-(20\d{2})(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(?=-|:|$)")
NAME_CHARACTERS = 512  # longer names are no model's: they are not worth a search


class Clause(msgspec.Struct, frozen=True, array_like=True, omit_defaults=True):
    """One condition on a lower-cased name; `parts` only under `or` and `and`, `text` elsewhere."""

    operator: Literal["equals", "starts_with", "ends_with", "contains", "regex", "or", "and"]
    text: str = ""
    parts: tuple[Clause, ...] = ()

    def matches(self, name: str) -> bool:
        """Whether the lower-cased `name` fulfils this condition."""
        match self.operator:
            case "equals":
                return name == self.text
            case "starts_with":
                return name.startswith(self.text)
            case "ends_with":
                return name.endswith(self.text)
            case "contains":
                return self.text in name
            case "regex":
                return re.search(self.text, name) is not None
            case "or":
                return any(part.matches(name) for part in self.parts)
            case "and":
                return all(part.matches(name) for part in self.parts)


class Constraint(msgspec.Struct, frozen=True, omit_defaults=True):
    """When a price holds: from a day on (days since 1970-01-01), or daily from one minute of the day to before another."""

    from_day: int | None = None
    minutes: tuple[int, int] | None = None

    def holds(self, minute: int) -> bool:
        """Whether it holds in this minute since the Unix epoch."""
        if self.from_day is not None and minute // _MINUTES_PER_DAY < self.from_day:
            return False
        if self.minutes is None:
            return True
        start, end = self.minutes
        now = minute % _MINUTES_PER_DAY
        return now >= start or now < end if end < start else start <= now < end


def spell(model: str) -> Iterator[str]:
    """The spellings under which a model as a client or provider writes it may stand in the book, best first, lower-cased.

    As written; without the path of a Bedrock ARN or a Google resource name (`arn:…:inference-profile/us.anthropic.…`,
    `publishers/google/models/gemini-…`). Vendor prefixes (`openai/gpt-…`) and regions (`us.anthropic.…`) are part of a name:
    the price depends on them. An ARN that ends in an opaque id is found under no spelling, so its price is unknown.
    """
    if len(model) > NAME_CHARACTERS or not (name := unquote(model).strip().lower()):
        return
    yield name
    if name.startswith(("arn:", "models/")) or "/models/" in name:
        yield name.rsplit("/", 1)[-1]


def spell_date(name: str) -> str:
    """A lower-cased name with a compact date (`gpt-5.2-20251211`) written the long way (`gpt-5.2-2025-12-11`)."""

    def rewrite(found: re.Match[str]) -> str:
        year, month, day = (int(part) for part in found.groups())
        try:
            return f"-{datetime.date(year, month, day).isoformat()}"
        except ValueError:
            return found.group(0)

    return _COMPACT_DATE.sub(rewrite, name)
