"""Anthropic's Messages: answers, streams, token counts and batches, with its errors and headers.

Source: https://docs.anthropic.com/en/api (messages, streaming, errors, rate limits, batches), and recorded exchanges for the order of
fields, the blanks at the end of the stream's lines and the usage that `message_delta` repeats.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from aiohttp import web

from proxy.demo.chat import EVENTS, slice_text
from proxy.demo.exchange import Dialect, Exchange, Wrong
from proxy.demo.faults import split_model
from proxy.demo.openai import last_text, model_of
from proxy.demo.prose import count_tokens, generator, split_text
from proxy.demo.turn import Reply, Tool, Turn, answer, join_text

# The dated model that the provider answers with, for the names that are aliases.
SNAPSHOTS = {
    "claude-3-5-haiku-latest": "claude-3-5-haiku-20241022",
    "claude-3-5-sonnet-latest": "claude-3-5-sonnet-20241022",
    "claude-3-7-sonnet-latest": "claude-3-7-sonnet-20250219",
    "claude-haiku-4-5": "claude-haiku-4-5-20251001",
    "claude-opus-4-0": "claude-opus-4-20250514",
    "claude-opus-4-1": "claude-opus-4-1-20250805",
    "claude-opus-4-5": "claude-opus-4-5-20251101",
    "claude-sonnet-4-0": "claude-sonnet-4-20250514",
    "claude-sonnet-4-5": "claude-sonnet-4-5-20250929",
}
# status: (type, message)
_ERRORS = {
    400: ("invalid_request_error", "The request is not valid."),
    401: ("authentication_error", "invalid x-api-key"),
    402: ("billing_error", "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to purchase credits."),
    403: ("permission_error", "Your API key does not have permission to use the specified resource."),
    404: ("not_found_error", "model: {model}"),
    413: ("request_too_large", "Request exceeds the maximum size"),
    429: ("rate_limit_error", "This request would exceed your organization's rate limit of 50 requests per minute."),
    500: ("api_error", "Internal server error"),
    503: ("overloaded_error", "Overloaded"),
    504: ("timeout_error", "The request timed out"),
    529: ("overloaded_error", "Overloaded"),
}


def write_error(wrong: Wrong, exchange: Exchange) -> tuple[Any, dict[str, str]]:
    kind, message = _ERRORS.get(wrong.status) or _ERRORS[500 if wrong.status > 499 else 400]
    model = exchange.document.get("model")
    message = wrong.message or message.format(model=split_model(model)[0] if isinstance(model, str) else "")
    headers = {"x-should-retry": "true" if wrong.status in (408, 409, 429) or wrong.status >= 500 else "false"}
    if wrong.status == 429:
        headers |= {"retry-after": "1", "anthropic-ratelimit-requests-remaining": "0"}
    return {"type": "error", "error": {"type": wrong.kind or kind, "message": message}, "request_id": _request_id(exchange)}, headers


def write_headers(exchange: Exchange) -> dict[str, str]:
    asked = count_tokens(exchange.body[:65536].decode("utf-8", "replace"))
    headers = {"request-id": _request_id(exchange), "anthropic-organization-id": "00000000-0000-4000-8000-000000000000"}
    for name, limit, used in (("requests", 50, 1), ("input-tokens", 40_000, asked), ("output-tokens", 8_000, 0), ("tokens", 48_000, asked)):
        headers[f"anthropic-ratelimit-{name}-limit"] = str(limit)
        headers[f"anthropic-ratelimit-{name}-remaining"] = str(max(0, limit - used))
        headers[f"anthropic-ratelimit-{name}-reset"] = exchange.now_text
    return headers


def _request_id(exchange: Exchange) -> str:
    return exchange.make_id("req_011C", 20)


ANTHROPIC = Dialect("anthropic", write_error, write_headers, model_of)


def answered_model(model: str) -> str:
    name = split_model(model)[0]
    return SNAPSHOTS.get(name, name)


def read_turn(exchange: Exchange, needs_limit: bool = True) -> Turn:
    """The turn in a Messages request. Raises `Wrong`."""
    document = exchange.document
    for name, kind in (("model", str), ("messages", list), *((("max_tokens", int),) if needs_limit else ())):
        if document.get(name) is None:
            raise Wrong(400, f"{name}: Field required")
        if not isinstance(document[name], kind):
            raise Wrong(400, f"{name}: Input should be a valid {kind.__name__}")
    messages = document["messages"]
    if not messages:
        raise Wrong(400, "messages: at least one message is required")
    thinking = document.get("thinking") or {}
    turn = Turn(
        model=document["model"],
        prompt=join_text([document.get("system"), [message.get("content") for message in messages], document.get("tools")]),
        last="",
        messages=len(messages),
        most_tokens=document.get("max_tokens"),
        reasons=thinking.get("type") in ("enabled", "adaptive"),
        fault=exchange.fault,
    )
    for tool in document.get("tools") or []:
        if isinstance(tool.get("input_schema"), dict):
            turn.tools.append(Tool(tool["name"], tool["input_schema"]))
    for message in messages:
        content = message.get("content")
        blocks = content if isinstance(content, list) else []
        if message.get("role") == "user" and not any(block.get("type") == "tool_result" for block in blocks):
            turn.last, turn.called = last_text(content), []
        turn.called = turn.called + [str(block.get("name")) for block in blocks if block.get("type") == "tool_use"]
    choice = document.get("tool_choice") or {}
    turn.may_call, turn.must_call = choice.get("type") != "none", choice.get("type") == "any"
    turn.forced = choice.get("name") if choice.get("type") == "tool" else None
    shape = (document.get("output_config") or {}).get("format") or document.get("output_format")
    if shape:
        turn.json_asked, turn.schema = True, shape.get("schema")
    return turn


def write_usage(exchange: Exchange, reply: Reply, output_tokens: int) -> dict[str, Any]:
    """`usage`: a prompt that marks a cache point writes the cache in its first turn and reads it in the later ones."""
    cached, long_lived = 0, b'"1h"' in exchange.body
    if b'"cache_control"' in exchange.body:
        cached = reply.input_tokens * 3 // 4
    follows = len(exchange.document.get("messages") or []) > 1
    written, read = (0, cached) if follows else (cached, 0)
    usage = {
        "input_tokens": reply.input_tokens - cached,
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": read,
        "cache_creation": {"ephemeral_5m_input_tokens": 0 if long_lived else written, "ephemeral_1h_input_tokens": written if long_lived else 0},
        "output_tokens": output_tokens,
    }
    if reply.reasoning_tokens and output_tokens >= reply.reasoning_tokens:
        usage["output_tokens_details"] = {"thinking_tokens": reply.reasoning_tokens}
    return usage | {"service_tier": "standard", "inference_geo": "global"}


def write_content(exchange: Exchange, reply: Reply, variant: str = "") -> list[dict[str, Any]]:
    """The blocks of an answer: thinking, then text, then tool uses."""
    content: list[dict[str, Any]] = []
    if reply.thought:
        signature = exchange.make_id("EqQB", 92, variant=variant) + "="
        content.append({"type": "thinking", "thinking": reply.thought, "signature": signature})
    if reply.text or not reply.calls:
        content.append({"type": "text", "text": reply.text})
    for number, call in enumerate(reply.calls):
        call_id = exchange.make_id("toolu_01", 22, variant=f"{variant} {number}")
        content.append({"type": "tool_use", "id": call_id, "name": call.name, "input": call.arguments})
    return content


def stop_of(reply: Reply) -> str:
    return "tool_use" if reply.calls else "max_tokens" if reply.cut else "end_turn"


def write_message(exchange: Exchange, turn: Turn, reply: Reply, variant: str = "") -> dict[str, Any]:
    """A whole message."""
    message = {
        "model": answered_model(turn.model),
        "id": exchange.make_id("msg_01", 22, variant=variant),
        "type": "message",
        "role": "assistant",
        "content": write_content(exchange, reply, variant),
        "stop_reason": stop_of(reply),
        "stop_sequence": None,
        "usage": write_usage(exchange, reply, reply.output_tokens),
    }
    if exchange.fault.name == "no-usage":
        del message["usage"]
    return message


async def answer_messages(exchange: Exchange) -> web.StreamResponse:
    """`POST /v1/messages`."""
    turn = read_turn(exchange)
    reply = answer(turn)
    exchange.owe(answered_model(turn.model), [reply])
    if exchange.document.get("stream"):
        return await exchange.send_stream(stream_message(exchange, turn, reply), EVENTS, stream_error(exchange), {"cache-control": "no-cache"})
    return await exchange.send(write_message(exchange, turn, reply))


def stream_error(exchange: Exchange) -> bytes:
    return b"event: error\ndata: " + msgspec.json.encode(write_error(Wrong(529, ""), exchange)[0]) + b"\n\n"


def _event(document: dict[str, Any]) -> bytes:
    """One event; the provider puts blanks before the last brace, so that the length of a line tells nothing."""
    body = msgspec.json.encode(document)
    blanks = generator("blanks", body).randint(0, 15)
    return f"event: {document['type']}\n".encode() + b"data: " + body[:-1] + b" " * blanks + b"}\n\n"


def stream_message(exchange: Exchange, turn: Turn, reply: Reply) -> Iterator[bytes]:
    """The events of a streamed message."""
    message = write_message(exchange, turn, reply)
    content, counted = message["content"], "usage" in message
    start = {**message, "content": [], "stop_reason": None}
    if counted:
        start["usage"] = write_usage(exchange, reply, 1)
    yield _event({"type": "message_start", "message": start})
    for index, block in enumerate(content):
        kind = block["type"]
        empty: dict[str, Any] = {"text": {"text": ""}, "thinking": {"thinking": "", "signature": ""}, "tool_use": {"input": {}}}[kind]
        yield _event({"type": "content_block_start", "index": index, "content_block": {**block, **empty}})
        if index == 0:
            yield b'event: ping\ndata: {"type": "ping"}\n\n'
        for delta in _deltas(block):
            yield _event({"type": "content_block_delta", "index": index, "delta": delta})
        yield _event({"type": "content_block_stop", "index": index})
    end: dict[str, Any] = {"type": "message_delta", "delta": {"stop_reason": message["stop_reason"], "stop_sequence": None}}
    if counted:
        final = message["usage"]
        names = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens", "output_tokens_details")
        end["usage"] = {name: final[name] for name in names if name in final}
    yield _event(end)
    yield _event({"type": "message_stop"})


def _deltas(block: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if block["type"] == "tool_use":
        yield {"type": "input_json_delta", "partial_json": ""}
        for piece in slice_text(msgspec.json.encode(block["input"]).decode()):
            yield {"type": "input_json_delta", "partial_json": piece}
    elif block["type"] == "thinking":
        for piece in split_text(block["thinking"]):
            yield {"type": "thinking_delta", "thinking": piece}
        yield {"type": "signature_delta", "signature": block["signature"]}
    else:
        for piece in split_text(block["text"]):
            yield {"type": "text_delta", "text": piece}


async def answer_count(exchange: Exchange) -> web.StreamResponse:
    """`POST /v1/messages/count_tokens`."""
    return await exchange.send({"input_tokens": answer(read_turn(exchange, needs_limit=False)).input_tokens})


def describe_model(name: str) -> dict[str, Any]:
    return {"type": "model", "id": name, "display_name": name.replace("-", " ").title(), "created_at": "2025-09-29T00:00:00Z"}


async def list_models(exchange: Exchange) -> web.StreamResponse:
    """`GET /v1/models`."""
    names = list(SNAPSHOTS.values())
    return await exchange.send({"data": [describe_model(name) for name in names], "has_more": False, "first_id": names[0], "last_id": names[-1]})


async def show_model(exchange: Exchange) -> web.StreamResponse:
    """`GET /v1/models/{model}`."""
    return await exchange.send(describe_model(answered_model(exchange.request.match_info["model"])))
