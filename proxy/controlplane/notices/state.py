"""What the notifier remembers over a restart, in one file of the state folder: the alerts, and what each channel was told of them.

So a restart repeats nothing that was told, and tells of what ended meanwhile. A file that is damaged costs that, and no more.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

import msgspec

from proxy.controlplane.notices.board import Alert
from proxy.controlplane.notices.told import Told

log = logging.getLogger("weighbridge.notices")


class State(msgspec.Struct):
    """All of it; `told` is by channel and by the alert's name."""

    alerts: list[Alert] = []
    told: dict[str, dict[str, Told]] = {}


def read_state(path: Path) -> State:
    """What the file says; nothing where there is none, or none that can be read."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=State)
    except FileNotFoundError:
        return State()
    except (OSError, msgspec.MsgspecError) as error:
        log.warning("%s cannot be read (%s); what was told before may be told again", path, error)
        return State()


def write_state(path: Path, text: bytes) -> None:
    """Replace the file whole, for its owner only. Raises OSError."""
    draft = path.with_suffix(".draft")
    file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with open(file, "wb") as out:
        out.write(text)
    os.replace(draft, path)
