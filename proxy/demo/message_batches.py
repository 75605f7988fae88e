"""Anthropic's Message Batches: made, looked at, cancelled, and their results as JSON lines.

Source: https://docs.anthropic.com/en/api/creating-message-batches and its siblings.
A batch is in progress in the answer that makes it and ended when it is looked at.
"""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web

from proxy.demo.anthropic import read_turn as read_message
from proxy.demo.anthropic import write_message
from proxy.demo.exchange import Exchange, Wrong
from proxy.demo.turn import answer


class Batch(msgspec.Struct):
    """A batch that can be looked at again."""

    document: dict[str, Any]
    results: bytes


def _count(succeeded: int, errored: int, processing: int = 0) -> dict[str, int]:
    return {"processing": processing, "succeeded": succeeded, "errored": errored, "canceled": 0, "expired": 0}


async def make_batch(exchange: Exchange) -> web.StreamResponse:
    """`POST /v1/messages/batches`."""
    asked = exchange.document.get("requests")
    if not isinstance(asked, list) or not asked:
        raise Wrong(400, "requests: at least one request is required")
    lines, succeeded = [], 0
    for number, each in enumerate(asked):
        result = _run(exchange, each.get("params") or {}, str(number))
        succeeded += result["type"] == "succeeded"
        lines.append(msgspec.json.encode({"custom_id": each.get("custom_id"), "result": result}) + b"\n")
    name = exchange.make_id("msgbatch_01", 22)
    document = {
        "id": name,
        "type": "message_batch",
        "processing_status": "in_progress",
        "request_counts": _count(0, 0, len(asked)),
        "ended_at": None,
        "created_at": exchange.now_text,
        "expires_at": exchange.now_text,
        "archived_at": None,
        "cancel_initiated_at": None,
        "results_url": None,
    }
    ended = {**document, "processing_status": "ended", "ended_at": exchange.now_text, "request_counts": _count(succeeded, len(asked) - succeeded)}
    ended["results_url"] = f"http://{exchange.request.host}/v1/messages/batches/{name}/results"
    exchange.desk.keep(name, Batch(ended, b"".join(lines)))
    return await exchange.send(document)


def _run(exchange: Exchange, params: dict[str, Any], variant: str) -> dict[str, Any]:
    """One result of a batch."""
    inner = Exchange(exchange.request, exchange.dialect, exchange.body)
    inner.document = params
    try:
        turn = read_message(inner)
    except Wrong as wrong:
        return {"type": "errored", "error": exchange.dialect.write_error(wrong, exchange)[0]}
    reply = answer(turn)
    usage = {
        "input_tokens": reply.input_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
        "output_tokens": reply.output_tokens,
        "service_tier": "batch",
    }
    return {"type": "succeeded", "message": write_message(exchange, turn, reply, variant) | {"usage": usage}}


def _find(exchange: Exchange) -> Batch:
    batch = exchange.desk.shelf.get(exchange.request.match_info["id"])
    if not isinstance(batch, Batch):
        raise Wrong(404, "Batch not found.")
    return batch


async def show_batch(exchange: Exchange) -> web.StreamResponse:
    """`GET /v1/messages/batches/{id}`."""
    return await exchange.send(_find(exchange).document)


async def list_batches(exchange: Exchange) -> web.StreamResponse:
    """`GET /v1/messages/batches`, newest first."""
    data = [thing.document for thing in reversed(exchange.desk.shelf.values()) if isinstance(thing, Batch)]
    ends = {"first_id": data[0]["id"] if data else None, "last_id": data[-1]["id"] if data else None}
    return await exchange.send({"data": data, "has_more": False, **ends})


async def cancel_batch(exchange: Exchange) -> web.StreamResponse:
    """`POST /v1/messages/batches/{id}/cancel`: too late, as the batch has ended."""
    return await exchange.send(_find(exchange).document)


async def show_results(exchange: Exchange) -> web.StreamResponse:
    """`GET /v1/messages/batches/{id}/results`, as JSON lines."""
    return await exchange.send_bytes(_find(exchange).results, "application/x-jsonl")
