"""Controls: what is done by itself when answers are bad, and the checks of these rules.

Those that `retry` or `fall_back` act in the data plane on the one answer, before any of it is passed on, in the words of `proxy.routes.JUDGED`.
The others act in the control plane, by an order with an end (`quarantine`: by a mark on calls), when so many of the last inspected calls of an
agent were found bad, in the words of the evaluators: a severity (`error`, or `warning` for that and worse), an evaluator, one of its severities
(`json/error`) or one of its labels (`json/invalid`); or when `drift` is alarmed, which is a word on many calls by itself.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any, Literal

import msgspec

from proxy.document import Faults, check_name
from proxy.routes import JUDGED
from proxy.tiers import Tier

Action = Literal["retry", "fall_back", "pause", "downgrade", "upgrade", "raise_sampling", "quarantine"]
Counted = Literal["agent", "task", "team", "model", "upstream"]
INLINE = ("retry", "fall_back")
TIERED = ("downgrade", "upgrade")
DRIFT = "drift"
SEVERITIES = ("warning", "error")
LEAST_FOUND = 3  # fewer are chance
_COUNTED = ("agent", "task", "team", "model", "upstream")  # what an inspected call is known by
_WHOLE = tuple(sorted(JUDGED - {"startup_error"}))
_LABEL = re.compile(r"[a-z][a-z0-9_]{0,39}\Z")
_MOST_CALLS = 1000
_MOST_S = 30 * 86400.0


class Control(msgspec.Struct, frozen=True):
    """One rule. What stands behind `at_least` concerns those only that act by an order."""

    name: str
    when: list[str]
    do: Action
    match: dict[str, str] = {}  # dimension → name or pattern (`research-*`): only such calls
    at_least: int = 5  # bad ones …
    of: int = 20  # … of so many inspected calls, the last ones, and never of fewer
    within_s: float = 3600.0  # calls that were inspected longer ago do not count
    for_s: float = 900.0  # how long the order holds; twice as long each time that it is soon needed again
    each: Counted = "agent"  # whose calls are counted, and whom the order concerns
    tier: str | None = None  # downgrade, upgrade: the rule of `tiers` that holds meanwhile

    @property
    def is_inline(self) -> bool:
        """Whether it acts before the answer is passed on."""
        return self.do in INLINE


def check_controls(
    controls: list[Control], upstreams: Mapping[str, Any], tiers: list[Tier], evaluators: Collection[str], faults: Faults
) -> None:
    """Add what is wrong with the rules. `evaluators` are all names that there are. A value that was at fault may be None."""
    seen: set[str] = set()
    for index, control in enumerate(controls):
        path = f"controls[{index}]"
        check_name(control.name, seen, f"{path}.name", faults)
        if control.when is not None and not control.when:
            faults.add(f"{path}.when", "names nothing to act on")
        if control.do in INLINE:
            _check_inline(path, control, upstreams, faults)
        else:
            _check_counting(path, control, tiers, evaluators, faults)


def _check_inline(path: str, control: Control, upstreams: Mapping[str, Any], faults: Faults) -> None:
    for word in set(control.when or ()) - set(_WHOLE):
        faults.add(f"{path}.when", f"`{word}` is not seen before an answer is passed on; there are {', '.join(_WHOLE)}")
    if control.do == "fall_back" and not any(one.fallbacks for one in upstreams.values()):
        faults.add(f"{path}.do", "no upstream has `fallbacks` to go to; name one")


def _check_counting(path: str, control: Control, tiers: list[Tier], evaluators: Collection[str], faults: Faults) -> None:
    for word in control.when or ():
        name, slash, label = (word or "").partition("/")
        if (name not in evaluators and (slash or name not in SEVERITIES)) or (slash and not _LABEL.match(label)):
            known = f"expected warning, error, an evaluator ({', '.join(evaluators)}) or one of its severities or labels as json/error, json/invalid"
            faults.add(f"{path}.when", f"`{word}` is unknown; {known}")
    for word in control.match or ():
        if word not in _COUNTED:
            faults.add(f"{path}.match.{word}", f"an inspected call is known by {', '.join(_COUNTED)}")
    if not LEAST_FOUND <= control.at_least <= control.of <= _MOST_CALLS:
        faults.add(f"{path}.at_least", f"expected {LEAST_FOUND} or more, and not over `of`, which is {_MOST_CALLS} at most")
    for name in ("within_s", "for_s"):
        if not 0 < getattr(control, name) <= _MOST_S:
            faults.add(f"{path}.{name}", f"must be greater than 0, and at most {_MOST_S:g}")
    if control.do == "quarantine" and control.each == "team":
        faults.add(f"{path}.each", "a quarantine concerns an agent, a task, a model or an upstream")
    is_ordered = any(one.name == control.tier and one.by_order for one in tiers)
    if control.do in TIERED and not is_ordered:
        faults.add(f"{path}.tier", "names no rule of `tiers` that has `by_order: true`; such a rule holds only while an order says so")
    elif control.do not in TIERED and control.tier is not None:
        faults.add(f"{path}.tier", "means something to downgrade and upgrade only; remove it")
