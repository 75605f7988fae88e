"""Google's Gemini: content, streamed as events or as one JSON array, embeddings and token counts.

Source: https://ai.google.dev/api (generate-content, embeddings, tokens, models), and recorded exchanges for the order of fields, the
blanks after colons and the CRLF of its event streams.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from aiohttp import web

from proxy.demo.embeddings import make_vector
from proxy.demo.exchange import Dialect, Exchange, Wrong
from proxy.demo.faults import split_model
from proxy.demo.openai import last_text
from proxy.demo.prose import count_tokens, split_text
from proxy.demo.turn import Reply, Tool, Turn, answer, join_text

MODELS = ("gemini-2.0-flash", "gemini-2.5-flash", "gemini-2.5-flash-lite", "gemini-2.5-pro", "gemini-3-flash-preview", "gemini-embedding-001")
# status: (the name of the status, message)
_ERRORS = {
    400: ("INVALID_ARGUMENT", "Request contains an invalid argument."),
    401: ("UNAUTHENTICATED", "API key not valid. Please pass a valid API key."),
    402: ("FAILED_PRECONDITION", "Billing is not enabled for this project."),
    403: ("PERMISSION_DENIED", "Method doesn't allow unregistered callers (callers without established identity)."),
    404: ("NOT_FOUND", "{model} is not found for API version {version}, or is not supported for {method}."),
    429: ("RESOURCE_EXHAUSTED", "You exceeded your current quota, please check your plan and billing details."),
    500: ("INTERNAL", "An internal error has occurred. Please retry or report in https://developers.generativeai.google/guide/troubleshooting"),
    503: ("UNAVAILABLE", "The model is overloaded. Please try again later."),
    504: ("DEADLINE_EXCEEDED", "The request timed out. Please try again."),
}
_CHUNK_WORDS = 6


def model_of(request: web.Request, document: dict[str, Any]) -> Any:
    return request.match_info.get("model")


def write_error(wrong: Wrong, exchange: Exchange) -> tuple[Any, dict[str, str]]:
    name, message = _ERRORS.get(wrong.status) or _ERRORS[503 if wrong.status > 500 else 400]
    path = exchange.request.match_info
    known = {"model": f"models/{split_model(path.get('model', ''))[0]}", "version": path.get("version", "v1beta"), "method": path.get("method", "")}
    error: dict[str, Any] = {"code": wrong.status, "message": wrong.message or message.format(**known), "status": name}
    if wrong.status == 429:
        error["details"] = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "1s"}]
    return {"error": error}, {"retry-after": "1"} if wrong.status == 429 else {}


def write_headers(exchange: Exchange) -> dict[str, str]:
    return {"Vary": "Origin, X-Origin, Referer", "Server-Timing": "gfet4t7; dur=412", "X-Content-Type-Options": "nosniff"}


def _dump(document: Any) -> bytes:
    return json.dumps(document, ensure_ascii=False, indent=2).encode("utf-8", "surrogatepass") + b"\n"


GEMINI = Dialect("gemini", write_error, write_headers, model_of, _dump, "application/json; charset=UTF-8")


def pick(document: Any, name: str, default: Any = None) -> Any:
    """A field by its lowerCamelCase name; Google takes its snake_case name as well."""
    if not isinstance(document, dict):
        return default
    found = document.get(name)
    return found if found is not None else document.get(re.sub(r"[A-Z]", lambda letter: "_" + letter[0].lower(), name), default)


def read_turn(exchange: Exchange) -> Turn:
    """The turn in a generateContent request. Raises `Wrong`."""
    document = exchange.document
    contents = _read_contents(document)
    config = pick(document, "generationConfig", {})
    model = split_model(exchange.request.match_info["model"])[0]
    budget = pick(pick(config, "thinkingConfig"), "thinkingBudget")
    turn = Turn(
        model=model,
        prompt=join_text([_parts_text(pick(document, "systemInstruction")), [content.get("parts") for content in contents], document.get("tools")]),
        last="",
        messages=len(contents),
        most_tokens=pick(config, "maxOutputTokens"),
        reasons=bool(budget) or (budget is None and model.startswith(("gemini-2.5-pro", "gemini-3"))),
        fault=exchange.fault,
        json_asked=pick(config, "responseMimeType") == "application/json",
        schema=pick(config, "responseSchema") or pick(config, "responseJsonSchema"),
    )
    for group in document.get("tools") or []:
        for declared in pick(group, "functionDeclarations", []):
            turn.tools.append(Tool(declared["name"], pick(declared, "parameters") or pick(declared, "parametersJsonSchema") or {}))
    for content in contents:
        parts = content.get("parts") or []
        if content.get("role", "user") == "user" and not any(pick(part, "functionResponse") for part in parts):
            turn.last, turn.called = last_text(parts), []
        turn.called = turn.called + [str(call.get("name")) for part in parts if (call := pick(part, "functionCall"))]
    calling = pick(pick(document, "toolConfig"), "functionCallingConfig", {})
    turn.may_call, turn.must_call = calling.get("mode") != "NONE", calling.get("mode") == "ANY"
    allowed = pick(calling, "allowedFunctionNames", [])
    if turn.must_call and len(allowed) == 1:
        turn.forced = allowed[0]
    return turn


def _read_contents(document: dict[str, Any]) -> list[dict[str, Any]]:
    contents = document.get("contents")
    if not contents:
        raise Wrong(400, "* GenerateContentRequest.contents: contents is not specified\n")
    return contents if isinstance(contents, list) else [contents]


def _parts_text(content: Any) -> list[Any]:
    return content.get("parts") or [] if isinstance(content, dict) else [content]


def write_usage(reply: Reply) -> dict[str, Any]:
    """`usageMetadata`: the candidates' tokens are without the thoughts."""
    usage: dict[str, Any] = {"promptTokenCount": reply.input_tokens}
    if spoken := reply.output_tokens - reply.reasoning_tokens:
        usage["candidatesTokenCount"] = spoken
    usage["totalTokenCount"] = reply.input_tokens + reply.output_tokens
    if reply.cached_tokens:
        usage["cachedContentTokenCount"] = reply.cached_tokens
    usage["promptTokensDetails"] = [{"modality": "TEXT", "tokenCount": reply.input_tokens}]
    if reply.reasoning_tokens:
        usage["thoughtsTokenCount"] = reply.reasoning_tokens
    return usage


def _write_parts(exchange: Exchange, turn: Turn, reply: Reply) -> list[dict[str, Any]]:
    thinking = pick(pick(exchange.document, "generationConfig"), "thinkingConfig")
    parts: list[dict[str, Any]] = []
    if reply.thought and pick(thinking, "includeThoughts"):
        parts.append({"text": reply.thought, "thought": True})
    if reply.text:
        parts.append({"text": reply.text})
    for number, call in enumerate(reply.calls):
        part: dict[str, Any] = {"functionCall": {"name": call.name, "args": call.arguments}}
        if turn.reasons and number == 0:
            part["thoughtSignature"] = exchange.make_id("CiQB", 96)
        parts.append(part)
    return parts


def _write_answer(exchange: Exchange, turn: Turn, reply: Reply, parts: list[dict[str, Any]], finish: str | None, usage: Any) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"parts": parts, "role": "model"} if parts else {"role": "model"}}
    if finish:
        candidate["finishReason"] = finish
    document = {"candidates": [{**candidate, "index": 0}], "usageMetadata": usage, "modelVersion": turn.model, "responseId": exchange.make_id("", 23)}
    if exchange.fault.name == "no-usage":
        del document["usageMetadata"]
    return document


async def generate(exchange: Exchange) -> web.StreamResponse:
    """`:generateContent`."""
    turn = read_turn(exchange)
    reply = answer(turn)
    exchange.owe(turn.model, [reply])
    finish = "MAX_TOKENS" if reply.cut else "STOP"
    return await exchange.send(_write_answer(exchange, turn, reply, _write_parts(exchange, turn, reply), finish, write_usage(reply)))


def stream_answers(exchange: Exchange, turn: Turn, reply: Reply) -> Iterator[dict[str, Any]]:
    """The documents of a stream; usage is on every one, whole only on the last."""
    begun = {"promptTokenCount": reply.input_tokens, "totalTokenCount": reply.input_tokens}
    begun["promptTokensDetails"] = [{"modality": "TEXT", "tokenCount": reply.input_tokens}]
    pieces: list[dict[str, Any]] = []
    for part in _write_parts(exchange, turn, reply):
        words = split_text(part["text"]) if "text" in part else []
        starts = range(0, len(words), _CHUNK_WORDS)
        pieces += [{**part, "text": "".join(words[start : start + _CHUNK_WORDS])} for start in starts] if words else [part]
    for piece in pieces[:-1]:
        yield _write_answer(exchange, turn, reply, [piece], None, begun)
    yield _write_answer(exchange, turn, reply, pieces[-1:], "MAX_TOKENS" if reply.cut else "STOP", write_usage(reply))


async def stream(exchange: Exchange) -> web.StreamResponse:
    """`:streamGenerateContent`, as events with `alt=sse`, else as one JSON array that comes piece by piece."""
    turn = read_turn(exchange)
    reply = answer(turn)
    exchange.owe(turn.model, [reply])
    documents = stream_answers(exchange, turn, reply)
    error = write_error(Wrong(503, ""), exchange)[0]
    if exchange.request.query.get("alt") == "sse":
        return await exchange.send_stream(map(_event, documents), "text/event-stream", _event(error), {"Content-Disposition": "attachment"})
    chunks = ((b"," if number else b"[") + _dump(document).rstrip(b"\n") + b"\r\n" for number, document in enumerate(documents))
    return await exchange.send_stream(chunks, GEMINI.json_type, b"," + _dump(error) + b"]", end=b"]")


def _event(document: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(document, ensure_ascii=False, separators=(",", ": ")).encode("utf-8", "surrogatepass") + b"\r\n\r\n"


async def embed(exchange: Exchange) -> web.StreamResponse:
    """`:embedContent`."""
    text = join_text(_parts_text(_require(exchange.document, "content")))
    tokens = count_tokens(text)
    usage = {"promptTokenCount": tokens, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": tokens}], "totalTokenCount": tokens}
    return await exchange.send({"embedding": {"values": _embed(exchange.document, text)}, "usageMetadata": usage})


async def embed_many(exchange: Exchange) -> web.StreamResponse:
    """`:batchEmbedContents`."""
    asked = _require(exchange.document, "requests")
    vectors = [{"values": _embed(each, join_text(_parts_text(_require(each, "content"))))} for each in asked]
    tokens = sum(count_tokens(join_text(_parts_text(each["content"]))) for each in asked)
    return await exchange.send({"embeddings": vectors, "usageMetadata": {"promptTokenCount": tokens, "totalTokenCount": tokens}})


def _require(document: dict[str, Any], name: str) -> Any:
    if not document.get(name):
        raise Wrong(400, f"* {name}: {name} is required and must not be empty\n")
    return document[name]


def _embed(document: dict[str, Any], text: str) -> list[float]:
    return make_vector(text, pick(document, "outputDimensionality") or 768)


async def count(exchange: Exchange) -> web.StreamResponse:
    """`:countTokens`."""
    inner = pick(exchange.document, "generateContentRequest") or exchange.document
    tokens = count_tokens(join_text([content.get("parts") for content in _read_contents(inner)]))
    return await exchange.send({"totalTokens": tokens, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": tokens}]})


_METHODS: dict[str, Callable[[Exchange], Any]] = {
    "generateContent": generate,
    "streamGenerateContent": stream,
    "embedContent": embed,
    "batchEmbedContents": embed_many,
    "countTokens": count,
}


async def answer_method(exchange: Exchange) -> web.StreamResponse:
    """`POST /{version}/models/{model}:{method}`."""
    method = _METHODS.get(exchange.request.match_info["method"])
    if method is None:
        raise Wrong(404, "")
    return await method(exchange)


def describe_model(name: str) -> dict[str, Any]:
    """A model of the list, as Google describes it."""
    methods = ["embedContent", "countTokens"] if "embedding" in name else ["generateContent", "countTokens"]
    sizes = {"inputTokenLimit": 1_048_576, "outputTokenLimit": 65_536}
    return {"name": f"models/{name}", "version": "001", "displayName": name.replace("-", " ").title(), **sizes, "supportedGenerationMethods": methods}


async def list_models(exchange: Exchange) -> web.StreamResponse:
    """`GET /{version}/models`."""
    return await exchange.send({"models": [describe_model(name) for name in MODELS]})


async def show_model(exchange: Exchange) -> web.StreamResponse:
    """`GET /{version}/models/{model}`."""
    return await exchange.send(describe_model(exchange.request.match_info["model"]))
