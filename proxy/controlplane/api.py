"""The admin port: health, /metrics and the named reports as JSON or CSV, and a page for people.

Questions run in a few threads of their own with a time limit; health never asks the database. While that is made again,
reports answer 503 with what is going on. Nothing here changes anything: what does comes through `proxy.controlplane.door`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Executor
from typing import Any

import duckdb
import msgspec
from aiohttp import web

from proxy.controlplane import page, show
from proxy.controlplane.answers import REPORTS, answer
from proxy.controlplane.balances import Balances
from proxy.controlplane.door import NotDone
from proxy.controlplane.fleet import Standing, add_silence
from proxy.controlplane.metrics import Metrics
from proxy.controlplane.reports import BadQuestion, Report
from proxy.controlplane.samples import SampleReceiver
from proxy.controlplane.store import Keeper, QueryTooLong, StoreAway
from proxy.hosts import make_check

_FRESH_S = 5.0
_MOST_BODY_BYTES = 65536
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
}
_ON_PAGE = (
    ("Budgets", "budgets", {"last": "10"}),
    ("Agents of the last 24 hours", "agents", {"since": "24h"}),
    ("The newest calls", "calls", {"last": "10"}),
)
_MOST_ROWS = 10


class Admin:
    """Answers for the admin port."""

    def __init__(
        self,
        keeper: Keeper,
        catch_up: Callable[[], None],
        metrics: Metrics,
        balances: Balances,
        receiver: SampleReceiver,
        threads: Executor,
        clock_ns: Callable[[], int] = time.time_ns,
        parts: Sequence[Callable[[web.Application], None]] = (),
        may_name: Callable[[str | None], bool] | None = None,
        list_alerts: Callable[[], Report] | None = None,
        find_agent: Callable[[str], Standing | None] | None = None,
    ) -> None:
        self._find_agent = find_agent  # how an agent stands
        self._list_alerts = list_alerts
        self._may_name = may_name or make_check("127.0.0.1")
        self._keeper = keeper
        self._catch_up = catch_up
        self._metrics = metrics
        self._balances = balances
        self._receiver = receiver
        self._threads = threads
        self._clock_ns = clock_ns
        self._parts = parts

    def build(self) -> web.Application:
        """The application with its routes."""
        app = web.Application(middlewares=[answer_errors, self.check_names], client_max_size=_MOST_BODY_BYTES)
        app.router.add_get("/", self.show_index)
        app.router.add_get("/healthz", self.tell_health)
        app.router.add_get("/readyz", self.tell_readiness)
        app.router.add_get("/metrics", self.show_metrics)
        for name in REPORTS:
            app.router.add_get(f"/api/{name}", self.answer_report)
        for add_routes in self._parts:
            add_routes(app)
        return app

    @web.middleware
    async def check_names(self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> web.StreamResponse:
        """Refuse whoever calls by a name that is none of ours: most of what is here needs no token, and no web page may read it."""
        if not (self._may_name(request.headers.get("Host")) and self._may_name(request.headers.get("Origin"))):
            raise NotDone(403, "host_unknown", "this is called by another name than it may be; if the name is right, add it to admin.hosts")
        return await handler(request)

    async def tell_health(self, _: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def tell_readiness(self, _: web.Request) -> web.Response:
        age = self._receiver.pulse_age_s
        if age is None or age > _FRESH_S:
            heard = "not heard of yet" if age is None else f"last heard of {age:.0f} s ago"
            return web.json_response({"status": "not ready", "message": f"the data plane was {heard}; see the log of weighbridge serve"}, status=503)
        return web.json_response({"status": "ready", "data_plane": f"heard of {age:.1f} s ago"})

    async def show_metrics(self, request: web.Request) -> web.Response:
        accept = request.headers.get("Accept", "")
        text, kind = await asyncio.get_running_loop().run_in_executor(self._threads, self._metrics.scrape, accept)
        return web.Response(body=text, headers={"Content-Type": kind})

    async def answer_report(self, request: web.Request) -> web.Response:
        """`/api/report`, `/api/calls`, `/api/budgets` and so on; `format=csv` or `json`."""
        asked = dict(request.query)
        form = asked.get("format", "json")
        if form not in ("json", "csv"):
            raise BadQuestion("format is json or csv")
        body = await asyncio.get_running_loop().run_in_executor(self._threads, self._make, request.path.rpartition("/")[2], asked, form)
        return web.Response(body=body, headers={"Content-Type": "text/csv; charset=utf-8" if form == "csv" else "application/json"})

    def _make(self, name: str, asked: dict[str, str], form: str) -> bytes:
        self._catch_up()
        made = self._answer(name, asked)
        return show.write_csv(made).encode() if form == "csv" else msgspec.json.encode(show.build_json(made))

    def _answer(self, name: str, asked: dict[str, str]) -> Report:
        def query(sql: str, values: Sequence[Any]) -> tuple[list[str], list[tuple]]:
            return self._keeper.store.query(sql, values)  # whoever asks nothing needs no database

        made = answer(query, name, asked, self._clock_ns(), self._balances.read)
        if name == "agents" and self._find_agent is not None:
            return add_silence(made, self._find_agent, self._clock_ns())
        return made

    async def show_index(self, _: web.Request) -> web.Response:
        parts = await asyncio.get_running_loop().run_in_executor(self._threads, self._make_parts)
        text = page.write_page(self._receiver.pulse, self._receiver.pulse_age_s, _FRESH_S, parts)
        return web.Response(text=text, content_type="text/html")

    def _make_parts(self) -> list[tuple[str, Report | str]]:
        """What the page shows of the alerts and of the database, or why it cannot."""
        parts: list[tuple[str, Report | str]] = []
        if self._list_alerts is not None and (alerts := self._list_alerts()).rows:
            parts.append(("What is wrong now", msgspec.structs.replace(alerts, rows=alerts.rows[:_MOST_ROWS])))
        for title, name, asked in _ON_PAGE:
            try:
                made = self._answer(name, dict(asked))
                if made.rows or name != "budgets":  # without a budget there is nothing to say of any
                    parts.append((title, msgspec.structs.replace(made, rows=made.rows[:_MOST_ROWS])))
            except (StoreAway, QueryTooLong) as error:
                parts.append((title, str(error)))
            except duckdb.Error as error:
                parts.append((title, _describe(error)))
        return parts


@web.middleware
async def answer_errors(request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> web.StreamResponse:
    """Errors as JSON that says what to do; the same headers on every answer."""
    try:
        response = await handler(request)
    except BadQuestion as error:
        response = web.json_response({"error": "bad_question", "message": str(error)}, status=400)
    except NotDone as error:
        response = web.json_response({"error": error.name, "message": str(error), **error.facts}, status=error.status, headers=error.headers)
    except StoreAway as error:
        response = web.json_response({"error": "database_away", "message": str(error)}, status=503, headers={"Retry-After": "2"})
    except QueryTooLong as error:
        response = web.json_response({"error": "too_long", "message": str(error)}, status=504)
    except duckdb.Error as error:
        response = web.json_response({"error": "database_failed", "message": _describe(error)}, status=503, headers={"Retry-After": "5"})
    except web.HTTPNotFound:
        response = web.json_response({"error": "not_found", "message": "there is nothing here; / lists what there is"}, status=404)
    except web.HTTPMethodNotAllowed as error:
        allowed = ", ".join(sorted(error.allowed_methods))
        message = f"what is here is reached with {allowed}"
        response = web.json_response({"error": "method_not_allowed", "message": message}, status=405, headers={"Allow": allowed})
    except web.HTTPRequestEntityTooLarge:
        response = web.json_response({"error": "too_large", "message": f"a body has at most {_MOST_BODY_BYTES} bytes"}, status=413)
    response.headers.update(_HEADERS)
    return response


def _describe(error: duckdb.Error) -> str:
    return f"the database failed ({type(error).__name__}); if it is broken it is made again by itself, try again in a moment"
