"""OpenAI's Responses: whole, streamed, in the background, fetched again by id, and over a WebSocket.

Source: https://platform.openai.com/docs/api-reference/responses and /responses-streaming, and recorded exchanges for the order of
fields and events. Over a WebSocket the client sends `response.create` and gets the events of the stream as JSON texts.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from aiohttp import web

from proxy.demo.chat import EVENTS, read_limit, slice_text
from proxy.demo.exchange import Exchange, Wrong
from proxy.demo.openai import answered_model, last_text, read_choice, read_tool, reasons, require, sse, write_error
from proxy.demo.prose import split_text
from proxy.demo.turn import Reply, Turn, answer, join_text

_HEX = "0123456789abcdef"


class Stored(msgspec.Struct):
    """A response that can be fetched again."""

    document: dict[str, Any]  # as it is when it is done
    events: list[dict[str, Any]]
    asked: list[Any]  # the input items
    polls_left: int = 0  # in the background: how many more times it is still at work


def read_turn(exchange: Exchange, document: dict[str, Any]) -> Turn:
    """The turn in a request for a response. Raises `Wrong`."""
    model, given = document["model"], document.get("input") or []
    items = [{"role": "user", "content": given}] if isinstance(given, str) else given
    turn = Turn(
        model=model,
        prompt=join_text([document.get("instructions"), [_spoken(item) for item in items], document.get("tools")]),
        last="",
        messages=len(items),
        tools=[tool for each in document.get("tools") or [] if (tool := read_tool(each))],
        most_tokens=read_limit(document, "max_output_tokens"),
        reasons=reasons(model, (document.get("reasoning") or {}).get("effort")),
        fault=exchange.fault,
    )
    for item in items:
        if item.get("role") == "user":
            turn.last, turn.called = last_text(item.get("content")), []
        elif item.get("type") in ("function_call", "custom_tool_call"):
            turn.called = [*turn.called, str(item.get("name"))]
    read_choice(turn, document.get("tool_choice"))
    shape = (document.get("text") or {}).get("format") or {}
    if shape.get("type") in ("json_object", "json_schema"):
        turn.json_asked, turn.schema = True, shape.get("schema")
    return turn


def _spoken(item: dict[str, Any]) -> list[Any]:
    return [item.get(name) for name in ("content", "arguments", "input", "output", "summary")]


def write_items(exchange: Exchange, reply: Reply, variant: str) -> list[dict[str, Any]]:
    """The output items: reasoning first, then the tool calls or the message."""

    def named(prefix: str, number: int = 0) -> str:
        return exchange.make_id(prefix, 50, _HEX, f"{variant} {number}")

    items: list[dict[str, Any]] = []
    if reply.thought:
        items.append({"id": named("rs_"), "type": "reasoning", "content": [], "summary": []})
    for number, call in enumerate(reply.calls):
        kind, field = ("custom_tool_call", "input") if call.free_text else ("function_call", "arguments")
        call_id = exchange.make_id("call_", 24, variant=f"{variant} {number}")
        prefix = "ctc_" if call.free_text else "fc_"
        items.append({"id": named(prefix, number), "type": kind, "status": "completed", field: call.text, "call_id": call_id, "name": call.name})
    if not reply.calls:
        part = {"type": "output_text", "annotations": [], "logprobs": [], "text": reply.text}
        items.append({"id": named("msg_"), "type": "message", "status": "completed", "content": [part], "role": "assistant"})
    return items


def write_response(exchange: Exchange, document: dict[str, Any], variant: str = "") -> Stored:
    """The response to a request, done, with the events that lead to it."""
    silent = document.get("generate") is False  # a request that only warms up
    turn = read_turn(exchange, document)
    reply = answer(turn)
    if not silent:
        exchange.owe(answered_model(turn.model), [reply])
    given = document.get("input") or []
    finished = {
        "id": exchange.make_id("resp_", 50, _HEX, variant),
        "object": "response",
        "created_at": exchange.now_s,
        "status": "incomplete" if reply.cut else "completed",
        "background": bool(document.get("background")),
        "completed_at": None if reply.cut else exchange.now_s + 1,
        "error": None,
        "frequency_penalty": 0.0,
        "incomplete_details": {"reason": "max_output_tokens"} if reply.cut else None,
        "instructions": document.get("instructions"),
        "max_output_tokens": document.get("max_output_tokens"),
        "max_tool_calls": None,
        "model": answered_model(turn.model),
        "output": [] if silent else write_items(exchange, reply, variant),
        "parallel_tool_calls": document.get("parallel_tool_calls", True) is not False,
        "presence_penalty": 0.0,
        "previous_response_id": document.get("previous_response_id"),
        "prompt_cache_key": document.get("prompt_cache_key"),
        "reasoning": {"effort": (document.get("reasoning") or {}).get("effort"), "summary": None},
        "safety_identifier": document.get("safety_identifier"),
        "service_tier": "default",
        "store": document.get("store") is not False,
        "temperature": 1.0,
        "text": {"format": (document.get("text") or {}).get("format") or {"type": "text"}, "verbosity": "medium"},
        "tool_choice": document.get("tool_choice") or "auto",
        "tools": document.get("tools") or [],
        "top_logprobs": 0,
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": None if exchange.fault.name == "no-usage" else _write_usage(reply, silent),
        "user": None,
        "metadata": document.get("metadata") or {},
    }
    asked = [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": given}]}] if isinstance(given, str) else given
    return Stored(finished, list(_write_events(finished)), asked)


def _write_usage(reply: Reply, silent: bool) -> dict[str, Any]:
    spoken, thought = (0, 0) if silent else (reply.output_tokens, reply.reasoning_tokens)
    return {
        "input_tokens": reply.input_tokens,
        "input_tokens_details": {"cached_tokens": reply.cached_tokens},
        "output_tokens": spoken,
        "output_tokens_details": {"reasoning_tokens": thought},
        "total_tokens": reply.input_tokens + spoken,
    }


def begin(finished: dict[str, Any], status: str) -> dict[str, Any]:
    """A response before it is done."""
    return {**finished, "status": status, "output": [], "usage": None, "completed_at": None, "incomplete_details": None}


def _write_events(finished: dict[str, Any]) -> Iterator[dict[str, Any]]:
    number = 0

    def event(kind: str, **fields: Any) -> dict[str, Any]:
        nonlocal number
        number += 1
        return {"type": kind, **fields, "sequence_number": number - 1}

    yield event("response.created", response=begin(finished, "in_progress"))
    yield event("response.in_progress", response=begin(finished, "in_progress"))
    for index, item in enumerate(finished["output"]):
        where = {"item_id": item["id"], "output_index": index}
        kind = item["type"]
        if kind == "message":
            part = item["content"][0]
            yield event("response.output_item.added", output_index=index, item={**item, "status": "in_progress", "content": []})
            yield event("response.content_part.added", **where, content_index=0, part={**part, "text": ""})
            for piece in split_text(part["text"]):
                yield event("response.output_text.delta", **where, content_index=0, delta=piece, logprobs=[])
            yield event("response.output_text.done", **where, content_index=0, text=part["text"], logprobs=[])
            yield event("response.content_part.done", **where, content_index=0, part=part)
        elif kind == "reasoning":
            yield event("response.output_item.added", output_index=index, item=item)
        else:
            field, name = ("arguments", "function_call_arguments") if kind == "function_call" else ("input", "custom_tool_call_input")
            yield event("response.output_item.added", output_index=index, item={**item, "status": "in_progress", field: ""})
            for piece in slice_text(item[field]):
                yield event(f"response.{name}.delta", **where, delta=piece)
            yield event(f"response.{name}.done", **where, **{field: item[field]})
        yield event("response.output_item.done", output_index=index, item=item)
    yield event(f"response.{finished['status']}", response=finished)


def error_event(exchange: Exchange) -> dict[str, Any]:
    """The event of a stream that failed."""
    error = write_error(Wrong(500, ""), exchange)[0]["error"]
    return {"type": "error", "code": "server_error", "message": error["message"], "param": None, "sequence_number": exchange.fault.after}


async def _send_events(exchange: Exchange, events: list[dict[str, Any]]) -> web.StreamResponse:
    error = error_event(exchange)
    return await exchange.send_stream((sse(event, event["type"]) for event in events), EVENTS, sse(error, "error"))


async def answer_responses(exchange: Exchange) -> web.StreamResponse:
    """`POST /v1/responses`. In the background the answer is `queued`, and done when it is fetched for the second time."""
    require(exchange, "model")
    stored = write_response(exchange, exchange.document)
    background = stored.document["background"]
    stored.polls_left = 1 if background else 0
    if stored.document["store"] or background:
        exchange.desk.keep(stored.document["id"], stored)
    if exchange.document.get("stream"):
        return await _send_events(exchange, stored.events)
    return await exchange.send(begin(stored.document, "queued") if background else stored.document)


def _find(exchange: Exchange) -> Stored:
    name = exchange.request.match_info["id"]
    stored = exchange.desk.shelf.get(name)
    if not isinstance(stored, Stored):
        raise Wrong(404, f"Response with id '{name}' not found.", param="id")
    return stored


async def show_response(exchange: Exchange) -> web.StreamResponse:
    """`GET /v1/responses/{id}`; with `stream=true` its events, those after `starting_after` only."""
    stored, query = _find(exchange), exchange.request.query
    if query.get("stream") == "true":
        after = query.get("starting_after", "")
        return await _send_events(exchange, stored.events[int(after) + 1 if after.isdigit() else 0 :])
    if stored.polls_left:
        stored.polls_left -= 1
        return await exchange.send(begin(stored.document, "in_progress"))
    return await exchange.send(stored.document)


async def cancel_response(exchange: Exchange) -> web.StreamResponse:
    """`POST /v1/responses/{id}/cancel`: ends one that is still at work."""
    stored = _find(exchange)
    if not stored.document["background"]:
        raise Wrong(400, "Only responses created with background=true can be cancelled.")
    if stored.polls_left:
        stored.document, stored.polls_left = begin(stored.document, "cancelled"), 0
    return await exchange.send(stored.document)


async def delete_response(exchange: Exchange) -> web.StreamResponse:
    """`DELETE /v1/responses/{id}`."""
    name = _find(exchange).document["id"]
    del exchange.desk.shelf[name]
    return await exchange.send({"id": name, "object": "response", "deleted": True})


async def list_input(exchange: Exchange) -> web.StreamResponse:
    """`GET /v1/responses/{id}/input_items`."""
    data = [{"id": exchange.make_id("msg_", 50, _HEX, str(number)), **item} for number, item in enumerate(_find(exchange).asked)]
    ends = {"first_id": data[0]["id"] if data else None, "last_id": data[-1]["id"] if data else None}
    return await exchange.send({"object": "list", "data": data, **ends, "has_more": False})


async def count_input(exchange: Exchange) -> web.StreamResponse:
    """`POST /v1/responses/input_tokens`."""
    require(exchange, "model")
    return await exchange.send({"object": "response.input_tokens", "input_tokens": answer(read_turn(exchange, exchange.document)).input_tokens})
