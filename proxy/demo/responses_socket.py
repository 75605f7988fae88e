"""OpenAI's Responses over a WebSocket: each `response.create` is answered with the events of a stream, one response after the other.

Source: https://platform.openai.com/docs/guides/websocket-mode.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

import msgspec
from aiohttp import WSMsgType, web

from proxy.demo.exchange import Exchange, Wrong
from proxy.demo.faults import Fault, split_model, wish
from proxy.demo.openai import write_error
from proxy.demo.responses import error_event, write_response

_MOST_MESSAGE_BYTES = 64 * 1024 * 1024


async def answer_socket(exchange: Exchange) -> web.StreamResponse:
    """`GET /v1/responses` with an upgrade to a WebSocket."""
    socket = web.WebSocketResponse(max_msg_size=_MOST_MESSAGE_BYTES)
    if not socket.can_prepare(exchange.request).ok:
        raise Wrong(405, "Not allowed to GET on /v1/responses. (HINT: Perhaps you meant to make a different type of request.)")
    socket.headers.update(exchange.dialect.write_headers(exchange))
    exchange.started = True
    await socket.prepare(exchange.request)
    number = 0
    async for message in socket:
        if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
            break
        try:
            stored = write_response(exchange, _read_create(exchange, message.data), str(number))
        except Wrong as wrong:
            error = write_error(wrong, exchange)[0]["error"]
            await _say(socket, {"type": "error", "status": wrong.status, "error": error})
            continue
        number += 1
        exchange.desk.keep(stored.document["id"], stored)
        if not await _tell(exchange, socket, stored.events):
            break
    return socket


def _read_create(exchange: Exchange, data: str | bytes) -> dict[str, Any]:
    """The request in a client's frame. Raises `Wrong`."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        raise Wrong(400, "The message is not valid JSON.") from None
    if not isinstance(document, dict) or document.get("type") != "response.create":
        raise Wrong(400, "Expected a message of the type 'response.create'.", param="type")
    inner = document.get("response")
    document = {**document, **(inner if isinstance(inner, dict) else {})}
    if not isinstance(document.get("model"), str):
        raise Wrong(400, "Missing required parameter: 'model'.", code="missing_required_parameter", param="model")
    model, fault = split_model(document["model"])
    if fault:
        exchange.fault = msgspec.structs.replace(exchange.fault, name=fault)
    elif exchange.fault.name and not wish(exchange.request, "fault"):
        exchange.fault = Fault(chunk_delay_ms=exchange.fault.chunk_delay_ms)
    if exchange.fault.status is not None:
        raise Wrong(exchange.fault.status, "")
    return document


async def _tell(exchange: Exchange, socket: web.WebSocketResponse, events: list[dict[str, Any]]) -> bool:
    """Send the events of one response at the pace asked for. False if the connection is no more."""
    for number, event in enumerate(events):
        await asyncio.sleep(exchange.fault.chunk_delay_ms / 1000 if number else exchange.fault.first_byte_delay_ms / 1000)
        if number == exchange.fault.after:
            if exchange.fault.name == "error-in-stream":
                await _say(socket, error_event(exchange))
                return True
            if await exchange.go_wrong():
                return False
        exchange.charge(number / len(events), (number + 1) / len(events))
        await _say(socket, event)
    return True


async def _say(socket: web.WebSocketResponse, event: dict[str, Any]) -> None:
    await socket.send_str(msgspec.json.encode(event).decode())
