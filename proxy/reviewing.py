"""What people review: the settings under `review`, and their checks.

The data plane reads the gates; all else is the control plane's.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from proxy.document import Faults, check_name
from proxy.rules import DIMENSIONS, is_dimension

LONGEST_WAIT_S = 3600.0  # that an answer may be held


class ReviewGate(msgspec.Struct, frozen=True):
    """Answers that leave only when somebody has approved them."""

    name: str
    match: dict[str, str]  # dimension → name or pattern (`press-*`): only such calls
    wait_s: float = 300.0  # for a decision
    otherwise: Literal["refuse", "release"] = "refuse"  # what becomes of an answer on which nobody has decided by then


class Review(msgspec.Struct, frozen=True):
    """Which calls are queued for a reviewer, and which answers are held for one."""

    share: float = 0.1  # of the inspected calls that no evaluator objects to, by agent and type of task
    flagged: bool = True  # every call that an evaluator fails
    most: int = 1000  # calls that wait at the same time
    gates: list[ReviewGate] = []


def check_review(review: Review, faults: Faults) -> None:
    """Add what is wrong with the section. A value that was at fault may be None."""
    if review.share is not None and not 0 <= review.share <= 1:
        faults.add("review.share", "is a share, from 0 to 1")
    if review.most is not None and review.most < 1:
        faults.add("review.most", "must be 1 or more; to queue nothing, use `share: 0` and `flagged: false`")
    seen: set[str] = set()
    for index, gate in enumerate(review.gates):
        path = f"review.gates[{index}]"
        check_name(gate.name, seen, f"{path}.name", faults)
        if not gate.match and not faults.is_spoiled(f"{path}.match"):
            faults.add(f"{path}.match", "names nobody; write `agent: NAME`, or `agent: '*'` for all")
        for word in gate.match or ():
            if not is_dimension(word):
                faults.add(f"{path}.match.{word}", f"expected one of {', '.join(DIMENSIONS)} or tag:NAME")
        if gate.wait_s is not None and not 1 <= gate.wait_s <= LONGEST_WAIT_S:
            faults.add(f"{path}.wait_s", f"is 1 to {LONGEST_WAIT_S:g} seconds; a client waits 600 by default")
