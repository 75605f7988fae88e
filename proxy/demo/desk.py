"""The provider's desk: what it has received, what it keeps for later, and the doors through which tests look and steer.

`GET /__demo/received` lists the requests as they came, `GET /__demo/state` counts, `GET /__demo/bill` says what has to be paid,
`POST /__demo/release` lets held streams go on, and `POST /__demo/reset` forgets everything.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import itertools
from collections import deque
from collections.abc import Callable
from typing import Any

import msgspec
from aiohttp import web

_MOST_BODY_BYTES = 1024 * 1024  # kept of a received body
_MOST_KEPT_BYTES = 32 * 1024 * 1024  # of all received bodies


class Received(msgspec.Struct, frozen=True):
    """A request as it came: `headers` in order and spelling, bytes above 127 as Latin-1; the body in base64, its end cut at 1 MiB."""

    method: str
    path: str
    headers: list[tuple[str, str]]
    body_base64: str
    body_bytes: int
    body_sha256: str


class Owed(msgspec.Struct):
    """What is billed for a model: calls that were answered, their input, and the output up to where each ended or its client left."""

    calls: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0  # part of the input
    output_tokens: int = 0


class Desk(msgspec.Struct):
    """The provider's own state, shared by all exchanges of one application."""

    record: bool = True
    seed: str | None = None  # with it, ids and times are the same for the same requests in the same order
    received: deque[Received] = msgspec.field(default_factory=lambda: deque(maxlen=1024))
    kept_bytes: int = 0
    arrived: int = 0
    running: int = 0
    left: int = 0  # clients that went before their answer was complete
    bill: dict[str, Owed] = {}  # by the model's name as it is answered
    numbers: Any = msgspec.field(default_factory=itertools.count)
    gate: asyncio.Event = msgspec.field(default_factory=asyncio.Event)
    shelf: dict[str, Any] = {}  # what later requests come back for: responses, batches, files
    decoders: dict[str, Callable[[bytes], bytes]] = {}
    encoders: dict[str, Callable[[bytes], bytes]] = {}

    def keep(self, name: str, thing: Any) -> None:
        """Put something on the shelf; of more than 500 things the oldest goes."""
        self.shelf[name] = thing
        while len(self.shelf) > 500:
            del self.shelf[next(iter(self.shelf))]

    def reset(self) -> None:
        """Forget everything; those who hold are let go."""
        self.received.clear()
        self.shelf.clear()
        self.bill.clear()
        self.kept_bytes = self.arrived = self.left = 0
        self.numbers = itertools.count()
        self.release()

    def release(self) -> None:
        """Let the exchanges that have arrived go on, and only those."""
        self.gate.set()
        self.gate = asyncio.Event()


DESK: web.AppKey[Desk] = web.AppKey("desk", Desk)


def record(desk: Desk, request: web.Request, body: bytes) -> None:
    """Keep a request as it came; the oldest go when all together are too large."""
    desk.arrived += 1
    if not desk.record:
        return
    headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.raw_headers]
    kept = base64.b64encode(body[:_MOST_BODY_BYTES]).decode()
    if len(desk.received) == desk.received.maxlen:
        desk.kept_bytes -= len(desk.received.popleft().body_base64)
    desk.received.append(Received(request.method, request.raw_path, headers, kept, len(body), hashlib.sha256(body).hexdigest()))
    desk.kept_bytes += len(kept)
    while desk.kept_bytes > _MOST_KEPT_BYTES and len(desk.received) > 1:
        desk.kept_bytes -= len(desk.received.popleft().body_base64)


async def list_received(request: web.Request) -> web.Response:
    return web.Response(body=msgspec.json.encode(list(request.app[DESK].received)), content_type="application/json")


async def show_state(request: web.Request) -> web.Response:
    desk = request.app[DESK]
    counts = {"arrived": desk.arrived, "running": desk.running, "left": desk.left, "recording": desk.record}
    return web.Response(body=msgspec.json.encode(counts), content_type="application/json")


async def show_bill(request: web.Request) -> web.Response:
    return web.Response(body=msgspec.json.encode(request.app[DESK].bill), content_type="application/json")


async def release(request: web.Request) -> web.Response:
    request.app[DESK].release()
    return web.Response(status=204)


async def reset(request: web.Request) -> web.Response:
    request.app[DESK].reset()
    return web.Response(status=204)


def add_control(app: web.Application) -> None:
    """The doors for tests."""
    app.router.add_get("/__demo/received", list_received)
    app.router.add_get("/__demo/state", show_state)
    app.router.add_get("/__demo/bill", show_bill)
    app.router.add_post("/__demo/release", release)
    app.router.add_post("/__demo/reset", reset)
