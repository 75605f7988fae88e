"""Whom a rule concerns: the names of a call in every dimension, and rules compiled to functions of them."""

from __future__ import annotations

import re
from collections.abc import Callable
from fnmatch import translate

import msgspec


class Subject(msgspec.Struct, frozen=True, gc=False):
    """The names under which a call is counted; None where it has none in that dimension."""

    agent: str
    upstream: str
    model: str | None = None
    team: str | None = None
    task: str | None = None
    session: str | None = None
    key: str | None = None
    tags: dict[str, str] = {}

    def name_in(self, dimension: str) -> str | None:
        """Its name in a dimension of `proxy.rules` (`agent`, `tag:stage`, …)."""
        return self.tags.get(dimension[4:]) if dimension.startswith("tag:") else getattr(self, dimension)


Picker = Callable[[Subject], tuple[str, ...] | None]


def make_picker(each: list[str], match: dict[str, str]) -> Picker:
    """A function from a call's names to the names of its account under a rule; None where the rule does not concern the call.

    A call without a name in one of the rule's dimensions is not concerned.
    """
    patterns = [(dimension, re.compile(translate(pattern)).match) for dimension, pattern in match.items()]
    if not patterns and not each:
        return lambda subject: ()
    if not patterns and len(each) == 1 and not each[0].startswith("tag:"):
        field = each[0]

        def pick_one(subject: Subject) -> tuple[str, ...] | None:
            name = getattr(subject, field)
            return None if name is None else (name,)

        return pick_one

    def pick(subject: Subject) -> tuple[str, ...] | None:
        for dimension, matches in patterns:
            name = subject.name_in(dimension)
            if name is None or not matches(name):
                return None
        names = tuple(subject.name_in(dimension) for dimension in each)
        return None if None in names else names  # type: ignore[return-value]

    return pick
