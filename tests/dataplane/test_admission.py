"""Admission, through real sockets: what is refused, capped, downgraded, observed and settled, before a scripted provider."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from proxy.config import Price
from proxy.errors import Refusal
from proxy.orders import Order, Orders, TaskBudget, write_orders
from proxy.rules import Budget
from tests.dataplane.conftest import Exchange, Site, open_site, post

Run = Callable[[Awaitable[None]], None]
PRICES = [Price("m", 2.0, 10.0), Price("cheap", 0.2, 1.0), Price("free", 0, 0)]
CHAT = "/a/alice/t/t-1/up/v1/chat/completions"


def ask(model: str = "m", most: int | None = 100, **more: object) -> bytes:
    body = {"model": model, "messages": [{"role": "user", "content": "x" * 100}], **more}
    return json.dumps(body if most is None else {**body, "max_tokens": most}).encode()


def answer(input_tokens: int, output_tokens: int, model: str = "m") -> bytes:
    usage = {"prompt_tokens": input_tokens, "completion_tokens": output_tokens, "total_tokens": input_tokens + output_tokens}
    choice = {"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}
    return json.dumps({"id": "r", "model": model, "choices": [choice], "usage": usage}).encode()


class Provider:
    """Answers every request with the same usage, and keeps what it got."""

    def __init__(self, input_tokens: int = 40, output_tokens: int = 60) -> None:
        self.got: list[dict] = []
        self.heads: list[bytes] = []
        self.usage = (input_tokens, output_tokens)

    async def __call__(self, exchange: Exchange) -> None:
        while True:
            self.heads.append(await exchange.read_request())
            self.got.append(json.loads(exchange.body or b"{}"))
            await exchange.reply(answer(*self.usage, self.got[-1].get("model", "m")))


async def send(site: Site, body: bytes, path: str = CHAT, headers: bytes = b"") -> tuple[int, dict[str, str], dict]:
    raw = await site.ask(post(path, body, headers))
    head, _, content = raw.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    fields = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    return int(first.split()[1]), fields, json.loads(content)


def hold(run: Run, tmp_path: Path, provider: Provider, script: Callable[[Site], Awaitable[None]], *budgets: Budget, **settings: object) -> None:
    async def go() -> None:
        async with open_site(tmp_path, provider, budgets=list(budgets), prices=PRICES, **settings) as site:
            await script(site)

    run(go())


COST = 40 * 2000 + 60 * 10000  # nano-USD of one answer


def test_a_call_is_reserved_before_it_goes_and_charged_when_it_ends(run: Run, tmp_path: Path) -> None:
    async def script(site: Site) -> None:
        status, fields, _ = await send(site, ask())
        record = await site.record()
        (opened,) = site.events("opened")
        assert status == 200 and "x-weighbridge-budget" not in fields
        assert opened["reserved"].keys() == {"all.usd@", "all.tokens@", "all.calls@"}
        assert opened["reserved_nano_usd"] == record["reserved_nano_usd"] == opened["reserved"]["all.usd@"] > COST
        assert record["charged"] == {"all.usd@": COST, "all.tokens@": 100, "all.calls@": 1}
        assert record["cost_nano_usd"] == COST

    hold(run, tmp_path, Provider(), script, Budget("all", usd=1, tokens=10**6, calls=10))


def test_a_used_up_budget_refuses_for_good_and_the_provider_hears_nothing(run: Run, tmp_path: Path) -> None:
    provider = Provider()

    async def script(site: Site) -> None:
        assert [(await send(site, ask()))[0] for _ in range(2)] == [200, 200]
        status, fields, body = await send(site, ask())
        assert (status, fields["x-weighbridge-error"], fields["x-should-retry"]) == (402, "policy_budget_exhausted", "false")
        facts = body["error"]["weighbridge"]
        assert (facts["budget"], facts["scope"], facts["unit"]) == ("each", {"agent": "alice"}, "calls")
        assert (facts["limit"], facts["spent"], facts["reserved"], facts["asked"]) == (2, 2, 0, 1)
        record = await site.record(3)
        assert (record["outcome"], record["act"], record["budget"], record["cost_nano_usd"]) == ("policy_budget_exhausted", "refused", "each", 0)
        assert "charged" not in record
        assert (await send(site, ask(), CHAT.replace("alice", "bob")))[0] == 200
        assert len(provider.got) == 3

    hold(run, tmp_path, provider, script, Budget("each", calls=2, each=["agent"]))


def test_what_is_left_is_useful_so_the_answer_is_capped(run: Run, tmp_path: Path) -> None:
    provider = Provider(output_tokens=20)

    async def script(site: Site) -> None:
        status, fields, _ = await send(site, ask(most=5000, user="u"))
        most = int(fields["x-weighbridge-max-tokens"])
        assert status == 200 and 64 <= most < 1000
        assert provider.got[0] == {**json.loads(ask(user="u")), "max_tokens": most}
        record = await site.record()
        assert (record["act"], record["budget"], record["capped_tokens"], record["max_output_tokens"]) == ("clamped", "all", most, most)
        assert record["reserved_nano_usd"] <= 10_000_000
        assert record["reserved_nano_usd"] > 9_980_000  # all that is left is put to use

    hold(run, tmp_path, provider, script, Budget("all", usd=0.01))


def test_a_rest_too_small_to_be_of_use_is_refused_with_what_would_fit(run: Run, tmp_path: Path) -> None:
    async def script(site: Site) -> None:
        status, _, body = await send(site, ask(most=5000))
        assert status == 402 and body["error"]["code"] == "policy_call_too_costly"
        affordable = body["error"]["weighbridge"]["affordable_max_tokens"]
        assert 0 < affordable < 64
        assert (await send(site, ask(most=affordable)))[0] == 200

    hold(run, tmp_path, Provider(output_tokens=10), script, Budget("all", usd=0.0006))


def test_a_request_without_a_maximum_reserves_the_default(run: Run, tmp_path: Path) -> None:
    async def script(site: Site) -> None:
        await send(site, ask(most=None))
        (opened,) = site.events("opened")
        assert 16384 * 10_000 < opened["reserved_nano_usd"] < 16500 * 10_000

    provider = Provider()
    hold(run, tmp_path, provider, script, Budget("all", usd=1))
    assert "max_tokens" not in provider.got[0]


def test_strict_writes_the_maximum_and_reserves_every_byte(run: Run, tmp_path: Path) -> None:
    provider = Provider()

    async def script(site: Site) -> None:
        status, fields, _ = await send(site, ask(most=None))
        assert (status, fields["x-weighbridge-max-tokens"], provider.got[0]["max_tokens"]) == (200, "16384", 16384)
        (opened,) = site.events("opened")
        assert opened["reserved_nano_usd"] >= 16384 * 10_000 + len(ask(most=None)) * 2000
        status, _, body = await send(site, ask(messages=[{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "http://h/x.png"}}]}]))
        assert (status, body["error"]["code"]) == (403, "policy_call_unbounded")
        assert "image_url" in body["error"]["weighbridge"]["classes"]

    hold(run, tmp_path, provider, script, Budget("all", usd=1, mode="strict"))


def test_unbounded_calls_under_strict_reserve_what_the_operator_says(run: Run, tmp_path: Path) -> None:
    picture = {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "http://h/x.png"}}]}]}

    async def script(site: Site) -> None:
        assert (await send(site, ask(**picture)))[0] == 200
        assert site.events("opened")[0]["reserved_nano_usd"] == 500_000_000

    hold(run, tmp_path, Provider(), script, Budget("all", usd=1, mode="strict", unbounded_usd=0.5))


def test_downgrade_asks_the_cheaper_model(run: Run, tmp_path: Path) -> None:
    provider = Provider()

    async def script(site: Site) -> None:
        await send(site, ask())
        status, fields, _ = await send(site, ask())
        assert (status, fields["x-weighbridge-model-asked"]) == (200, "m")
        assert [each["model"] for each in provider.got] == ["m", "cheap"]
        record = await site.record(2)
        assert (record["act"], record["budget"], record["model_asked"], record["model"]) == ("downgraded", "soft", "m", "cheap")
        assert record["cost_nano_usd"] == COST // 10
        assert (await send(site, ask("free")))[0] == 200  # costs nothing: nothing is asked of the budget
        assert (await send(site, ask("cheap", most=2000)))[0] == 402  # none cheaper is named

    hold(run, tmp_path, provider, script, Budget("soft", usd=0.0012, mode="downgrade", downgrade={"m": "cheap"}))


@pytest.mark.parametrize(("mode", "act"), [("observe", "observed"), ("warn", "observed")])
def test_soft_budgets_refuse_nothing(run: Run, tmp_path: Path, mode: str, act: str) -> None:
    async def script(site: Site) -> None:
        answers = [await send(site, ask()) for _ in range(3)]
        assert [status for status, _, _ in answers] == [200, 200, 200]
        assert answers[2][1].get("x-weighbridge-budget") == ("all 100%" if mode == "warn" else None)
        record = await site.record(3)
        assert (record["act"], record["budget"]) == (act, "all")

    hold(run, tmp_path, Provider(), script, Budget("all", calls=1, mode=mode))


@pytest.mark.parametrize(("unpriced", "status"), [("refuse", 403), ("allow", 200)])
def test_calls_without_a_price(run: Run, tmp_path: Path, unpriced: str, status: int) -> None:
    async def script(site: Site) -> None:
        got, _, body = await send(site, ask("nobody-knows"))
        assert got == status
        if got == 403:
            assert body["error"]["code"] == "policy_call_unpriced"
            assert (await site.record())["act"] == "refused"

    hold(run, tmp_path, Provider(), script, Budget("all", usd=1, unpriced=unpriced))


def test_what_costs_nothing_passes_a_used_up_budget(run: Run, tmp_path: Path) -> None:
    async def script(site: Site) -> None:
        assert (await send(site, ask()))[0] == 402
        assert (await site.ask(b"GET /up/v1/models HTTP/1.1\r\nHost: p\r\nConnection: close\r\n\r\n")).startswith(b"HTTP/1.1 200")

    hold(run, tmp_path, Provider(), script, Budget("none", calls=0))


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
