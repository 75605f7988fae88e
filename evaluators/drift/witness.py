"""The witness: keeps what an alarm shows besides figures, namely the facts of the wire and examples of answers."""

from __future__ import annotations

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
    """`seen`: fact -> value -> [times seen, first answer seen at]; `recent`: the last answers' values in their order; examples are texts."""

    def __init__(self) -> None:
        self.seen: dict[str, dict[str, list[int]]] = {}
        self.recent: deque[tuple[int, dict[str, str]]] = deque(maxlen=RECENT_ANSWERS)
        self.before: list[tuple[str, str]] = []
        self.after: deque[tuple[int, str, str]] = deque(maxlen=RECENT_ANSWERS)

    def note(self, text: str, meta: Mapping, at: int, learning: bool) -> None:
        facts = {name: str(meta[name])[:_MOST_CHARACTERS] for name in FACTS if meta.get(name) is not None}
        for name, value in facts.items():
            values = self.seen.setdefault(name, {})
            if value not in values and len(values) >= _MOST_VALUES:
                value = facts[name] = OTHER
            values.setdefault(value, [0, at])[0] += 1
        self.recent.append((at, facts))
        example = (str(meta.get("id", at)), text[:EXAMPLE_CHARACTERS])
        if not learning:
            self.after.append((at, *example))
        elif len(self.before) < EXAMPLES:
            self.before.append(example)

    def find_changes(self, began: int) -> tuple[WireChange, ...]:
        """The facts whose most seen value since `began` is not the one most seen before, or is new."""
        changes = []
        for name, values in self.seen.items():
            since: dict[str, int] = {}
            for at, facts in self.recent:
                if at >= began and name in facts:
                    since[facts[name]] = since.get(facts[name], 0) + 1
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
        """What JSON holds of it; the texts only `with_examples`."""
        return {
            "seen": self.seen,
            "recent": list(self.recent),
            "before": self.before if with_examples else [],
            "after": list(self.after) if with_examples else [],
        }

    def load(self, dumped: dict) -> None:
        self.seen = dumped["seen"]
        self.recent.extend((at, facts) for at, facts in dumped["recent"])
        self.before = [(identity, text) for identity, text in dumped["before"]]
        self.after.extend((at, identity, text) for at, identity, text in dumped["after"])
