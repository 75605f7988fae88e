"""The shelf: a folder with a file for each stream, each replaced whole, so that a process that dies leaves the one before.

The files are not forced to the disk: what a power failure tears is refused when it is read, and that stream is learned anew.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path

log = logging.getLogger("weighbridge.drift")
_ENDING, _DRAFT = ".stream", ".draft"
_MOST_BYTES = 2 * 1024 * 1024  # of a file; a stream takes a few tens of KiB


class TooLarge(OSError):
    """A stream takes more than any should."""


class Shelf:
    """May be used from any thread, as long as a stream is written by one at a time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, key: tuple[str, ...], data: bytes) -> None:
        """Replace the file of a stream. Raises OSError."""
        if len(data) > _MOST_BYTES:
            raise TooLarge(f"a stream of {len(data)} bytes is not kept")
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._find(key)
        draft = path.with_suffix(_DRAFT)
        file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            with open(file, "wb") as out:
                out.write(data)
            os.replace(draft, path)
        except OSError:
            draft.unlink(missing_ok=True)
            raise

    def remove(self, key: tuple[str, ...]) -> None:
        """Forget a stream."""
        try:
            self._find(key).unlink(missing_ok=True)
        except OSError as error:
            log.warning("the file of a stream cannot be removed: %s", error.strerror)

    def trim(self, most: int) -> None:
        """Remove all but the files that were written last."""
        for _, path in sorted(self._list(), reverse=True)[most:]:
            path.unlink(missing_ok=True)

    def read(self) -> Iterator[tuple[Path, bytes]]:
        """All files with what they hold."""
        for _, path in sorted(self._list()):
            try:
                with path.open("rb") as file:
                    yield path, file.read(_MOST_BYTES)
            except OSError as error:
                log.warning("the stream %s cannot be read: %s", path.name, error.strerror)

    def _list(self) -> Iterator[tuple[int, Path]]:
        """(when it was written, a file of ours)."""
        if not self._folder.is_dir():
            return
        for path in self._folder.iterdir():
            try:
                if path.suffix == _ENDING:
                    yield path.stat().st_mtime_ns, path
            except OSError:  # it has gone since
                continue

    def _find(self, key: tuple[str, ...]) -> Path:
        digest = hashlib.sha256("\0".join(key).encode("utf-8", "surrogatepass")).hexdigest()
        return self._folder / f"{digest[:32]}{_ENDING}"
