"""What of a config can change while Weighbridge runs, and what cannot; the same answer for both planes.

The text of the config that holds is kept in the state folder, and it is what both planes read when they start: a file that was edited,
well or badly, means nothing until it is taken. The control plane reads it when it is told to, and refuses it whole where it has a fault
or changes what only a restart can change; else it becomes what is kept, `config_generation` in the orders grows, and the data plane follows.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from proxy.config import Config, ConfigError
from proxy.document import Fault

LIVE = (
    "auth", "upstreams", "limits", "identity", "budgets", "rate_limits", "headroom", "reservation", "tiers", "prices", "capture", "evaluators",
    "review", "judges", "controls", "metrics", "fleet", "notify",
)  # fmt: skip
_OF_CLIENTS = ("header_bytes", "idle_client_s", "head_s", "write_idle_s", "client_connections", "client_calls")  # the edge has them from its start
_FIXED = frozenset({*(f"limits.{name}" for name in _OF_CLIENTS), "limits.stop_grace_s"})  # and who watches over the stop has the grace


def keep(text: str, path: Path) -> None:
    """Keep the text of the config that holds from now on, whole at any moment. Raises OSError."""
    draft = path.with_suffix(".draft")
    draft.write_text(text, encoding="utf-8")
    draft.chmod(0o600)  # the address of a ledger may hold a password
    os.replace(draft, path)


class Reloaded(msgspec.Struct, frozen=True):
    """What holds after a reload, and which keys have changed."""

    config: Config
    changed: list[str]


def compare(running: Config, fresh: Config) -> Reloaded:
    """What is to hold instead of the running config; keys are named as they stand in the file (`budgets`, `limits.idle_s`).

    Raises `ConfigError` with all keys that cannot change: then nothing does.
    """
    changed, fixed = [], []
    for name in running.__struct_fields__:
        found = _name_changes(name, getattr(running, name), getattr(fresh, name))
        changed += found
        fixed += [key for key in found if name not in LIVE or key in _FIXED]
    for name, upstream in fresh.upstreams.items():
        before = running.upstreams.get(name)
        if upstream.sign != (before and before.sign):  # its credentials are looked for at the start
            fixed.append(f"upstreams.{name}.sign")
    if fixed:
        text = "cannot change while Weighbridge runs: restart it, or set it back"
        raise ConfigError("what needs a restart", [Fault(key, text) for key in fixed])
    return Reloaded(fresh, changed)


def _name_changes(name: str, before: object, after: object) -> list[str]:
    if before == after:
        return []
    if isinstance(before, msgspec.Struct):
        fields = before.__struct_fields__
        return [f"{name}.{field}" for field in fields if getattr(before, field) != getattr(after, field)]
    if isinstance(before, dict) and isinstance(after, dict):
        return [f"{name}.{key}" for key in {**before, **after} if before.get(key) != after.get(key)]
    return [name]
