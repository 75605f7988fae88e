"""Realtime over a WebSocket."""

from __future__ import annotations

import asyncio

import aiohttp

from tests.demo.client import Client


def converse(provider: Client, *messages: dict) -> list[dict]:
    async def talk() -> list[dict]:
        heard = []
        headers = {"x-demo-chunk-delay-ms": "0"}
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(provider.url + "/v1/realtime?model=gpt-realtime", headers=headers) as socket,
        ):
            for message in messages:
                await socket.send_json(message)
            async for event in socket:
                heard.append(event.json())
                if heard[-1]["type"] in ("response.done", "error"):
                    break
        return heard

    return asyncio.run(talk())


def test_a_question_is_answered_with_usage(provider: Client) -> None:
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Which invoices?"}]}
    heard = converse(
        provider, {"type": "session.update", "session": {}}, {"type": "conversation.item.create", "item": item}, {"type": "response.create"}
    )
    assert [event["type"] for event in heard[:4]] == ["session.created", "session.updated", "conversation.item.added", "response.created"]
    said = "".join(event["delta"] for event in heard if event["type"] == "response.output_text.delta")
    done = heard[-1]["response"]
    assert done["output"][0]["content"][0]["text"] == said and done["usage"]["output_tokens"] > 0
    assert len({event["event_id"] for event in heard}) == len(heard)


def test_unknown_events_and_missing_models(provider: Client) -> None:
    assert converse(provider, {"type": "nonsense"})[-1]["error"]["param"] == "type"
    assert provider.ask("/v1/realtime").status == provider.ask("/v1/realtime?model=m").status == 400
