"""Taking a changed config: the file is read and checked anew; where something is wrong with it nothing changes, else both planes take it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import msgspec

from proxy.config import Config, ConfigError, parse, read_file
from proxy.controlplane.changes import ANYONE, check_text
from proxy.controlplane.desk import Desk, Done
from proxy.controlplane.door import Change, NotDone, read_body
from proxy.reload import Reloaded, compare, keep

log = logging.getLogger("weighbridge.reload")


class GivenReload(msgspec.Struct, forbid_unknown_fields=True):
    by: str = ANYONE


class Reloader:
    """Belongs to the desk's thread. `take` hands the new config to the parts of the control plane."""

    def __init__(self, path: str | None, config: Config, desk: Desk, take: Callable[[Config], None]) -> None:
        self._path = path
        self._config = config
        self._desk = desk
        self._take = take

    def make_change(self) -> Change:
        """`POST /api/reload {by}`."""
        return Change("POST", "/api/reload", self._perform)

    def _perform(self, _: str, body: bytes) -> dict[str, Any]:
        given = read_body(body, GivenReload)
        check_text("by", given.by)
        return self.reload(given.by)

    def reload(self, by: str) -> dict[str, Any]:
        """Take the file as it is now: {generation, changed: keys}. Raises `NotDone` with every fault."""
        if self._path is None:
            raise NotDone(409, "no_config", "this weighbridge runs without a config file, so that there is none to read again")
        try:
            text = read_file(self._path)
            found = compare(self._config, parse(text, self._path))
        except ConfigError as error:
            facts = [msgspec.structs.asdict(fault) for fault in error.faults]
            raise NotDone(422, "faulty_config", f"nothing was changed: {error}", faults=facts) from None
        done = self._publish(text, found, by)
        self._config = found.config
        self._desk.configure(found.config.identity.keys)
        self._take(found.config)
        log.info("the config was read again by %s; changed: %s", by, ", ".join(found.changed) or "nothing")
        return {"generation": done.orders.config_generation, "changed": found.changed, "note": done.note}

    def _publish(self, text: str, found: Reloaded, by: str) -> Done:
        """Keep the new text, then let the data plane know. Raises `NotDone`, and then what was kept stays."""
        kept = found.config.kept
        try:
            before = kept.read_text(encoding="utf-8") if kept.exists() else None
            keep(text, kept)
        except OSError as error:
            raise NotDone(503, "not_written", f"{kept} cannot be written: {error.strerror}; nothing was changed") from None
        try:
            return self._desk.count_reload(found.changed, by)
        except NotDone:
            if before is not None:
                keep(before, kept)
            raise

    def reload_by_signal(self) -> None:
        """The same for SIGHUP; what keeps it from being done goes to the log."""
        try:
            self.reload("SIGHUP")
        except NotDone as error:
            log.error("the config was not read again: %s", error)
