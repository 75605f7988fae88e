"""OpenAI's Realtime over a WebSocket, with text.

Source: https://platform.openai.com/docs/api-reference/realtime-server-events.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import msgspec
from aiohttp import WSMsgType, web

from proxy.demo.exchange import Exchange, Wrong, serve
from proxy.demo.openai import OPENAI
from proxy.demo.prose import split_text
from proxy.demo.turn import Turn, answer, join_text

_DIALECT = msgspec.structs.replace(OPENAI, model_of=lambda request, document: request.query.get("model"))


class Conversation:
    """One session: what has been said, and the numbers of its events."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.model = exchange.request.query.get("model", "")
        self.said: list[str] = []
        self._number = 0

    def event(self, kind: str, **fields: Any) -> dict[str, Any]:
        self._number += 1
        return {"type": kind, "event_id": self.exchange.make_id("event_", 21, variant=str(self._number)), **fields}

    def session(self) -> dict[str, Any]:
        name = self.exchange.make_id("sess_", 21)
        return {"type": "realtime", "object": "realtime.session", "id": name, "model": self.model, "output_modalities": ["text"]}

    def take(self, message: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """The events that answer a client's event."""
        kind = message.get("type")
        if kind == "session.update":
            yield self.event("session.updated", session={**self.session(), **(message.get("session") or {})})
        elif kind == "conversation.item.create":
            self.said.append(join_text((message.get("item") or {}).get("content")))
            item = {"id": self.exchange.make_id("item_", 21, variant=f"in {len(self.said)}"), "object": "realtime.item", "status": "completed"}
            yield self.event("conversation.item.added", previous_item_id=None, item={**message["item"], **item})
        elif kind == "response.create":
            yield from self._respond()
        else:
            error = {"type": "invalid_request_error", "code": "invalid_value", "message": f"Invalid value: '{kind}'.", "param": "type"}
            yield self.event("error", error={**error, "event_id": message.get("event_id")})

    def _respond(self) -> Iterator[dict[str, Any]]:
        prompt = "\n".join(self.said)
        reply = answer(Turn(model=self.model, prompt=prompt, last=self.said[-1] if self.said else "", fault=self.exchange.fault))
        variant = str(self._number)
        begun = {"object": "realtime.response", "id": self.exchange.make_id("resp_", 21, variant=variant), "status": "in_progress", "output": []}
        item = {"id": self.exchange.make_id("item_", 21, variant=variant), "object": "realtime.item", "type": "message", "role": "assistant"}
        where = {"response_id": begun["id"], "item_id": item["id"], "output_index": 0, "content_index": 0}
        yield self.event("response.created", response={**begun, "usage": None})
        yield self.event("response.output_item.added", response_id=begun["id"], output_index=0, item={**item, "status": "in_progress", "content": []})
        for piece in split_text(reply.text):
            yield self.event("response.output_text.delta", **where, delta=piece)
        yield self.event("response.output_text.done", **where, text=reply.text)
        done = {**item, "status": "completed", "content": [{"type": "output_text", "text": reply.text}]}
        yield self.event("response.output_item.done", response_id=begun["id"], output_index=0, item=done)
        details = {"text_tokens": reply.input_tokens, "audio_tokens": 0, "image_tokens": 0, "cached_tokens": 0}
        usage = {"total_tokens": reply.input_tokens + reply.output_tokens, "input_tokens": reply.input_tokens, "output_tokens": reply.output_tokens}
        usage |= {"input_token_details": details, "output_token_details": {"text_tokens": reply.output_tokens, "audio_tokens": 0}}
        yield self.event("response.done", response={**begun, "status": "completed", "status_details": None, "output": [done], "usage": usage})
        limits = [{"name": "tokens", "limit": 40_000, "remaining": 40_000 - usage["total_tokens"], "reset_seconds": 0.3}]
        yield self.event("rate_limits.updated", rate_limits=limits)


async def answer_realtime(exchange: Exchange) -> web.StreamResponse:
    """`GET /v1/realtime?model=…`, upgraded to a WebSocket."""
    if not exchange.request.query.get("model"):
        raise Wrong(400, "You must provide a model parameter.", code="missing_model")
    socket = web.WebSocketResponse(protocols=["realtime"])
    if not socket.can_prepare(exchange.request).ok:
        raise Wrong(400, "Expected an upgrade to a WebSocket.")
    exchange.started = True
    await socket.prepare(exchange.request)
    conversation = Conversation(exchange)
    await _say(socket, conversation.event("session.created", session=conversation.session()))
    async for message in socket:
        if message.type != WSMsgType.TEXT:
            continue
        for number, event in enumerate(conversation.take(json.loads(message.data))):
            await asyncio.sleep(exchange.fault.chunk_delay_ms / 1000 if number else 0)
            if number == exchange.fault.after and await exchange.go_wrong():
                return socket
            await _say(socket, event)
    return socket


async def _say(socket: web.WebSocketResponse, event: dict[str, Any]) -> None:
    await socket.send_str(msgspec.json.encode(event).decode())


def add_routes(app: web.Application) -> None:
    app.router.add_get("/v1/realtime", serve(_DIALECT, answer_realtime))
