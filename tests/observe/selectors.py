"""Which series a PromQL expression reads: its selectors, those of the rules that it builds upon included."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)")
_RANGE = re.compile(r"\[[^\]]*\]|\boffset\s+\w+")
_PIECE = re.compile(r'"(?:[^"\\]|\\.)*"|(?<![\w.:])([a-zA-Z_:][\w:]*)\s*(\{(?:[^}"]|"(?:[^"\\]|\\.)*")*\})?(\s*\()?')
_MATCHER = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"((?:[^"\\]|\\.)*)"')
_WORDS = {"and", "or", "unless", "bool", "inf", "nan"}


@dataclass(frozen=True)
class Selector:
    """A metric and its matchers, each (label, operator, value)."""

    metric: str
    matchers: tuple[tuple[str, str, str], ...]

    def __str__(self) -> str:
        return self.metric + "{" + ", ".join(f'{label}{operator}"{value}"' for label, operator, value in self.matchers) + "}"

    def fits(self, series: Mapping[str, str]) -> bool:
        return series["__name__"] == self.metric and all(_fits(series.get(label, ""), operator, value) for label, operator, value in self.matchers)


def _fits(given: str, operator: str, value: str) -> bool:
    fits = given == value if operator in ("=", "!=") else re.fullmatch(value.replace("\\\\", "\\"), given) is not None
    return fits is (operator in ("=", "=~"))


def find_selectors(expression: str, records: Mapping[str, str]) -> Iterator[Selector]:
    """`records`: the expression of each recording rule by its name; such a rule stands for what it reads."""
    for name, matchers, call in _PIECE.findall(_RANGE.sub(" ", _GROUPING.sub(" ", expression))):
        if not name or call or name.lower() in _WORDS:
            continue
        if name in records:
            yield from find_selectors(records[name], records)
        else:
            yield Selector(name, tuple(_MATCHER.findall(matchers)))
