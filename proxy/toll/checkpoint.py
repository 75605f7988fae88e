"""A ledger's state as lines of the journal: at the head of each segment, so that older segments need not be read.

    {"checkpoint":{"cells":{"<cell>":[spent,reserved],…},"open":{"<call>":{"<cell>":reserved,…},…}}}     any number of them
    {"checkpoint":{"read":{"<segment of corrections>":position,…},"whole":true}}                         the last one

Lines are short, for whoever reads the journal reads it by lines. Without its last line a checkpoint is not whole and counts for nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any, TypeVar

import msgspec

_CELLS_A_LINE = 2000
_CALLS_A_LINE = 200
_Value = TypeVar("_Value")
_encode = msgspec.json.Encoder().encode


class Part(msgspec.Struct, frozen=True):
    """One line of a checkpoint."""

    cells: dict[str, tuple[int, int]] = {}
    open: dict[str, dict[str, int]] = {}
    read: dict[str, int] = {}
    whole: bool = False


class Assembly:
    """Puts the lines of a checkpoint together."""

    def __init__(self) -> None:
        self._cells: dict[str, tuple[int, int]] = {}
        self._open: dict[str, dict[str, int]] = {}

    def take(self, part: Part) -> dict[str, Any] | None:
        """Add a line. The checkpoint (`cells`, `open` and `read`), where this was its last."""
        self._cells.update(part.cells)
        self._open.update(part.open)
        return {"cells": self._cells, "open": self._open, "read": part.read} if part.whole else None


def write_checkpoint(checkpoint: dict[str, Any]) -> bytes:
    """The lines of a checkpoint."""
    parts: list[dict[str, Any]] = [{"cells": some} for some in _split(checkpoint["cells"], _CELLS_A_LINE)]
    parts += [{"open": some} for some in _split(checkpoint["open"], _CALLS_A_LINE)]
    parts.append({"read": checkpoint.get("read", {}), "whole": True})
    return b"".join(_encode({"checkpoint": part}) + b"\n" for part in parts)


def _split(whole: dict[str, _Value], most: int) -> Iterator[dict[str, _Value]]:
    entries = iter(whole.items())
    while some := dict(islice(entries, most)):
        yield some
