"""What calls are charged, however they end: errors, hang-ups, orders, tasks, and a crash."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path

import pytest

from proxy.errors import Refusal
from proxy.orders import Order, Orders, TaskBudget, write_orders
from proxy.rules import Budget
from tests.dataplane.conftest import Exchange, Site, open_site, post
from tests.dataplane.paying import CHAT, COST, PRICES, Provider, Run, answer, ask, hold, send


def test_an_error_of_the_provider_costs_a_call_and_no_money(run: Run, tmp_path: Path) -> None:
    async def refuse(exchange: Exchange) -> None:
        await exchange.read_request()
        await exchange.reply(b'{"error": {"message": "no"}}', status=b"500 Internal Server Error")

    async def script(site: Site) -> None:
        await site.ask(post(CHAT, ask()))
        assert (await site.record())["charged"] == {"all.usd@": 0, "all.calls@": 1}

    hold(run, tmp_path, refuse, script, Budget("all", usd=1, calls=5))


def test_what_was_never_sent_costs_nothing(run: Run, tmp_path: Path) -> None:
    async def script(site: Site) -> None:
        async def fail() -> None:
            raise Refusal("upstream_unreachable", "no")

        site.plane.traffic.pools["up"].take = fail
        await site.ask(post(CHAT, ask()))
        record = await site.record()
        assert (record["outcome"], record["charged"]) == ("upstream_unreachable", {"all.usd@": 0, "all.calls@": 0})

    hold(run, tmp_path, Provider(), script, Budget("all", usd=1, calls=5))


def test_a_caller_that_leaves_pays_for_what_was_sent(run: Run, tmp_path: Path) -> None:
    got = asyncio.Event()

    async def stay_silent(exchange: Exchange) -> None:
        await exchange.read_request()
        got.set()
        await exchange.reader.read()

    async def script(site: Site) -> None:
        reader, writer = await site.connect()
        writer.write(post(CHAT, ask()))
        await got.wait()
        writer.close()
        record = await site.record()
        assert record["outcome"] == "caller_gone" and record["usage_source"] == "raised"
        assert 0 < record["charged"]["all.usd@"] == record["cost_nano_usd"] < record["reserved_nano_usd"]
        assert record["charged"]["all.calls@"] == 1

    hold(run, tmp_path, stay_silent, script, Budget("all", usd=1, calls=5))


def test_orders_hold_at_once_and_end_what_runs(run: Run, tmp_path: Path) -> None:
    got = asyncio.Event()

    async def trickle(exchange: Exchange) -> None:
        await exchange.read_request()
        await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n5\r\ndata:\r\n")
        got.set()
        await exchange.reader.read()

    async def script(site: Site) -> None:
        reader, writer = await site.connect()
        writer.write(post(CHAT, ask(stream=True)))
        await got.wait()
        await reader.readuntil(b"data:")
        orders = [Order(verb="kill", dimension="agent", value="alice", running=True, reason="loops", by="me", at_ns=10**18)]
        write_orders(tmp_path / "orders.json", Orders(orders=orders))
        site.plane.look()
        rest = await reader.read()
        assert not rest.endswith(b"0\r\n\r\n")
        assert (await site.record())["outcome"] == "policy_killed"
        status, fields, body = await send(site, ask())
        assert (status, fields["x-weighbridge-error"], fields["x-should-retry"]) == (403, "policy_killed", "false")
        assert "alice was ended by me at 2001-09-09T01:46:40Z: loops" in body["error"]["message"]
        write_orders(tmp_path / "orders.json", Orders())
        site.plane.look()
        writer.close()
        assert b"200 OK" in await site.ask(b"GET /healthz HTTP/1.1\r\nHost: p\r\nConnection: close\r\n\r\n")

    hold(run, tmp_path, trickle, script)


def test_a_task_with_a_budget_of_its_own(run: Run, tmp_path: Path) -> None:
    async def script(site: Site) -> None:
        write_orders(tmp_path / "orders.json", Orders(tasks={"t-1": TaskBudget(calls=1)}))
        site.plane.look()
        assert [(await send(site, ask()))[0] for _ in range(2)] == [200, 402]
        assert (await send(site, ask(), CHAT.replace("t-1", "t-2")))[0] == 200

    hold(run, tmp_path, Provider(), script)


def test_what_was_spent_outlives_the_process_and_what_was_reserved_is_presumed_spent(run: Run, tmp_path: Path) -> None:
    got = asyncio.Event()

    async def second_is_silent(exchange: Exchange) -> None:
        await exchange.read_request()
        if got.is_set():
            shutil.copytree(tmp_path / "a" / "journal", tmp_path / "b" / "journal")  # as a crash in this moment would leave it
            await exchange.reader.read()
        got.set()
        await exchange.reply(answer(40, 60))

    async def first(site: Site) -> None:
        await send(site, ask())
        _, writer = await site.connect()
        writer.write(post(CHAT, ask()))
        async with asyncio.timeout(5):
            while not (tmp_path / "b" / "journal").exists():
                await asyncio.sleep(0.005)
        writer.close()

    async def second(site: Site) -> None:
        reserved = json.loads((tmp_path / "a" / "reserved").read_text())
        (balance,) = site.plane._ledger.balances(10**18)
        assert (balance.spent, balance.reserved) == (COST + reserved, 0)
        status, _, body = await send(site, ask(most=400))
        assert (status, body["error"]["weighbridge"]["spent"]) == (402, balance.spent / 1e9)

    async def go() -> None:
        budget = Budget("all", usd=0.002)
        async with open_site(tmp_path / "a", second_is_silent, budgets=[budget], prices=PRICES) as site:
            await first(site)
            (tmp_path / "a" / "reserved").write_text(str(site.events("opened")[1]["reserved_nano_usd"]))
        async with open_site(tmp_path / "b", Provider(), budgets=[budget], prices=PRICES) as site:
            await second(site)

    run(go())


@pytest.mark.parametrize("method", [b"POST", b"GET"])
def test_what_asks_for_a_socket_with_a_body_is_an_ordinary_call_framed_and_paid(run: Run, tmp_path: Path, method: bytes) -> None:
    provider = Provider()
    inner = b'{"a": 1}'

    async def script(site: Site) -> None:
        asked = post(CHAT, ask(), b"Upgrade: websocket\r\n", b"Upgrade, close")
        assert b" 200 " in await site.ask(asked)
        assert (await site.record())["charged"]["all.usd@"] == COST
        asked = post("/up/v1/else", inner, b"Upgrade: websocket\r\n", b"Upgrade, close").replace(b"POST", method, 1)
        await site.ask(asked)
        assert len(provider.heads) == 2 and provider.heads[1].startswith(method + b" /v1/else ")
        assert b"\r\nContent-Length: %d\r\n" % len(inner) in provider.heads[1] and b"pgrade" not in provider.heads[1]

    hold(run, tmp_path, provider, script, Budget("all", usd=1, unpriced="allow"))
