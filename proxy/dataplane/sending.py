"""A call on its way upstream: its id, what is to be sent of it, and what stands for it while nothing runs."""

from __future__ import annotations

import asyncio
import os
import typing
from itertools import count

import msgspec

from proxy.call import Call
from proxy.dataplane.edge import Edge
from proxy.dataplane.headers import Head
from proxy.dataplane.request import Request
from proxy.dataplane.upstream import Pool
from proxy.errors import Refusal

_ids = count()
_PROCESS = os.urandom(4).hex()


def new_id(now_ns: int) -> str:
    """An id that sorts by time and is unique over processes: 12 hexadecimal digits of milliseconds, 8 of the process, 6 of a counter."""
    return f"{now_ns // 1_000_000:012x}{_PROCESS}{next(_ids) & 0xFFFFFF:06x}"


class Sending(msgspec.Struct):
    """A call on its way upstream, with what is to be sent of it."""

    call: Call
    edge: Edge
    request: Request
    head: Head
    body: bytes | None  # as it came; None: it is streamed through
    content: bytes | None  # decoded; None: it could not be
    target: str
    pools: dict[str, Pool]  # as they were when the call came
    read_ns: int  # when all of it had been read
    carrier: typing.Any = None  # what carries it now: a `Carrying`
    changed: bytes | None = None  # `content` after admission
    wire: bytes = b""  # the next attempt's bytes: its head, and its body where that is at hand

    @property
    def keep_alive(self) -> bool:
        """Whether the client's connection may be used on."""
        return self.carrier is not None and self.carrier.keep_alive

    def let_go(self) -> None:
        """Nothing of it is sent again: a prompt may be large, and the answer to it long in coming."""
        self.body = self.content = self.changed = None
        self.wire = b""


class Pause:
    """What stands for a call while it waits for its next attempt."""

    keep_alive = False

    def __init__(self, call: Call) -> None:
        self.call = call
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def wait(self, delay_s: float) -> None:
        """Raises the `Refusal` of an order that ends the call meanwhile."""
        await asyncio.wait((self.done,), timeout=delay_s)
        if self.done.done():
            self.done.result()

    def client_paused(self, paused: bool) -> None:
        """Nothing comes that the client could be full of."""

    def expire(self, now: float, first_byte_s: float, idle_s: float) -> None:
        """It ends by itself."""

    def abandon(self) -> None:
        """Nothing runs."""

    def end_by_order(self, refusal: Refusal) -> None:
        if not self.done.done():
            self.done.set_exception(refusal)

    def end_in_band(self, refusal: Refusal) -> bool:
        """Nothing of an answer has been passed on: the refusal is the answer."""
        self.end_by_order(refusal)
        return True
