"""Cohere's v2: chat, whole and as events, embeddings and reranking.

Source: https://docs.cohere.com/reference/chat, /chat-stream, /embed, /rerank and recorded exchanges.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from aiohttp import web

from proxy.demo.chat import slice_text
from proxy.demo.embeddings import make_vector
from proxy.demo.exchange import Dialect, Exchange, Wrong, serve
from proxy.demo.openai import last_text, model_of, read_tool, sse
from proxy.demo.prose import count_tokens, split_text
from proxy.demo.turn import Reply, Turn, answer, join_text

_MESSAGES = {
    401: "invalid api token",
    402: "please add or update your payment method at https://dashboard.cohere.com/billing",
    403: "you do not have access to this model",
    404: "model '{model}' not found, make sure the correct model ID was used and that you have access to the model.",
    429: "You are using a Trial key, which is limited to 20 API calls / minute.",
    500: "internal server error, this has been reported to our developers",
    503: "the service is temporarily unavailable",
}


def write_error(wrong: Wrong, exchange: Exchange) -> tuple[Any, dict[str, str]]:
    message = wrong.message or _MESSAGES.get(wrong.status, "invalid request").format(model=exchange.document.get("model"))
    return {"id": exchange.make_uuid(), "message": message}, {"retry-after": "1"} if wrong.status == 429 else {}


def write_headers(exchange: Exchange) -> dict[str, str]:
    return {
        "x-debug-trace-id": exchange.make_id("", 32, "0123456789abcdef"),
        "x-endpoint-monthly-call-limit": "1000",
        "x-trial-endpoint-call-limit": "20",
    }


COHERE = Dialect("cohere", write_error, write_headers, model_of)


def read_turn(exchange: Exchange) -> Turn:
    document = exchange.document
    if not document.get("model"):
        raise Wrong(400, "invalid request: model is required")
    messages = document.get("messages")
    if not messages:
        raise Wrong(400, "invalid request: messages must be at least 1 items long.")
    turn = Turn(
        model=document["model"],
        prompt=join_text([[message.get("content") for message in messages], document.get("tools")]),
        last="",
        messages=len(messages),
        tools=[tool for each in document.get("tools") or [] if (tool := read_tool(each))],
        most_tokens=document.get("max_tokens"),
        must_call=document.get("tool_choice") == "REQUIRED",
        may_call=document.get("tool_choice") != "NONE",
        fault=exchange.fault,
    )
    for message in messages:
        if message["role"] == "user":
            turn.last, turn.called = last_text(message["content"]), []
        turn.called = turn.called + [call["function"]["name"] for call in message.get("tool_calls") or []]
    shape = document.get("response_format") or {}
    turn.json_asked, turn.schema = shape.get("type") == "json_object", shape.get("json_schema") or shape.get("schema")
    return turn


def write_usage(reply: Reply) -> dict[str, Any]:
    """What was billed is less than what was read: the provider's own preamble is free."""
    return {
        "billed_units": {"input_tokens": reply.input_tokens, "output_tokens": reply.output_tokens},
        "tokens": {"input_tokens": reply.input_tokens + 66, "output_tokens": reply.output_tokens + 2},
        "cached_tokens": reply.cached_tokens,
    }


def finish_of(reply: Reply) -> str:
    return "TOOL_CALL" if reply.calls else "MAX_TOKENS" if reply.cut else "COMPLETE"


def _write_calls(exchange: Exchange, reply: Reply) -> list[dict[str, Any]]:
    return [
        {
            "id": exchange.make_id(f"{call.name}_", 12, variant=str(number)),
            "type": "function",
            "function": {"name": call.name, "arguments": call.text},
        }
        for number, call in enumerate(reply.calls)
    ]


async def answer_chat(exchange: Exchange) -> web.StreamResponse:
    """`POST /v2/chat`."""
    reply = answer(read_turn(exchange))
    usage = {} if exchange.fault.name == "no-usage" else {"usage": write_usage(reply)}
    if exchange.document.get("stream"):
        error = sse({"type": "message-end", "delta": {"finish_reason": "ERROR", "error": "internal server error"}}, "message-end")
        return await exchange.send_stream(stream_chat(exchange, reply, usage), "text/event-stream", error)
    message: dict[str, Any] = {"role": "assistant"}
    if reply.calls:
        message |= {"tool_plan": "I will look it up.", "tool_calls": _write_calls(exchange, reply)}
    else:
        message["content"] = [{"type": "text", "text": reply.text}]
    return await exchange.send({"id": exchange.make_uuid(), "finish_reason": finish_of(reply), "message": message, **usage})


def stream_chat(exchange: Exchange, reply: Reply, usage: dict[str, Any]) -> Iterator[bytes]:
    def event(kind: str, index: int | None = None, message: Any = None, **more: Any) -> bytes:
        place = {} if index is None else {"index": index}
        return sse({"type": kind, **place, **({} if message is None else {"delta": {"message": message}}), **more}, kind)

    empty = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}
    yield event("message-start", message=empty, id=exchange.make_uuid())
    if reply.calls:
        for piece in split_text("I will look it up."):
            yield event("tool-plan-delta", message={"tool_plan": piece})
        for index, call in enumerate(_write_calls(exchange, reply)):
            yield event("tool-call-start", index, {"tool_calls": {**call, "function": {**call["function"], "arguments": ""}}})
            for piece in slice_text(call["function"]["arguments"]):
                yield event("tool-call-delta", index, {"tool_calls": {"function": {"arguments": piece}}})
            yield event("tool-call-end", index)
    else:
        yield event("content-start", 0, {"content": {"type": "text", "text": ""}})
        for piece in split_text(reply.text):
            yield event("content-delta", 0, {"content": {"text": piece}})
        yield event("content-end", 0)
    yield event("message-end", delta={"finish_reason": finish_of(reply), **usage})


async def answer_embed(exchange: Exchange) -> web.StreamResponse:
    """`POST /v2/embed`."""
    texts = exchange.document.get("texts") or []
    vectors = [make_vector(text, exchange.document.get("output_dimension") or 256) for text in texts]
    meta = {"api_version": {"version": "2"}, "billed_units": {"input_tokens": sum(map(count_tokens, texts))}}
    document = {"id": exchange.make_uuid(), "embeddings": {"float": vectors}, "texts": texts, "meta": meta}
    return await exchange.send(document | {"response_type": "embeddings_by_type"})


async def answer_rerank(exchange: Exchange) -> web.StreamResponse:
    """`POST /v2/rerank`: the documents in the order of the words they share with the query."""
    asked = set(exchange.document["query"].lower().split())
    shares = [len(asked & set(text.lower().split())) / max(1, len(asked)) for text in exchange.document["documents"]]
    order = sorted(range(len(shares)), key=lambda index: -shares[index])[: exchange.document.get("top_n")]
    meta = {"api_version": {"version": "2"}, "billed_units": {"search_units": 1}}
    results = [{"index": index, "relevance_score": shares[index]} for index in order]
    return await exchange.send({"id": exchange.make_uuid(), "results": results, "meta": meta})


def add_routes(app: web.Application) -> None:
    app.router.add_post("/v2/chat", serve(COHERE, answer_chat))
    app.router.add_post("/v2/embed", serve(COHERE, answer_embed))
    app.router.add_post("/v2/rerank", serve(COHERE, answer_rerank))
