"""The admin port's door: what only a bearer of the admin token may do.

Everything that changes something comes through here: `Authorization: Bearer <token>`, a JSON body, a JSON answer.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from typing import Any, TypeVar

import msgspec
from aiohttp import web

from proxy.controlplane import show
from proxy.controlplane.reports import BadQuestion, Report

Perform = Callable[[str, bytes], dict[str, Any]]  # (what stands in the address, body) → answer; raises BadQuestion, NotDone
Body = TypeVar("Body", bound=msgspec.Struct)


class NotDone(Exception):
    """A change that was not made: an HTTP status, a name for programs, a message that says what to do, and further facts."""

    def __init__(self, status: int, name: str, message: str, **facts: Any) -> None:
        super().__init__(message)
        self.status = status
        self.name = name
        self.facts = facts

    @property
    def headers(self) -> dict[str, str]:
        """What goes with the status."""
        return {"WWW-Authenticate": "Bearer"} if self.status == 401 else {}


class Change(msgspec.Struct, frozen=True):
    """One thing that can be done at the door. `{id}` in the address takes any text without a slash, or any at all percent-encoded."""

    method: str
    address: str
    perform: Perform


def read_body(body: bytes, kind: type[Body]) -> Body:
    """A request's body. Raises `BadQuestion`, also for fields that `kind` does not have where it forbids them."""
    try:
        return msgspec.json.decode(body or b"{}", type=kind)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise BadQuestion(f"the body is not as expected: {error}") from None


class Door:
    """Opens for whoever has the token."""

    def __init__(self, token: str) -> None:
        self._token = token.encode()

    def check(self, request: web.Request) -> None:
        """Raises `NotDone` with status 401 for a request without the token."""
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode("utf-8", "surrogateescape"), self._token):
            message = "this needs `Authorization: Bearer <token>`; the token stands in the file admin-token of the state folder"
            raise NotDone(401, "token_absent", message)

    def add(self, app: web.Application, thread: Executor, changes: Iterable[Change]) -> None:
        """Add the routes of changes, which are made in `thread`: it has one thread where changes must not meet."""
        for change in changes:
            app.router.add_route(change.method, change.address, self._make_handler(thread, change.perform))

    def _make_handler(self, thread: Executor, perform: Perform) -> Callable[[web.Request], Any]:
        async def handle(request: web.Request) -> web.Response:
            self.check(request)
            target, body = request.match_info.get("id", ""), await request.read()
            answer = await asyncio.get_running_loop().run_in_executor(thread, perform, target, body)
            return web.Response(body=msgspec.json.encode(answer), content_type="application/json")

        return handle


def add_list(app: web.Application, thread: Executor, address: str, make: Callable[[], Report]) -> None:
    """Add a route that shows a report which needs no database, as JSON or with `format=csv`; it needs no token."""

    async def handle(request: web.Request) -> web.Response:
        form = request.query.get("format", "json")
        if form not in ("json", "csv") or request.query.keys() - {"format"}:
            raise BadQuestion("only format=json and format=csv can be asked for here")
        made = await asyncio.get_running_loop().run_in_executor(thread, make)
        if form == "csv":
            return web.Response(text=show.write_csv(made), content_type="text/csv", charset="utf-8")
        return web.Response(body=msgspec.json.encode(show.build_json(made)), content_type="application/json")

    app.router.add_get(address, handle)
