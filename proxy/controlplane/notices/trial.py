"""`POST /api/notify {by}`: a test notice through every channel, and what came of each."""

from __future__ import annotations

from typing import Any

import msgspec

from proxy.controlplane.changes import ANYONE, check_text
from proxy.controlplane.door import Change, NotDone, read_body
from proxy.controlplane.notices.notifier import Notifier


class GivenTrial(msgspec.Struct, forbid_unknown_fields=True):
    by: str = ANYONE


def make_change(notifier: Notifier) -> Change:
    """What the door offers of it."""

    def perform(_: str, body: bytes) -> dict[str, Any]:
        given = read_body(body, GivenTrial)
        check_text("by", given.by)
        results = notifier.test(given.by)
        if not results:
            raise NotDone(409, "no_channels", "no channel is configured, so that nobody can be told; add one under notify.channels and reload")
        return {"results": results}

    return Change("POST", "/api/notify", perform)
