"""The witness: keeps what an alarm shows besides figures, namely the facts of the wire and examples of answers."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Mapping

from evaluators.drift.alarm import WireChange

FACTS = ("model_asked", "model_answered", "system_fingerprint", "prompt_digest", "upstream", "tool_set", "finish_reason", "agent_version")
RECENT_ANSWERS = 64
EXAMPLES = 3
EXAMPLE_CHARACTERS = 600
_MOST_VALUES = 32
_MOST_CHARACTERS = 120
OTHER = "(other)"


class Witness:
    """`seen`: fact -> value -> [times seen, first answer seen at]; `recent`: the last answers' values, in the order of FACTS; examples are an
    identity and a text. Values come again and again, so each is held once, and what is alike in a row as well."""

    def __init__(self) -> None:
        self.seen: dict[str, dict[str, list[int]]] = {}
        self.recent: deque[tuple[int, tuple[str | None, ...]]] = deque(maxlen=RECENT_ANSWERS)
        self.before: list[tuple[str, str]] = []
        self.after: deque[tuple[int, str, str]] = deque(maxlen=EXAMPLES)

    def note(self, text: str, meta: Mapping, at: int, learning: bool) -> None:
        facts = tuple([None if (given := meta.get(name)) is None else self._count(name, given, at) for name in FACTS])
        self.recent.append((at, self.recent[-1][1] if self.recent and self.recent[-1][1] == facts else facts))
        example = (str(meta.get("id", at))[:_MOST_CHARACTERS], text[:EXAMPLE_CHARACTERS])
        if not learning:
            self.after.append((at, *example))
        elif len(self.before) < EXAMPLES:
            self.before.append(example)

    def _count(self, name: str, given: object, at: int) -> str:
        """The value under which it was counted."""
        value = sys.intern(str(given)[:_MOST_CHARACTERS])
        values = self.seen.setdefault(name, {})
        if value not in values and len(values) >= _MOST_VALUES:
            value = OTHER
        values.setdefault(value, [0, at])[0] += 1
        return value

    def find_changes(self, began: int) -> tuple[WireChange, ...]:
        """The facts whose most seen value since `began` is not the one most seen before, or is new."""
        changes = []
        for name, values in self.seen.items():
            place = FACTS.index(name)
            since: dict[str, int] = {}
            for at, facts in self.recent:
                if at >= began and (value := facts[place]) is not None:
                    since[value] = since.get(value, 0) + 1
            before = {value: count - since.get(value, 0) for value, (count, _) in values.items()}
            usual = max(before, key=before.__getitem__)
            fresh = [value for value in since if before[value] <= 0 < before[usual]]
            now = max(fresh or since or [usual], key=lambda value: since.get(value, 0))
            if now != usual:
                changes.append(WireChange(name, usual, now, values[now][1]))
        return tuple(changes)

    def show(self, began: int) -> tuple[tuple[tuple[str, str], ...], tuple[tuple[str, str], ...]]:
        """Examples of before and since: those since `began`, the newest ones."""
        after = [(identity, text) for at, identity, text in self.after if at >= began][-EXAMPLES:]
        return tuple(self.before), tuple(after)

    def dump(self, with_examples: bool) -> dict:
        """What JSON holds of it; the texts only `with_examples`, the identities always."""
        return {
            "seen": self.seen,
            "recent": list(self.recent),
            "before": [(identity, text if with_examples else "") for identity, text in self.before],
            "after": [(at, identity, text if with_examples else "") for at, identity, text in self.after],
        }

    def load(self, dumped: dict) -> None:
        self.seen = dumped["seen"]
        self.recent.extend((at, tuple(value and sys.intern(value) for value in facts)) for at, facts in dumped["recent"])
        self.before = [(identity, text) for identity, text in dumped["before"]]
        self.after.extend((at, identity, text) for at, identity, text in dumped["after"])
