"""What is told of a stream: how it stands and its last alarm, as reports and files hold it; nothing here computes."""

from __future__ import annotations

import msgspec

VERSION = 1
LEARNING, WATCHING, ALARMED = "learning", "watching", "alarmed"


class LastAlarm(msgspec.Struct, frozen=True):
    """The alarm that was raised last, and what was said of it."""

    at_ns: int
    severity: str  # certain | likely
    kind: str  # output | input
    cause: str
    call: str
    before: list[str] = []  # calls whose answers show how it was …
    after: list[str] = []  # … and how it is
    said: str = ""  # accepted | dismissed; empty: nobody has said anything yet


class Told(msgspec.Struct, frozen=True):
    """A stream as reports show it, and the head of its file."""

    by: list[str]
    key: list[str]
    agent: str
    team: str | None
    state: str  # learning | watching | alarmed
    answers: int
    missing: int  # answers until it is watched
    baseline: int  # how often what is normal was learned
    evidence: float
    last_ns: int
    alarm: LastAlarm | None = None
    version: int = VERSION

    def name(self, dimension: str) -> str | None:
        """Its value of a dimension; None where streams are not told apart by it, or it has none."""
        return (self.key[self.by.index(dimension)] or None) if dimension in self.by else None


class StreamUnreadable(Exception):
    """A file holds no stream of this program's."""


_decode = msgspec.json.Decoder(Told).decode


def read_head(data: bytes) -> Told:
    """How a stream stood that was dumped. Raises `StreamUnreadable`."""
    try:
        told = _decode(data.partition(b"\n")[0])
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise StreamUnreadable(str(error)) from None
    if told.version != VERSION or len(told.key) != len(told.by):
        raise StreamUnreadable(f"it has version {told.version}, this program's have version {VERSION}")
    return told
