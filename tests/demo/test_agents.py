"""Each agent does its work, and misbehaves in its own way."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import aiohttp
import pytest
from aiohttp import web

from proxy.demo import provider as demo
from proxy.demo.agents import AGENTS
from proxy.demo.line import Line
from tests.demo.client import Client, running

PREFIX = "/a/x/t/{task}/demo"


@pytest.fixture(scope="module")
def any_task() -> Iterator[Client]:
    """A provider that takes the prefix of any task away, as the proxy does."""

    @web.middleware
    async def strip(request: web.Request, handler: object) -> web.StreamResponse:
        bare = request.clone(rel_url="/" + request.raw_path.split("/demo/", 1)[1])
        found = await inner.router.resolve(bare)
        found.add_app(inner)
        bare._match_info = found
        return await found.handler(bare)

    inner = demo.make_app()
    inner.freeze()
    outer = web.Application(middlewares=[strip])
    outer.router.add_route("*", "/a/{rest:.*}", demo._refuse_path)
    with running(lambda: outer) as client:
        yield client


def work(provider: Client, agent: str, tasks: int) -> dict[str, Line]:
    """The lines of the tasks by what the agent said in the end."""

    async def go() -> dict[str, Line]:
        ended = {}
        async with aiohttp.ClientSession(headers={"x-demo-chunk-delay-ms": "0"}) as session:
            for number in range(tasks):
                line = Line(session, provider.url, "x", str(number))
                ended[await AGENTS[agent](line, str(number))] = line
        return ended

    return asyncio.run(go())


def test_the_invoice_reader_reads_then_uses_a_tool(any_task: Client) -> None:
    ((said, line),) = work(any_task, "invoice-reader", 1).items()
    assert "due 2026-03-14" in said and (line.calls, line.failed) == (3, 0)


def test_the_release_notes_take_a_tool_and_a_text(any_task: Client) -> None:
    ((said, line),) = work(any_task, "release-notes", 1).items()
    assert said.endswith(" words") and line.calls == 2 and line.tokens > 1000


def test_the_triage_asks_again_after_a_cut(any_task: Client) -> None:
    ended = work(any_task, "support-triage", 20)
    assert set(ended) == {"sorted", "asked again after a cut"} and ended["asked again after a cut"].failed == 1


def test_the_audit_often_gets_nothing(any_task: Client) -> None:
    ended = work(any_task, "nightly-audit", 20)
    assert set(ended) == {"checked", "empty answer"} and ended["empty answer"].calls == 1


def test_the_scout_goes_round_in_circles(any_task: Client) -> None:
    ended = work(any_task, "web-scout", 3)
    assert set(ended) == {"gave up after 8 equal calls"}
    assert all(line.calls >= 8 for line in ended.values())
