"""The watch over client connections: those whose head does not come, those that take nothing, and too many from one address.

A connection stands here only while it is in question, so a round costs nothing for those that are not; only what is left
in the buffer of a connection that is to close is looked for among all of them, and seldom. A body's pace is kept where it is read.
"""

from __future__ import annotations

import array
import asyncio
import fcntl
import termios
import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Protocol

from proxy.config import Limits
from proxy.errors import Refusal

_ROUND_S = 10.0


class Watched(Protocol):
    """A client connection."""

    wire: asyncio.Transport | None

    def refuse(self, refusal: Refusal) -> None:
        """Answer with it and close."""

    def reset(self) -> None:
        """Cut the connection."""


class Watch:
    """Which client connections are in question, and since when."""

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits
        self._clock = clock
        self._heads: dict[Watched, float] = {}  # oldest first
        self._stalled: dict[Watched, tuple[float, int]] = {}  # since when its client has left how many bytes
        self._addresses: Counter[str] = Counter()
        self._calls: Counter[str] = Counter()  # that run, by address
        self._next_round = clock() + _ROUND_S

    @property
    def head_bytes(self) -> int:
        """The longest head."""
        return self._limits.header_bytes

    def enter(self, address: str) -> Refusal | None:
        """A connection from an address; a refusal where there are too many."""
        self._addresses[address] += 1
        if self._addresses[address] <= self._limits.client_connections:
            return None
        text = "Too many connections are open from this address (limits.client_connections)."
        return Refusal("policy_too_many_running", text, {"limit": "limits.client_connections"}, retry_after_s=1)

    def begin_call(self, address: str) -> None:
        """A call from an address; `end_call` follows in any case. Raises `Refusal` where too many run."""
        self._calls[address] += 1
        if self._calls[address] > self._limits.client_calls:
            text = "Too many calls from this address are running (limits.client_calls); wait until one of them has ended."
            raise Refusal("policy_too_many_running", text, {"limit": "limits.client_calls"}, retry_after_s=1)

    def end_call(self, address: str) -> None:
        """It has ended, or was refused."""
        self._calls[address] -= 1
        if not self._calls[address]:
            del self._calls[address]

    def leave(self, edge: Watched, address: str) -> None:
        """The connection is gone."""
        self._heads.pop(edge, None)
        self._stalled.pop(edge, None)
        self._addresses[address] -= 1
        if not self._addresses[address]:
            del self._addresses[address]

    def head_began(self, edge: Watched) -> None:
        """A first byte of a head is there; said again with each further one."""
        if edge not in self._heads:
            self._heads[edge] = self._clock()

    def head_ended(self, edge: Watched) -> None:
        self._heads.pop(edge, None)

    def stalled(self, edge: Watched) -> None:
        """Its client does not take what is written."""
        if edge not in self._stalled:
            self._stalled[edge] = (self._clock(), -1)

    def taken(self, edge: Watched) -> None:
        """Its client has caught up."""
        self._stalled.pop(edge, None)

    def sweep(self, edges: Iterable[Watched]) -> None:
        """Once a second: end those that are over a limit; `edges` are all there are."""
        now, limits = self._clock(), self._limits
        while self._heads:
            edge, since = next(iter(self._heads.items()))
            if now - since <= limits.head_s:
                break
            del self._heads[edge]
            edge.refuse(Refusal("caller_too_slow", "The request's head came too slowly (limits.head_s)."))
        if now >= self._next_round:
            self._next_round = now + _ROUND_S
            for edge in edges:
                if edge.wire is not None and edge.wire.get_write_buffer_size():
                    self.stalled(edge)
        for edge, (since, left) in list(self._stalled.items()):
            still = count_left(edge.wire)
            if not still:
                del self._stalled[edge]
            elif still != left:
                self._stalled[edge] = (now, still)
            elif now - since > limits.write_idle_s:
                del self._stalled[edge]
                edge.reset()


def count_left(wire: asyncio.Transport | None) -> int:
    """The bytes that the other side has not taken: those of our buffer and those of the kernel's (tcp(7), SIOCOUTQ)."""
    if wire is None:
        return 0
    buffered, queued = wire.get_write_buffer_size(), array.array("i", [0])
    fcntl.ioctl(wire.get_extra_info("socket").fileno(), termios.TIOCOUTQ, queued)
    return buffered + queued[0]
