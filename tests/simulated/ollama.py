"""Ollama: chat, generation and embeddings; streams are JSON lines, and are the default.

Source: https://docs.ollama.com/api.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from aiohttp import web

from proxy.demo.embeddings import make_vector
from proxy.demo.exchange import Dialect, Exchange, Wrong, serve
from proxy.demo.faults import split_model
from proxy.demo.openai import model_of, read_tool
from proxy.demo.prose import count_tokens, split_text
from proxy.demo.turn import Reply, Turn, answer, join_text

NDJSON = "application/x-ndjson"


def write_error(wrong: Wrong, exchange: Exchange) -> tuple[Any, dict[str, str]]:
    names = {401: "unauthorized", 404: "model '{model}' not found", 429: "too many requests", 503: "server busy, please try again."}
    return {"error": wrong.message or names.get(wrong.status, "internal error").format(model=exchange.document.get("model"))}, {}


OLLAMA = Dialect("ollama", write_error, lambda exchange: {}, model_of, json_type="application/json; charset=utf-8")


def _read(exchange: Exchange, prompt: Any, last: str, messages: int, tools: Any) -> Turn:
    document = exchange.document
    if not document.get("model"):
        raise Wrong(400, "model is required")
    shape = document.get("format")
    return Turn(
        model=split_model(document["model"])[0],
        prompt=join_text(prompt),
        last=last,
        messages=messages,
        tools=[tool for each in tools or [] if (tool := read_tool(each))],
        json_asked=bool(shape),
        schema=shape if isinstance(shape, dict) else None,
        most_tokens=(document.get("options") or {}).get("num_predict"),
        reasons=bool(document.get("think")),
        fault=exchange.fault,
    )


def _counts(exchange: Exchange, reply: Reply) -> dict[str, Any]:
    spent = {"total_duration": 812_000_000, "load_duration": 41_000_000}
    counts = {
        "prompt_eval_count": reply.input_tokens,
        "prompt_eval_duration": 90_000_000,
        "eval_count": reply.output_tokens,
        "eval_duration": 640_000_000,
    }
    return spent if exchange.fault.name == "no-usage" else spent | counts


async def _send(exchange: Exchange, turn: Turn, reply: Reply, pieces: list[dict[str, Any]]) -> web.StreamResponse:
    """Lines with one piece each and a last one that counts; or all in one document."""
    head = {"model": turn.model, "created_at": exchange.now_text.replace("Z", ".418Z")}
    end = {"done": True, "done_reason": "length" if reply.cut else "stop", **_counts(exchange, reply)}
    if exchange.document.get("stream") is False:
        return await exchange.send({**head, **_join(pieces), **end})

    def lines() -> Iterator[bytes]:
        for piece in pieces:
            yield msgspec.json.encode({**head, **piece, "done": False}) + b"\n"
        empty = {"message": {"role": "assistant", "content": ""}} if "message" in pieces[0] else {"response": ""}
        yield msgspec.json.encode({**head, **empty, **end}) + b"\n"

    return await exchange.send_stream(lines(), NDJSON, b'{"error":"an error was encountered while running the model"}\n')


def _join(pieces: list[dict[str, Any]]) -> dict[str, Any]:
    if "response" in pieces[0]:
        thinking = "".join(piece.get("thinking", "") for piece in pieces)
        return {"response": "".join(piece["response"] for piece in pieces), **({"thinking": thinking} if thinking else {})}
    whole: dict[str, Any] = {"role": "assistant", "content": ""}
    for piece in pieces:
        for name, value in piece["message"].items():
            if name != "role":
                whole[name] = whole.get(name, type(value)()) + value
    return {"message": whole}


async def answer_chat(exchange: Exchange) -> web.StreamResponse:
    """`POST /api/chat`."""
    messages = exchange.document.get("messages") or []
    asked = [message for message in messages if message["role"] == "user"]
    turn = _read(
        exchange,
        [message.get("content") for message in messages],
        asked[-1]["content"] if asked else "",
        len(messages),
        exchange.document.get("tools"),
    )
    for message in messages:
        turn.called = [] if message["role"] == "user" else turn.called + [call["function"]["name"] for call in message.get("tool_calls") or []]
    reply = answer(turn)
    pieces = [{"message": {"role": "assistant", "content": "", "thinking": piece}} for piece in split_text(reply.thought)]
    pieces += [{"message": {"role": "assistant", "content": piece}} for piece in split_text(reply.text)]
    for call in reply.calls:
        pieces.append(
            {"message": {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": call.name, "arguments": call.arguments}}]}}
        )
    return await _send(exchange, turn, reply, pieces or [{"message": {"role": "assistant", "content": ""}}])


async def answer_generate(exchange: Exchange) -> web.StreamResponse:
    """`POST /api/generate`."""
    prompt = exchange.document.get("prompt") or ""
    turn = _read(exchange, [exchange.document.get("system"), prompt], prompt, 1, None)
    reply = answer(turn)
    pieces = [{"response": "", "thinking": piece} for piece in split_text(reply.thought)] + [{"response": piece} for piece in split_text(reply.text)]
    return await _send(exchange, turn, reply, pieces or [{"response": ""}])


async def answer_embed(exchange: Exchange) -> web.StreamResponse:
    """`POST /api/embed`."""
    given = exchange.document.get("input") or []
    texts = [given] if isinstance(given, str) else given
    spent = {"total_duration": 14_000_000, "load_duration": 1_000_000, "prompt_eval_count": sum(map(count_tokens, texts))}
    return await exchange.send({"model": exchange.document.get("model"), "embeddings": [make_vector(text, 256) for text in texts], **spent})


async def list_models(exchange: Exchange) -> web.StreamResponse:
    """`GET /api/tags`."""
    details = {"format": "gguf", "family": "llama", "parameter_size": "3.2B", "quantization_level": "Q4_K_M"}
    model = {"name": "llama3.2:latest", "model": "llama3.2:latest", "modified_at": exchange.now_text, "size": 2_019_393_189, "digest": "a80c4f17acd5"}
    return await exchange.send({"models": [{**model, "details": details}]})


async def show_version(exchange: Exchange) -> web.StreamResponse:
    """`GET /api/version`."""
    return await exchange.send({"version": "0.13.0"})


def add_routes(app: web.Application) -> None:
    app.router.add_post("/api/chat", serve(OLLAMA, answer_chat))
    app.router.add_post("/api/generate", serve(OLLAMA, answer_generate))
    app.router.add_post("/api/embed", serve(OLLAMA, answer_embed))
    app.router.add_get("/api/tags", serve(OLLAMA, list_models))
    app.router.add_get("/api/version", serve(OLLAMA, show_version))
