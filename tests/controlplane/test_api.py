"""The admin port over real HTTP."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import socket
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import msgspec
from aiohttp import web

from proxy.config import Config
from proxy.controlplane.api import Admin
from proxy.controlplane.balances import Balances
from proxy.controlplane.metrics import Metrics
from proxy.controlplane.samples import SampleReceiver
from proxy.controlplane.store import Keeper, Loaded
from proxy.pulse import Pulse
from proxy.rules import Budget
from tests.controlplane.conftest import START_NS, call

NOW_NS = START_NS + 10**12
PULSE = b"P" + msgspec.msgpack.encode(Pulse(**{field.name: 7 for field in msgspec.structs.fields(Pulse) if field.required}))


@asynccontextmanager
async def serve(tmp_path: Path, opened: bool = True, budgets: bool = False) -> AsyncIterator[tuple[Callable, Keeper, SampleReceiver]]:
    """(get(path) → (status, headers, text), keeper, receiver)."""
    tmp_path.mkdir(exist_ok=True)
    keeper = Keeper(tmp_path / "db", lambda _: True)
    if opened:
        store = keeper.open()
        calls = [call(number, agent=f"<b>{number % 2}</b>", cost_nano_usd=None if number == 3 else 1_000_000) for number in range(4)]
        store.load(Loaded(rows={"calls": [one[8:-2] for one in calls]}))
    with socket.socket() as unused:
        receiver = SampleReceiver(unused)
    threads = ThreadPoolExecutor(2)
    config = Config(state_dir=str(tmp_path), budgets=[Budget("each", calls=10, each=["agent"])] if budgets else [])
    config.journal_dir.mkdir()
    if budgets:
        (config.journal_dir / f"{START_NS:020d}-d1.ndjson").write_bytes(call(9, charged={"each.calls@?agent=%3Cb%3E1%3C%2Fb%3E": 4}))
    admin = Admin(keeper, lambda: None, Metrics([]), Balances(config, lambda: NOW_NS), receiver, threads, lambda: NOW_NS)
    runner = web.AppRunner(admin.build(), access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    base = f"http://127.0.0.1:{runner.addresses[0][1]}"
    async with aiohttp.ClientSession() as session:

        async def get(path: str, method: str = "GET", headers: dict[str, str] | None = None) -> tuple[int, dict, str]:
            async with session.request(method, base + path, headers=headers) as response:
                return response.status, dict(response.headers), await response.text()

        yield get, keeper, receiver
    await runner.cleanup()
    threads.shutdown()
    keeper.close()


def test_reports_are_json_or_csv(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serve(tmp_path) as (get, _, _):
            status, headers, text = await get("/api/report?by=agent&since=1h")
            rows = msgspec.json.decode(text)["rows"]
            assert (status, headers["Content-Type"], len(rows)) == (200, "application/json", 2)
            assert [(row["agent"], row["cost_usd"], row["unpriced"]) for row in rows] == [("<b>0</b>", "0.002", 0), ("<b>1</b>", "0.001", 1)]
            status, headers, text = await get("/api/calls?last=2&format=csv")
            assert (status, headers["Content-Type"]) == (200, "text/csv; charset=utf-8")
            assert [row["id"] for row in csv.DictReader(io.StringIO(text))] == ["call-3", "call-2"]
            for name in ("agents", "unpriced"):
                assert msgspec.json.decode((await get(f"/api/{name}"))[2])["rows"]
            assert msgspec.json.decode((await get("/api/calls?agent=%3Cb%3E1%3C/b%3E"))[2])["rows"][0]["id"] == "call-3"

    asyncio.run(scenario())


def test_budgets_are_shown_with_and_without_a_database_and_on_the_page(tmp_path: Path) -> None:
    async def scenario() -> None:
        for opened in (False, True):
            async with serve(tmp_path / str(opened), opened, budgets=True) as (get, _, _):
                status, _, text = await get("/api/budgets?agent=%3Cb%3E1%3C/b%3E")
                (row,) = msgspec.json.decode(text)["rows"]
                assert (status, row["budget"], row["limit_amount"], row["spent_amount"], row["left_amount"]) == (200, "each", 10, 4, 6)
                assert ("the database cannot be asked" in text) is not opened
                assert "<h2>Budgets</h2>" in (await get("/"))[2]
                assert (await get("/api/budgets?since=1h"))[0] == 400
        async with serve(tmp_path / "none") as (get, _, _):
            assert "<h2>Budgets</h2>" not in (await get("/"))[2]

    asyncio.run(scenario())


def test_tasks_are_listed_or_averaged(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serve(tmp_path) as (get, keeper, _):
            keeper.store.load(Loaded(rows={"calls": [call(7, task="t", cost_nano_usd=10)[8:-2]]}))
            table = msgspec.json.decode((await get("/api/tasks?last=5"))[2])
            assert [(row["task"], row["cost_usd"]) for row in table["rows"]] == [("t", "0.00000001")] and "1 with calls" in table["note"]
            table = msgspec.json.decode((await get("/api/tasks?by=agent"))[2])
            assert (table["report"], table["rows"][0]["cost_per_task_nano_usd"]) == ("task_costs", 10)

    asyncio.run(scenario())


def test_a_wrong_question_says_what_to_ask(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serve(tmp_path) as (get, _, _):
            for path, hint in (
                ("/api/report?by=colour", "choose from agent"),
                ("/api/report?since=yesterday", "24h"),
                ("/api/calls?last=0", "1 to"),
                ("/api/calls?last=many", "a number"),
                ("/api/report?format=xml", "json or csv"),
                ("/api/report?sql=SELECT+1", "choose from agent"),
            ):
                status, headers, text = await get(path)
                assert status == 400 and hint in msgspec.json.decode(text)["message"] and "nosniff" in headers["X-Content-Type-Options"]
            assert (await get("/nothing"))[0] == 404
            assert (await get("/api/report", "POST"))[0] == 405

    asyncio.run(scenario())


def test_health_and_metrics_need_no_database_and_reports_say_why_they_wait(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serve(tmp_path, opened=False) as (get, _, receiver):
            assert (await get("/healthz"))[0] == 200
            assert (await get("/readyz"))[0] == 503
            receiver.take(PULSE)
            assert (await get("/readyz"))[0] == 200
            status, headers, text = await get("/metrics")
            assert status == 200 and "weighbridge_build_info" in text and headers["Content-Type"].startswith("text/plain; version=0.0.4")
            status, headers, text = await get("/api/report")
            assert status == 503 and "try again" in msgspec.json.decode(text)["message"] and headers["Retry-After"]

    asyncio.run(scenario())


def test_the_page_lists_what_there_is_and_runs_nothing(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serve(tmp_path) as (get, _, _):
            _, headers, text = await get("/")
            assert "default-src 'none'" in headers["Content-Security-Policy"] and "<script" not in text
            for path in (
                "/api/report",
                "/api/calls",
                "/api/agents",
                "/api/unpriced",
                "/api/budgets",
                "/api/tasks",
                "/metrics",
                "/healthz",
                "/readyz",
            ):
                assert f'href="{path}' in text
                assert (await get(path))[0] in (200, 503)
            assert "&lt;b&gt;1&lt;/b&gt;" in text and "<b>" not in text

    asyncio.run(scenario())


def test_the_page_is_there_without_a_database(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serve(tmp_path, opened=False) as (get, _, _):
            status, _, text = await get("/")
            assert status == 200 and "try again" in text

    asyncio.run(scenario())


def test_no_page_reads_it_by_a_name_of_its_own(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serve(tmp_path) as (get, _, _):
            for path in ("/", "/metrics", "/api/calls", "/nothing"):
                for headers in ({"Host": "page.example.com"}, {"Origin": "https://page.example.com"}):
                    status, answered, text = await get(path, headers=headers)
                    assert (status, json.loads(text)["error"]) == (403, "host_unknown") and answered["X-Content-Type-Options"] == "nosniff"
            assert (await get("/metrics", headers={"Host": "weighbridge:8788"}))[0] == 200

    asyncio.run(scenario())
