"""A shelf keeps things while they are used, and forgets them a while after; a little at a time, so that no moment is long."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Generic, Protocol, TypeVar

_KEPT_NS = 60_000_000_000  # at least this long after the last use
_MOST_AT_ONCE = 2000


class Kept(Protocol):
    """What a shelf can hold."""

    def is_busy(self, now_ns: int) -> bool:
        """Whether it may not be forgotten yet."""


Name = TypeVar("Name", bound=Hashable)
Thing = TypeVar("Thing", bound=Kept)


class Shelf(Generic[Name, Thing]):
    """Two dicts: what was used since the last turn, and what has not been. Whoever is asked for moves to the first."""

    def __init__(self) -> None:
        self._used: dict[Name, Thing] = {}
        self._unused: dict[Name, Thing] = {}
        self._turned_ns = 0

    def __len__(self) -> int:
        return len(self._used) + len(self._unused)

    def get(self, name: Name) -> Thing | None:
        """The thing of this name, which counts as a use of it."""
        thing = self._used.get(name)
        if thing is None and self._unused:
            thing = self._unused.pop(name, None)
            if thing is not None:
                self._used[name] = thing
        return thing

    def put(self, name: Name, thing: Thing) -> None:
        """Keep a new thing."""
        self._used[name] = thing

    def values(self) -> Iterator[Thing]:
        """All things, in no particular order."""
        yield from self._used.values()
        yield from self._unused.values()

    def sweep(self, now_ns: int) -> None:
        """Forget some of what has not been used for a while and is not busy."""
        if now_ns < self._turned_ns + _KEPT_NS:
            return
        for _ in range(min(_MOST_AT_ONCE, len(self._unused))):
            name, thing = self._unused.popitem()
            if thing.is_busy(now_ns):
                self._used[name] = thing
        if not self._unused:
            self._unused, self._used = self._used, {}
            self._turned_ns = now_ns
