"""A bounded set of label values: what comes past the bound is `other`."""

from __future__ import annotations

from collections.abc import Iterable

OTHER = "other"


class Names:
    """Takes names in until it is full; who is in stays."""

    def __init__(self, most: int, given: Iterable[str] = ()) -> None:
        self._most = most
        self._names = set(given)

    def admit(self, name: str) -> str:
        """The name itself, or `other`."""
        if name not in self._names:
            if len(self._names) >= self._most:
                return OTHER
            self._names.add(name)
        return name


def name_upstreams(upstreams: Iterable[str]) -> Names:
    """The names of upstreams that a label may have."""
    known = {*upstreams, "demo", OTHER, "none"}
    return Names(len(known), known)
