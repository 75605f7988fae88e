"""Journal segments as files: their names, whose they are, and whether that process still lives.

Names are `<start in ns, 20 digits>-<writer><pid>.ndjson` and sort by start; the writer is `d` for the data plane and `c`
for the control plane. The first line of a segment repeats it, and may name the start of the writing process as
`process_ns`: with it two processes that had the same pid (containers) are told apart.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import msgspec

_NAME = re.compile(r"(\d{20})-([a-z]?)(\d+)\.ndjson\Z")
_HEAD_BYTES = 4096


class Head(msgspec.Struct, frozen=True):
    """A segment's first line."""

    version: int
    started_ns: int
    pid: int
    writer: str = "d"
    process_ns: int | None = None


class _FirstLine(msgspec.Struct):
    segment: Head


class Segment(msgspec.Struct):
    """One segment and how far it has been loaded. `state`: live | closed | torn | ended | deleted."""

    name: str
    started_ns: int
    writer: str
    pid: int
    process: str = ""  # equal for segments of one process; empty until the first line can be read
    position: int = 0
    lines: int = 0
    garbage: int = 0
    open_calls: int = 0
    state: str = "live"

    @property
    def finished(self) -> bool:
        """Whether nothing more will be read from it."""
        return self.state != "live"


def parse_name(name: str) -> Segment | None:
    """The segment of a file name; None for any other file."""
    match = _NAME.match(name)
    if match is None:
        return None
    return Segment(name=name, started_ns=int(match[1]), writer=match[2] or "d", pid=int(match[3]))


def list_names(folder: Path) -> list[str]:
    """Names of the segments in a folder, oldest first. A folder that is not there has none."""
    try:
        return sorted(name for name in os.listdir(folder) if _NAME.match(name))
    except FileNotFoundError:
        return []


def identify(segment: Segment, first: bytes, dead: bool) -> str:
    """Which process wrote a segment, from its first bytes; empty while a living writer may still complete its first line."""
    line, newline, _ = first[:_HEAD_BYTES].partition(b"\n")
    if not newline and len(first) < _HEAD_BYTES and not dead:
        return ""
    try:
        head = msgspec.json.decode(line, type=_FirstLine).segment
    except msgspec.MsgspecError:
        return f"{segment.writer}{segment.pid}"
    return f"{segment.writer}{segment.pid}" + (f"@{head.process_ns}" if head.process_ns is not None else "")


def is_alive(pid: int) -> bool:
    """Whether a process of this pid exists on this machine."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def find_ended(segments: list[Segment], alive: Callable[[int], bool]) -> set[str]:
    """Processes that will write no more: gone, or followed by another process of the same plane.

    One plane runs at a time (the state folder is locked), so a newer segment of the same writer by another process
    tells that the older one is gone, also where its pid has been given to someone else.
    """
    newest: dict[str, Segment] = {}
    for segment in segments:
        if segment.process and (segment.writer not in newest or segment.name > newest[segment.writer].name):
            newest[segment.writer] = segment
    ended = set()
    for segment in segments:
        if segment.process and (segment.process != newest[segment.writer].process or not alive(segment.pid)):
            ended.add(segment.process)
    return ended
