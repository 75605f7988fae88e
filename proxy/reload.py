"""What of a config takes effect while Weighbridge runs, and what waits for its restart; the same answer for both planes.

The control plane reads the file anew when it is told to, and refuses it whole where it has a fault; then `config_generation` in the
orders grows, and the data plane reads the file as well. Both take from it what `LIVE` names and keep the rest as it was at their start.
"""

from __future__ import annotations

import msgspec

from proxy.config import Config, ConfigError, check_exposure
from proxy.document import Faults

LIVE = ("auth", "identity", "budgets", "rate_limits", "headroom", "reservation", "prices")


class Reloaded(msgspec.Struct, frozen=True):
    """What holds after a reload, and which keys have changed: those that took effect, and those that need a restart."""

    config: Config
    changed: list[str]
    restart: list[str]


def compare(running: Config, fresh: Config) -> Reloaded:
    """The running config with what can be taken of a fresh one; keys are named as they stand in the file (`budgets`, `limits.idle_s`).

    Raises `ConfigError` where each is in order and their mixture is not: `auth` of the one and `listen` of the other.
    """
    changed, restart = [], []
    for name in running.__struct_fields__:
        found = _name_changes(name, getattr(running, name), getattr(fresh, name))
        (changed if name in LIVE else restart).extend(found)
    config = msgspec.structs.replace(running, **{name: getattr(fresh, name) for name in LIVE})
    faults = Faults()
    check_exposure(config, faults)
    if faults:
        raise ConfigError("what would hold until a restart", faults.in_file_order())
    return Reloaded(config, changed, restart)


def _name_changes(name: str, before: object, after: object) -> list[str]:
    if before == after:
        return []
    if isinstance(before, msgspec.Struct):
        fields = before.__struct_fields__
        return [f"{name}.{field}" for field in fields if getattr(before, field) != getattr(after, field)]
    if isinstance(before, dict) and isinstance(after, dict):
        return [f"{name}.{key}" for key in {**before, **after} if before.get(key) != after.get(key)]
    return [name]
