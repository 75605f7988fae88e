"""Responses over a WebSocket."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp

from tests.demo.client import Client


def converse(provider: Client, *messages: Any, headers: dict[str, str] | None = None) -> list[list[dict]]:
    """For each message the events up to the one that ends the answer; shorter where the connection ended."""

    async def talk() -> list[list[dict]]:
        heard: list[list[dict]] = []
        sent = {"x-demo-chunk-delay-ms": "0", **(headers or {})}
        async with aiohttp.ClientSession() as session, session.ws_connect(provider.url + "/v1/responses", headers=sent) as socket:
            for message in messages:
                await (socket.send_str(message) if isinstance(message, str) else socket.send_json(message))
                heard.append([])
                async for event in socket:
                    heard[-1].append(event.json())
                    if heard[-1][-1]["type"] in ("response.completed", "error"):
                        break
        return heard

    return asyncio.run(talk())


def create(text: str, **fields: object) -> dict:
    return {"type": "response.create", "model": "gpt-4o-mini", "input": text, **fields}


def test_many_responses_over_one_socket(provider: Client) -> None:
    first, second = converse(provider, create("one invoice"), create("two invoices"))
    assert first[0]["type"] == second[0]["type"] == "response.created"
    assert first[-1]["response"]["id"] != second[-1]["response"]["id"] and first[-1]["response"]["usage"]["output_tokens"] > 0
    assert provider.ask(f"/v1/responses/{second[-1]['response']['id']}").status == 200


def test_a_warm_up_has_no_output(provider: Client) -> None:
    ((*_, done),) = converse(provider, create("", generate=False))
    assert done["response"]["output"] == [] and done["response"]["usage"]["output_tokens"] == 0


def test_wrong_messages_are_answered_with_an_error_and_the_socket_stays(provider: Client) -> None:
    heard = converse(provider, "{", {"type": "nonsense"}, {"type": "response.create"}, create("x", model="gpt-4o-status-429"), create("fine"))
    assert [answer[-1].get("status") for answer in heard[:4]] == [400, 400, 400, 429]
    assert heard[4][-1]["type"] == "response.completed"


def test_faults(provider: Client) -> None:
    ((*_, last),) = converse(provider, create("x", model="gpt-4o-error-in-stream"))
    assert last["type"] == "error"
    ((*events,),) = converse(provider, create("x"), headers={"x-demo-fault": "cut"})
    assert len(events) == 3


def test_without_an_upgrade_it_is_refused(provider: Client) -> None:
    assert provider.ask("/v1/responses").status == 405
