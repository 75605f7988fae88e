"""The alarm and its parts: what a detector says when a stream has changed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Move:
    """One feature or flag that moved: its usual value and its value since the change, in the unit of its name; the evidence for it alone."""

    name: str
    before: float
    after: float
    evidence: float


@dataclass(frozen=True, slots=True)
class WireChange:
    """A fact of the wire that changed: the value most seen before and since, and the answer at which the new value was first seen."""

    name: str
    before: str
    after: str
    first_seen: int


@dataclass(frozen=True, slots=True)
class Alarm:
    """A change.

    `severity` is "certain" (the evidence passed 1/alpha by the theorem) or "likely" (the calibrated detector alone).
    `kind` is "output", or "input" where the prompts changed as well, so that the model need not be the reason.
    `at` is the answer it was raised at and `began` the estimate of the first changed one; answers count from 1 since the baseline began.
    `before` and `after` are examples: an identity and the opening of the text.
    """

    severity: str
    kind: str
    at: int
    began: int
    evidence: float
    threshold: float
    baseline: int
    moves: tuple[Move, ...]
    wire: tuple[WireChange, ...]
    before: tuple[tuple[str, str], ...]
    after: tuple[tuple[str, str], ...]

    def explain(self) -> str:
        """One sentence for a person."""
        moves = ", ".join(f"{move.name} {move.before:.3g} -> {move.after:.3g}" for move in self.moves[:3])
        wire = "; on the wire: " + ", ".join(f"{each.name} {each.before} -> {each.after}" for each in self.wire) if self.wire else ""
        source = "the prompts changed too" if self.kind == "input" else "the prompts did not"
        return f"{self.severity} change since answer {self.began} ({source}): {moves}{wire}"
