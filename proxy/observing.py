"""What the config says of who looks on: how many have figures of their own, and when an agent is silent for too long."""

from __future__ import annotations

import math

import msgspec

from proxy.document import Faults


class Shown(msgspec.Struct, frozen=True):
    """How many have series of their own in /metrics; all others are added up."""

    agents: int = 200
    models: int = 200  # sets of upstream, operation and model with counters …
    histograms: int = 40  # … and with histograms: a hundred series each


class Fleet(msgspec.Struct, frozen=True):
    """When an agent is silent for too long."""

    silence: dict[str, float] = {}  # agent or pattern → seconds; the first that fits counts, and 0 is never
    learn_days: float = 3.0  # how long an agent is watched before what was learned of it counts


def check_fleet(fleet: Fleet, faults: Faults) -> None:
    """What no single field can tell of them. A value that was at fault may be None."""
    for pattern, seconds in fleet.silence.items():
        if seconds is not None and not 0 <= seconds < math.inf:
            faults.add(f"fleet.silence.{pattern}", "expected seconds, or 0 for an agent that is never silent for too long")
    if fleet.learn_days is not None and not 0 <= fleet.learn_days < math.inf:
        faults.add("fleet.learn_days", "expected 0 or more days")
