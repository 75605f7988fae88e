"""What one host name resolves to: looked up off the loop, kept for a while, and only what may be connected to.

The system's resolver does not say how long an answer holds, so one is kept for half a minute, and a failure for two seconds:
long enough that a burst of calls asks once. One lookup runs at a time, and all who wait share it. When the resolver fails, the last
answer is used for five minutes more (RFC 8767): a stumbling DNS is no reason to lose a provider. A name has one entry, so the
bound of all entries is the number of upstreams.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable

from proxy.dataplane.addresses import Kind, judge
from proxy.errors import Refusal

Place = tuple[int, tuple]  # an address family, and the address of that family as a socket takes it
Resolve = Callable[[str, int], Awaitable[list[Place]]]

KEEP_S = 30.0
KEEP_FAILURE_S = 2.0
USE_STALE_S = 300.0
_MOST_PLACES = 16


async def resolve(host: str, port: int) -> list[Place]:
    """Ask the system's resolver, in a thread of libuv's. Raises OSError, or UnicodeError for what can be no host name."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [(int(family), address) for family, _, _, _, address in found if family in (socket.AF_INET, socket.AF_INET6)]


class Names:
    """The addresses of one name."""

    def __init__(self, host: str, port: int, kinds: frozenset[Kind], resolve: Resolve, clock: Callable[[], float]) -> None:
        self._host = host
        self._port = port
        self._kinds = kinds
        self._resolve = resolve
        self._clock = clock
        self._places: list[Place] = []
        self._refused = False  # the last answer held addresses, and none that may be used
        self._asked_at = self._until = float("-inf")
        self._lookup: asyncio.Task[None] | None = None

    async def find(self) -> list[Place]:
        """Where to connect to, the resolver's first choice first. Raises `Refusal` upstream_unreachable."""
        if self._clock() >= self._until:
            if self._lookup is None:
                self._lookup = asyncio.create_task(self._ask(), name=f"resolve {self._host}")
            await asyncio.shield(self._lookup)  # whoever leaves early takes nothing from those who wait too
        if self._places:
            return self._places
        if self._refused:
            raise Refusal(
                "upstream_unreachable",
                "The upstream's host resolves to an address that is not public, which its url does not permit: "
                "if that is meant, set `private: true` at this upstream in the config; link-local addresses must stand in the url as numbers.",
            )
        raise Refusal("upstream_unreachable", "The upstream's host does not resolve to an address: check its url, and the DNS of this machine.")

    def doubt(self) -> None:
        """None of the addresses answers: they hold no longer than a failure does."""
        self._until = min(self._until, self._asked_at + KEEP_FAILURE_S)

    async def _ask(self) -> None:
        try:
            found = await self._resolve(self._host, self._port)
            now = self._clock()
            self._places = [place for place in dict.fromkeys(found) if judge(place[1][0]) in self._kinds][:_MOST_PLACES]
            self._refused = bool(found) and not self._places
            self._asked_at, self._until = now, now + (KEEP_S if self._places else KEEP_FAILURE_S)
        except (OSError, UnicodeError):
            now = self._clock()
            self._refused = False
            self._until = now + KEEP_FAILURE_S
            if now - self._asked_at > USE_STALE_S:
                self._places = []
        finally:
            self._lookup = None
