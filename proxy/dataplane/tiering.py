"""Tiering: asks another model than the caller did where a rule of `tiers` says so; only its name changes in the request."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime
from zoneinfo import ZoneInfo

import msgspec

from proxy.call import Call
from proxy.tiers import Tier, read_hours
from proxy.toll.subject import Picker, Subject, make_picker
from proxy.wire import change_model

_STATEFUL = "stored_context"  # a model that has begun a conversation goes on with it


class Tiering:
    """All rules, compiled. Times are nanoseconds since the Unix epoch."""

    def __init__(self, tiers: list[Tier]) -> None:
        ranked = sorted(tiers, key=lambda tier: not tier.by_order)  # what was ordered comes first
        self._rules: list[tuple[Tier, Picker, Callable[[int], bool]]] = [
            (tier, make_picker([], tier.match), _open_hours(tier)) for tier in ranked
        ]

    @property
    def is_idle(self) -> bool:
        """Whether there is no rule."""
        return not self._rules

    def choose(
        self, call: Call, subject: Subject, content: bytes | None, target: str, ordered: str | None = None
    ) -> tuple[bytes, str] | None:
        """(body, target) for the other model, and the call as if it had asked for that; None where it is answered as asked.

        `ordered` is the rule that an order wants.
        """
        if not content or not call.kind.json_body or subject.model is None or _STATEFUL in call.ask.unbounded:
            return None
        for tier, pick, is_open in self._rules:
            if tier.by_order and tier.name != ordered:
                continue
            other = tier.model.get(subject.model)
            if other is None or pick(subject) is None or not _fits(tier, call.ask.prompt_bytes) or not is_open(call.started_ns):
                continue
            if tier.share < 1 and not _is_drawn(tier, subject.task or subject.session or call.id):
                continue
            changed = change_model(call.kind, content, target, other)
            if changed is None:
                continue
            call.tier = tier.name
            call.ask = msgspec.structs.replace(call.ask, model=other)
            if call.kind.model is not None:
                call.kind = msgspec.structs.replace(call.kind, model=other)
            return changed
        return None


def _fits(tier: Tier, prompt_bytes: int) -> bool:
    return tier.least_prompt_bytes <= prompt_bytes and (tier.most_prompt_bytes is None or prompt_bytes <= tier.most_prompt_bytes)


def _is_drawn(tier: Tier, name: str) -> bool:
    """Whether a task is among the share; always the same answer."""
    digest = hashlib.blake2b(f"{tier.name}\0{name}".encode("utf-8", "surrogateescape"), digest_size=8).digest()
    return int.from_bytes(digest) < tier.share * 2**64


def _open_hours(tier: Tier) -> Callable[[int], bool]:
    if tier.hours is None:
        return lambda now_ns: True
    first, end = read_hours(tier.hours)
    zone = ZoneInfo(tier.timezone)
    length = (end - first) % 24

    def is_open(now_ns: int) -> bool:
        return (datetime.fromtimestamp(now_ns // 10**9, zone).hour - first) % 24 < length

    return is_open
