"""What a condition is: a name, how much it matters, how long it must hold, what is said of it, and a function that finds it in the figures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import msgspec

from proxy.controlplane import show
from proxy.controlplane.notices.window import Labels, Window
from proxy.notify import Severity, Thresholds

SETTLED_S = 60.0  # after so long all that is shown of this very moment is there again after a restart


class Finding(msgspec.Struct, frozen=True):
    """What a condition holds for, and the figure that says so."""

    labels: dict[str, str]
    value: float
    words: dict[str, str] = {}  # what else may be named in what is said of it


class Condition(msgspec.Struct, frozen=True):
    """Something that is wrong. `summary` and `description` may name labels, the words of a finding and `{value}`."""

    name: str
    severity: Severity
    find: Callable[[Window, Thresholds], Iterable[Finding]]
    summary: str
    description: str
    for_s: float = 0.0
    needs_s: float = SETTLED_S  # how far the figures must reach back to tell that it does not hold
    write: Callable[[float], str] = lambda value: f"{value:.0f}"


def write_share(value: float) -> str:
    """0.35 as 35 %."""
    return f"{value * 100:.3g} %"


def write_span(value: float) -> str:
    """Seconds for people."""
    return show.write_span(int(value * 1e9))


def label(names: Labels, values: Mapping[Labels, float]) -> list[Finding]:
    """A finding for each of the values, whose labels have these names."""
    return [Finding(dict(zip(names, labels, strict=True)), value) for labels, value in values.items()]


def divide(parts: Mapping[Labels, float], wholes: Mapping[Labels, float], least: float) -> dict[Labels, float]:
    """The share that each part is of its whole, where that is at least so much; a part that is not there is 0."""
    return {labels: parts.get(labels, 0.0) / whole for labels, whole in wholes.items() if whole >= least and whole > 0}
