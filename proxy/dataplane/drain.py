"""The drain: from the order to stop to the end of the last call, within the grace and about a second more.

Calls run on within the grace. What still runs then is ended by us: an answer that has not begun by a refusal, a stream by an error event
of its dialect as soon as it stands between two events, and what takes no such event is broken off, so that nobody takes it for whole.
Every one of them is settled. Who reads too slowly to take its last bytes is not waited for.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, Protocol

from proxy.dataplane.edge import EdgeServer
from proxy.dataplane.path import Traffic
from proxy.errors import Refusal

_STEP_S = 0.02
_LAST_S = 0.3  # for a stream to come to the end of an event; for the last bytes to leave; for the last calls to be settled


class Plane(Protocol):
    """What is to be drained."""

    traffic: Traffic

    def tick(self) -> None: ...

    def look(self) -> None: ...


async def drain(plane: Plane, server: EdgeServer, grace_s: float) -> None:
    """Let all calls end. Nothing listens any more when this is called, and `plane.traffic.stopping` is set."""
    refusal = Refusal("weighbridge_stopping", "Weighbridge is shutting down; try again.")
    running = plane.traffic.in_flight
    await _wait(plane, lambda: not plane.traffic.carrying, grace_s)
    await _wait(plane, lambda: not [relay for relay in list(running) if not relay.end_in_band(refusal)], _LAST_S)
    for relay in list(running):
        relay.end_by_order(refusal)
    await _wait(plane, lambda: not any(map(_is_sending, server.connections)), _LAST_S)
    server.pre_shutdown()
    await server.shutdown(0.1)
    await _wait(plane, lambda: not plane.traffic.carrying, _LAST_S)


def _is_sending(edge: Any) -> bool:
    return edge.transport is not None and edge.transport.get_write_buffer_size() > 0


async def _wait(plane: Plane, is_done: Callable[[], bool], seconds: float) -> None:
    """Wait until something is so, `seconds` at most; the plane is kept in order meanwhile."""
    now = time.monotonic()
    end, tick = now + seconds, now
    while not is_done() and now < end:
        plane.look()
        if now >= tick:
            plane.tick()
            tick = now + 1
        await asyncio.sleep(_STEP_S)
        now = time.monotonic()
