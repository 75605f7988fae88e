"""A scripted provider that answers with a usage, and a client that asks through a data plane with budgets."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path

from proxy.config import Price
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
