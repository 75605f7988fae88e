"""Model tiers: which calls are answered by another model of the same dialect than the one that they ask for; and the checks of these rules.

The first rule that concerns a call, and knows its model, decides. A `share` below 1 is kept by task (else by session, else by call), so that
all calls of a task get the same model: a cheaper one can be tried on a twentieth of all tasks.
"""

from __future__ import annotations

import re
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from proxy.document import Faults, check_name
from proxy.rules import is_dimension

_HOURS = re.compile(r"([01]?\d|2[0-3])-([01]?\d|2[0-4])\Z")


class Tier(msgspec.Struct, frozen=True):
    """Another model for some calls. Sizes are bytes of the request."""

    name: str
    model: dict[str, str]  # model asked → the one that answers
    match: dict[str, str] = {}  # dimension → name or pattern (`research-*`): only such calls
    least_prompt_bytes: int = 0
    most_prompt_bytes: int | None = None
    hours: str | None = None  # 22-6: from 22:00 to before 6:00
    timezone: str = "UTC"  # of `hours`
    share: float = 1.0  # of the tasks that are concerned
    by_order: bool = False  # only while an order `tier` says so


def read_hours(hours: str) -> tuple[int, int]:
    """The first hour and the one after the last. Raises ValueError."""
    found = _HOURS.match(hours)
    if not found or int(found[1]) == int(found[2]) % 24:
        raise ValueError(hours)
    return int(found[1]), int(found[2]) % 24


def check_tiers(tiers: list[Tier], faults: Faults) -> None:
    """Add what is wrong with the rules to `faults`. A value that was at fault may be None."""
    seen: set[str] = set()
    for index, tier in enumerate(tiers):
        path = f"tiers[{index}]"
        check_name(tier.name, seen, f"{path}.name", faults)
        if not tier.model:
            faults.add(f"{path}.model", "names no model; write `asked: other` of the same dialect")
        for word in tier.match:
            if not is_dimension(word):
                faults.add(f"{path}.match.{word}", "expected team, agent, task, session, model, upstream, key or tag:NAME")
        if not 0 <= tier.share <= 1:
            faults.add(f"{path}.share", "a share is 0 to 1")
        if tier.least_prompt_bytes < 0 or (tier.most_prompt_bytes is not None and tier.most_prompt_bytes < tier.least_prompt_bytes):
            faults.add(f"{path}.least_prompt_bytes", "must be 0 or more, and not over most_prompt_bytes")
        _check_hours(path, tier, faults)


def _check_hours(path: str, tier: Tier, faults: Faults) -> None:
    try:
        ZoneInfo(tier.timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError, TypeError):
        faults.add(f"{path}.timezone", "is no time zone; expected a name such as Europe/Berlin")
    try:
        if tier.hours is not None:
            read_hours(tier.hours)
    except ValueError:
        faults.add(f"{path}.hours", "expected two different hours, such as 22-6 or 9-17")
