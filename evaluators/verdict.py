"""The verdict: what one evaluator says of one sample, in words and figures that hold nothing of the sample's text."""

from __future__ import annotations

from typing import Literal

import msgspec

PASS = "pass"
Severity = Literal["none", "info", "warning", "error"]


class Verdict(msgspec.Struct, frozen=True):
    """A judgement. `explanation` names sorts, counts and places and never quotes: it is kept where no content may be."""

    name: str  # of the evaluator
    label: str = PASS  # `pass`, or what was found: one word of a closed set of the evaluator's own
    score: float = 1.0  # 1: nothing was found; 0: surely faulty
    severity: Severity = "none"
    explanation: str = ""

    @property
    def failed(self) -> bool:
        """Whether the answer is faulty. What is only worth knowing (`info`) is counted by its label and fails nothing."""
        return self.severity in ("warning", "error")
