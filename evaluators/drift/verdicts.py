"""The verdicts of other evaluators as flags: each name gets the next free place when it first comes."""

from __future__ import annotations

from collections.abc import Iterable

PLACES = 16
# How much each place is watched for, beside a flag of one's own.
WEIGHT = 0.1


class Verdicts:
    """`names` in the order they came; those beyond PLACES share the last one."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def place(self, found: Iterable[str]) -> list[bool]:
        """The flags, PLACES of them, for the names of what was found wrong with one answer."""
        out = [False] * PLACES
        for name in found:
            if name not in self.names and len(self.names) < PLACES:
                self.names.append(name)
            out[self.names.index(name) if name in self.names else -1] = True
        return out
