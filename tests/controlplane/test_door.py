"""The admin port's door over real HTTP: who may change something, and what is said to those who may not."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
from aiohttp import web

from proxy.controlplane.api import answer_errors
from proxy.controlplane.changes import list_keys, list_orders, make_changes
from proxy.controlplane.door import Door, add_list
from proxy.orders import Orders, read_orders
from tests.controlplane.test_desk import Room

TOKEN = "0123456789abcdef" * 4
GOOD = {"Authorization": f"Bearer {TOKEN}"}


@asynccontextmanager
async def serve(room: Room) -> AsyncIterator[Callable]:
    """ask(method, path, body, headers) → (status, headers, text)."""
    thread = ThreadPoolExecutor(1)
    app = web.Application(middlewares=[answer_errors], client_max_size=65536)
    Door(TOKEN).add(app, thread, make_changes(room.desk))
    add_list(app, thread, "/api/orders", lambda: list_orders(room.desk))
    add_list(app, thread, "/api/keys", lambda: list_keys(room.desk))
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    base = f"http://127.0.0.1:{runner.addresses[0][1]}"
    async with aiohttp.ClientSession() as session:

        async def ask(method: str, path: str, body: object = None, headers: dict | None = GOOD) -> tuple[int, dict, str]:
            data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
            async with session.request(method, base + path, data=data, headers=headers) as response:
                return response.status, dict(response.headers), await response.text()

        yield ask
    await runner.cleanup()
    thread.shutdown()


def test_only_the_token_opens_and_only_for_changes(tmp_path: Path) -> None:
    async def scenario() -> None:
        room = Room(tmp_path)
        async with serve(room) as ask:
            for headers in (None, {"Authorization": "Bearer "}, {"Authorization": f"Bearer {TOKEN[:-1]}0"}, {"Authorization": f"Basic {TOKEN}"}):
                for method, path in (
                    ("POST", "/api/orders"),
                    ("POST", "/api/keys"),
                    ("DELETE", "/api/keys/x"),
                    ("POST", "/api/tasks"),
                    ("POST", "/api/tasks/x/close"),
                ):
                    status, answered, text = await ask(method, path, {"verb": "kill"}, headers)
                    assert (status, json.loads(text)["error"], answered["WWW-Authenticate"]) == (401, "token_absent", "Bearer")
            assert not room.path.exists() and room.noted() == []
            assert (await ask("GET", "/api/orders", headers=None))[0] == 200
            status, answered, text = await ask("POST", "/api/orders", {"verb": "pause", "agent": "a"}, {"authorization": f"bearer {TOKEN}"})
            assert (status, answered["X-Content-Type-Options"]) == (200, "nosniff")
            assert (await ask("PUT", "/api/orders"))[0] == 405
            assert (await ask("POST", "/api/orders", b" " * 70_000))[0] == 413

    asyncio.run(scenario())


def test_what_is_given_is_shown_as_json_and_csv(tmp_path: Path) -> None:
    async def scenario() -> None:
        room = Room(tmp_path)
        async with serve(room) as ask:
            await ask("POST", "/api/orders", {"verb": "kill", "task": "t", "reason": "too dear", "by": "jo"})
            (row,) = json.loads((await ask("GET", "/api/orders"))[2])["rows"]
            assert row.items() >= {"order": "kill", "concerns": "task", "name": "t", "running": True, "reason": "too dear", "by": "jo"}.items()
            status, answered, text = await ask("GET", "/api/orders?format=csv", headers=None)
            assert answered["Content-Type"] == "text/csv; charset=utf-8"
            assert text.splitlines()[1].startswith("kill,task,t,true,too dear,jo,1970-01-01T")
            issued = json.loads((await ask("POST", "/api/keys", {"agent": "a", "id": "a key/with"}))[2])
            assert issued["error"] == "bad_question"
            issued = json.loads((await ask("POST", "/api/keys", {"agent": "a", "id": "k", "usd": 2.5, "tags": {"stage": "test"}}))[2])
            text = (await ask("GET", "/api/keys"))[2]
            assert issued["key"] not in text and json.loads(text)["rows"][0]["tags"] == {"stage": "test"}
            assert (await ask("GET", "/api/keys?format=xml"))[0] == 400
            assert (await ask("GET", "/api/keys?agent=a"))[0] == 400

    asyncio.run(scenario())


def test_a_name_in_the_address_may_hold_anything(tmp_path: Path) -> None:
    async def scenario() -> None:
        room = Room(tmp_path)
        async with serve(room) as ask:
            status, _, text = await ask("POST", "/api/tasks/tickets%2F42%20%C3%A4/close", {"outcome": "failed"})
            assert (status, json.loads(text)["task"]) == (200, "tickets/42 ä")
            assert room.noted()[0]["task"]["task"] == "tickets/42 ä"
            assert (await ask("POST", "/api/tasks/%0A/close", {"outcome": "failed"}))[0] == 400

    asyncio.run(scenario())


def test_a_broken_orders_file_is_said_so(tmp_path: Path) -> None:
    async def scenario() -> None:
        room = Room(tmp_path)
        room.path.write_text("{")
        async with serve(room) as ask:
            for method, body in (("GET", None), ("POST", {"verb": "pause"})):
                status, _, text = await ask(method, "/api/orders", body)
                assert (status, json.loads(text)["error"]) == (503, "orders_unreadable")

    asyncio.run(scenario())


def test_a_hundred_orders_at_once_all_hold(tmp_path: Path) -> None:
    async def scenario() -> Orders:
        async with serve(Room(tmp_path)) as ask:
            answers = await asyncio.gather(*(ask("POST", "/api/orders", {"verb": "pause", "agent": f"a-{number}"}) for number in range(100)))
        assert {status for status, _, _ in answers} == {200}
        return read_orders(tmp_path / "orders.json")

    orders = asyncio.run(scenario())
    assert sorted(one.value or "" for one in orders.orders) == sorted(f"a-{number}" for number in range(100))
