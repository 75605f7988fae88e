"""The orders: the small state that the control plane publishes and the data plane obeys, in one file of the state folder.

The control plane replaces the file whole; the data plane looks at it several times a second and reads it when it has changed.
It outlives both, so a restart neither resumes what was paused nor forgets a revoked key.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

import msgspec

from proxy.rules import Key

APPROVED, REJECTED = "approved", "rejected"
HOLDS = ("pause", "kill")
VERBS = (*HOLDS, "tier", "inspect")


class Order(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One that holds. New calls that it concerns are refused, have another model, or are all inspected."""

    verb: str  # pause | kill | tier | inspect
    dimension: str | None = None  # agent, task, or another of `proxy.rules.DIMENSIONS`; None: everything
    value: str | None = None
    running: bool = False  # calls that are running are ended as well
    reason: str = ""
    by: str = ""
    at_ns: int = 0
    until_ns: int = 0  # when it ends by itself; 0: never
    tier: str | None = None  # tier: the rule of `tiers` that holds

    @property
    def kind(self) -> str:
        """What it is about: of one kind, one order holds for each scope."""
        return "hold" if self.verb in HOLDS else self.verb


class TaskBudget(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one task may spend in its life."""

    usd: float | None = None
    tokens: int | None = None
    calls: int | None = None


class Ruling(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a reviewer decided on an answer that is held."""

    state: str  # APPROVED | REJECTED
    at_ns: int
    note: str = ""  # for the caller of one that is rejected


class Orders(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All that holds now."""

    version: int = 1
    config_generation: int = 0  # grows with each reload: the data plane reads its config again
    orders: list[Order] = []
    keys: list[Key] = []  # issued and not revoked
    revoked: list[str] = []  # SHA-256 of keys that are refused, also where the config still lists them
    tasks: dict[str, TaskBudget] = {}  # open tasks that have a budget of their own
    reviews: dict[str, Ruling] = {}  # call → the decision on its answer, for as long as one may be held


class OrdersUnreadable(Exception):
    """The file is there and cannot be understood; the message names it and says what to do."""


_decode = msgspec.json.Decoder(Orders).decode


def read_orders(path: Path) -> Orders:
    """What the file says; nothing, where there is none. Raises `OrdersUnreadable`."""
    try:
        return _decode(path.read_bytes())
    except FileNotFoundError:
        return Orders()
    except (OSError, msgspec.MsgspecError) as error:
        hint = "put its last good copy back, or remove it to begin without orders and keys"
        raise OrdersUnreadable(f"{path} cannot be read ({error}); {hint}") from None


def write_orders(path: Path, orders: Orders) -> None:
    """Replace the file whole, for its owner only. Raises OSError."""
    draft = path.with_suffix(".draft")
    file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        text = msgspec.json.format(msgspec.json.encode(orders), indent=1)
        if os.write(file, text) < len(text):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(file)
    finally:
        os.close(file)
    os.replace(draft, path)
