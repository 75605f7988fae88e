"""An agent's line counts calls, failures and tokens, in every dialect."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from proxy.demo import provider as demo
from proxy.demo.line import Line, NoWay
from tests.demo.client import Client, running


@pytest.fixture(scope="module")
def behind_prefix() -> Iterator[Client]:
    """A provider below the prefix of the only agent and task, as the proxy offers it."""

    def make() -> web.Application:
        outer = web.Application()
        outer.add_subapp("/a/x/t/y/demo", demo.make_app())
        outer.router.add_route("*", "/a/refused/{rest:.*}", _refuse)
        return outer

    with running(make) as client:
        yield client


async def _refuse(request: web.Request) -> web.Response:
    return web.Response(status=404, text="no demo", headers={"x-weighbridge-error": "caller_unknown_upstream"})


def use(provider: Client, work: Callable[[Line], Awaitable[Any]], agent: str = "x") -> tuple[Any, Line]:
    async def go() -> tuple[Any, Line]:
        async with aiohttp.ClientSession() as session:
            line = Line(session, provider.url, agent, "y")
            return await work(line), line

    return asyncio.run(go())


CHAT = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello"}]}
MESSAGES = {"model": "claude-haiku-4-5", "max_tokens": 100, "stream": True, "messages": [{"role": "user", "content": "Hello"}]}
GEMINI = {"contents": [{"parts": [{"text": "Hello"}]}]}


@pytest.mark.parametrize(
    "work",
    [
        lambda line: line.chat(CHAT),
        lambda line: line.messages(MESSAGES),
        lambda line: line.responses({"model": "gpt-5-mini", "input": "Hello", "stream": True}),
        lambda line: line.gemini("gemini-2.5-flash", GEMINI),
        lambda line: line.gemini("gemini-2.5-flash", GEMINI, stream=True),
    ],
)
def test_every_dialect_gives_its_answer_and_is_counted(behind_prefix: Client, work: Callable) -> None:
    said, line = use(behind_prefix, work)
    assert said and (line.calls, line.failed) == (1, 0) and line.tokens > 20


def test_failures_are_counted_and_give_an_empty_answer(behind_prefix: Client) -> None:
    said, line = use(behind_prefix, lambda line: line.chat(CHAT, fault="status-429"))
    assert said["content"] == "" and (line.calls, line.failed, line.tokens) == (1, 1, 0)
    said, line = use(behind_prefix, lambda line: line.responses({"model": "gpt-5-mini", "input": "x", "stream": True}, fault="cut"))
    assert said is None and line.failed == 1


def test_a_refusal_of_the_proxy_ends_the_work(behind_prefix: Client) -> None:
    with pytest.raises(NoWay, match="refused with 404: no demo"):
        use(behind_prefix, lambda line: line.chat(CHAT), agent="refused")
