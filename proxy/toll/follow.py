"""Follows the journal: makes a ledger's state of its lines, after a restart or beside the process that writes them.

It begins at the newest checkpoint and folds every line after it, once. There are two kinds of segments: the data plane's, read in order, each
with a checkpoint at its head that is taken for the whole truth; and those of the control plane, whose corrections may have been
counted by the data plane or not, which its checkpoint tells: it holds how far each of them had been read. A segment that it does not name
has not been read at all. When another process of the data plane begins, what the one before it had reserved is presumed spent.

    the data plane      recover() once, then catch_up_corrections() now and then: its own lines are in its ledger already
    anyone else         catch_up() now and then
"""

from __future__ import annotations

import logging
import os
import re
from pathlib import Path
from typing import Any

import msgspec

from proxy.toll.checkpoint import Assembly, Part
from proxy.toll.fold import Fold

log = logging.getLogger("weighbridge.ledger")
_NAME = re.compile(r"\d{20}-([a-z]?)\d+\.ndjson\Z", re.ASCII)
_CORRECTION = b'{"correction":'
_CALL, _CHARGE = b'{"call":{"id":"', b'"charged"'
_OPENED, _RESERVED = b'{"opened":{"id":"', b'"reserved"'
_END = b"}}\n"
_EMPTY: dict[str, Any] = {"cells": {}, "open": {}}


class _Head(msgspec.Struct, frozen=True):
    pid: int = 0
    process_ns: int | None = None


class _Reserved(msgspec.Struct, frozen=True, gc=False):
    id: str
    reserved: dict[str, int] = {}


class _Charged(msgspec.Struct, frozen=True, gc=False):
    id: str
    charged: dict[str, int] = {}


class _Adjusted(msgspec.Struct, frozen=True, gc=False):
    adjusted: dict[str, int] = {}


class _Line(msgspec.Struct, frozen=True, gc=False):
    call: _Charged | None = None
    opened: _Reserved | None = None
    extended: _Reserved | None = None
    segment: _Head | None = None
    checkpoint: Part | None = None


class _CorrectionLine(msgspec.Struct, frozen=True, gc=False):
    correction: _Adjusted


_decode = msgspec.json.Decoder(_Line).decode
_decode_correction = msgspec.json.Decoder(_CorrectionLine).decode


class Follower:
    """Reads one journal folder into one ledger. Belongs to one thread."""

    def __init__(self, folder: Path, ledger: Fold) -> None:
        self.garbage = 0
        self._folder = folder
        self._ledger = ledger
        self._segment = ""  # the data plane's newest that was read
        self._position = 0
        self._process: tuple[int, int | None] | None = None
        self._assembly = Assembly()
        self._read: dict[str, int] = {}  # segments of corrections → position

    @property
    def is_blank(self) -> bool:
        """Whether there was nothing to read yet: no segment of the data plane's."""
        return not self._segment

    def recover(self) -> None:
        """Read what the processes before this one have left; what they had reserved is presumed spent."""
        self.catch_up()
        presumed = len(self._ledger.open_ids)
        self._ledger.presume()
        if presumed:
            log.warning("%d call(s) ran when the data plane ended; what was reserved for them is presumed spent", presumed)

    def catch_up(self) -> None:
        """Fold all that is new. A last line without its end waits until it is whole."""
        names = self._list()
        ours = [name for name, writer in names if writer != "c"]
        if self._segment not in ours or self._is_overtaken(ours):
            self._begin(ours)
        for name in ours[ours.index(self._segment) :] if self._segment else ():
            self._follow(name)
        self._follow_corrections(names)

    def catch_up_corrections(self) -> None:
        """Fold the corrections that are new, and nothing else."""
        self._follow_corrections(self._list())

    def checkpoint(self) -> dict[str, Any]:
        """The ledger's state and how far the corrections have been read."""
        return {**self._ledger.checkpoint(), "read": dict(self._read)}

    def _list(self) -> list[tuple[str, str]]:
        """(name, writer) of all segments, oldest first."""
        try:
            names = sorted(os.listdir(self._folder))
        except FileNotFoundError:
            return []
        return [(name, found[1]) for name in names if (found := _NAME.match(name))]

    def _begin(self, names: list[str]) -> None:
        """Go to the newest segment with a checkpoint, or the oldest one of all."""
        self._ledger.restore(_EMPTY)
        self._read = {}
        self._segment = next((name for name in reversed(names) if self._has_checkpoint(name)), names[0] if names else "")
        self._position = 0
        self._process = None

    def _is_overtaken(self, names: list[str]) -> bool:
        """Whether a later segment holds the whole truth already: then what lies before it need not be read."""
        return any(self._has_checkpoint(name) for name in names[names.index(self._segment) + 1 :])

    def _has_checkpoint(self, name: str) -> bool:
        try:
            with open(self._folder / name, "rb") as file:
                file.readline()
                for line in file:
                    if not line.startswith(b'{"checkpoint":') or not line.endswith(b"\n"):
                        return False
                    if b'"whole":true' in line[-16:]:
                        return True
        except FileNotFoundError:
            pass
        return False

    def _follow(self, name: str) -> None:
        """Fold the new lines of a segment of the data plane."""
        if name != self._segment:
            self._segment, self._position = name, 0
        self._position = self._fold_lines(name, self._position, self._fold)

    def _follow_corrections(self, names: list[tuple[str, str]]) -> None:
        read = {}
        for name, writer in names:
            if writer == "c":
                read[name] = self._fold_lines(name, self._read.get(name, 0), self._fold_correction)
        self._read = read

    def _fold_lines(self, name: str, position: int, fold: Any) -> int:
        """Fold the whole lines behind a position. The position after them."""
        try:
            with open(self._folder / name, "rb") as file:
                if file.seek(0, os.SEEK_END) <= position:
                    return position
                file.seek(position)
                for line in file:
                    if not line.endswith(b"\n"):
                        break
                    position += len(line)
                    try:
                        fold(line)
                    except (msgspec.MsgspecError, ValueError, RecursionError):
                        self.garbage += 1
        except FileNotFoundError:  # pruned
            pass
        return position

    def _is_idle(self, text: bytes) -> bool:
        """Whether a line touches no cell, as all do where there is no budget: then it need not be decoded."""
        if not text.endswith(_END):
            return False
        if text.startswith(_CALL):
            return _CHARGE not in text and not self._ledger.has_open
        return text.startswith(_OPENED) and _RESERVED not in text

    def _fold(self, text: bytes) -> None:
        if self._is_idle(text):
            return
        line = _decode(text)
        if line.call is not None:
            self._ledger.fold_settled(line.call.id, line.call.charged)
        elif line.opened is not None:
            self._ledger.fold_opened(line.opened.id, line.opened.reserved)
        elif line.extended is not None:
            self._ledger.fold_extended(line.extended.id, line.extended.reserved)
        elif line.segment is not None:
            self._meet(line.segment)
        elif line.checkpoint is not None:
            checkpoint = self._assembly.take(line.checkpoint)
            if checkpoint is not None:
                self._ledger.restore(checkpoint)
                self._read = checkpoint["read"]

    def _meet(self, head: _Head) -> None:
        """A segment begins."""
        process = (head.pid, head.process_ns)
        if self._process is not None and process != self._process:
            self._ledger.presume()
        self._process = process
        self._assembly = Assembly()

    def _fold_correction(self, text: bytes) -> None:
        if text.startswith(_CORRECTION):
            self._ledger.fold_adjusted(_decode_correction(text).correction.adjusted)
