"""OpenAI's Chat Completions as other providers write them: Azure, Mistral, Groq, DeepSeek and OpenRouter.

Each flavour changes the documents of the plain dialect; what it changes was seen in recorded exchanges, or stands in the provider's reference.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec
from aiohttp import web

from proxy.demo import chat, embeddings, openai, responses
from proxy.demo.exchange import Dialect, Exchange, Wrong, serve
from proxy.demo.openai import OPENAI, sse

Change = Callable[[Exchange, dict[str, Any]], dict[str, Any]]
_HARMLESS = {name: {"filtered": False, "severity": "safe"} for name in ("hate", "self_harm", "sexual", "violence")}


class Flavour(msgspec.Struct, frozen=True):
    """How one provider differs. `first`: bytes before the first event of a stream."""

    dialect: Dialect
    whole: Change
    chunk: Change
    first: Callable[[Exchange], bytes] = lambda exchange: b""
    counts_always: bool = True  # usage in the stream without being asked
    joins_calls: bool = False  # tool calls come whole, on the last chunk


class FlavouredExchange(Exchange):
    """An exchange whose documents are changed on their way out."""

    flavour: Flavour

    async def send(self, document: Any, headers: dict[str, str] | None = None) -> web.StreamResponse:
        return await super().send(self.flavour.whole(self, document), headers)

    async def send_stream(
        self, chunks: Iterable[bytes], content_type: str, error: bytes, headers: dict[str, str] | None = None, end: bytes = b""
    ) -> web.StreamResponse:
        return await super().send_stream(self._change(chunks), content_type, error, headers, end)

    def _change(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """One chunk behind, so that the usage, which OpenAI sends alone, can ride on the last chunk that has a choice."""
        waiting, first = None, self.flavour.first(self)
        documents: Iterable[dict[str, Any]] = map(_read_event, chunks)
        for document in _join_calls(documents) if self.flavour.joins_calls else documents:
            if not document["choices"] and waiting is not None and self.flavour.counts_always:
                waiting |= {"usage": document["usage"]}
                continue
            if waiting is not None:
                yield first + sse(self.flavour.chunk(self, waiting))
                first = b""
            waiting = document
        if waiting is not None:
            yield first + sse(self.flavour.chunk(self, waiting))


def _read_event(chunk: bytes) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(chunk[6:])
    return document


def _join_calls(documents: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The chunks with the pieces of each tool call put together and moved to the chunk that has the finish reason."""
    calls: dict[int, dict[str, Any]] = {}
    for document in documents:
        choice = document["choices"][0] if document["choices"] else {"delta": {}, "finish_reason": None}
        for piece in choice["delta"].pop("tool_calls", []):
            if piece["index"] in calls:
                calls[piece["index"]]["function"]["arguments"] += piece["function"]["arguments"]
            else:
                calls[piece["index"]] = piece
        if choice["finish_reason"] and calls:
            choice["delta"]["tool_calls"], calls = list(calls.values()), {}
        if choice["delta"] or choice["finish_reason"] or not document["choices"]:
            yield document


def flavour_exchange(exchange: Exchange, flavour: Flavour) -> FlavouredExchange:
    """The same exchange, with a flavour."""
    changed = FlavouredExchange(exchange.request, flavour.dialect, exchange.body)
    changed.flavour, changed.fault, changed.document = flavour, exchange.fault, exchange.document
    return changed


def flavoured(flavour: Flavour) -> Callable[[Exchange], Any]:
    """An answer to a chat request in a flavour."""

    async def answer(exchange: Exchange) -> web.StreamResponse:
        changed = flavour_exchange(exchange, flavour)
        if flavour.counts_always and exchange.document.get("stream"):
            changed.document = {**exchange.document, "stream_options": {"include_usage": True}}
        return await chat.answer_chat(changed)

    return answer


def _with_headers(name: str, more: Callable[[Exchange], dict[str, str]]) -> Dialect:
    """OpenAI's manners with further headers, and without the headers that name OpenAI."""

    def write_headers(exchange: Exchange) -> dict[str, str]:
        plain = {field: value for field, value in openai.write_headers(exchange).items() if not field.startswith("openai-")}
        return {**plain, **more(exchange)}

    return msgspec.structs.replace(OPENAI, name=name, write_headers=write_headers)


def _mistral_error(wrong: Wrong, exchange: Exchange) -> tuple[Any, dict[str, str]]:
    if wrong.status == 401:
        return {"detail": "Unauthorized"}, {}
    if wrong.status == 429:
        return {"object": "error", "message": "Rate limit exceeded", "type": "rate_limited", "param": None, "code": "1300"}, {"retry-after": "1"}
    plain = openai.write_error(wrong, exchange)[0]["error"]
    kind = "invalid_request_error" if wrong.status < 500 else "internal_server_error"
    return {"object": "error", "message": plain["message"], "type": kind, "param": plain["param"], "code": "1500"}, {}


async def _mistral_embeddings(exchange: Exchange) -> web.StreamResponse:
    """Mistral's embeddings have an id."""
    flavour = msgspec.structs.replace(MISTRAL, whole=lambda exchange, document: {"id": exchange.make_id("", 32, "0123456789abcdef"), **document})
    return await embeddings.answer_embeddings(flavour_exchange(exchange, flavour))


def _drop_unused(document: dict[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in document.items() if name not in ("service_tier", "system_fingerprint")}
    if kept.get("usage", 0) is None:
        del kept["usage"]
    return kept


def _mistral_whole(exchange: Exchange, document: dict[str, Any]) -> dict[str, Any]:
    document = _drop_unused(document) | {"id": exchange.make_id("", 32, "0123456789abcdef")}
    for choice in document["choices"]:
        message = choice["message"]
        choice.pop("logprobs")
        calls = [
            {**call, "id": exchange.make_id("", 9, variant=str(index)), "index": index} for index, call in enumerate(message.get("tool_calls") or [])
        ]
        choice["message"] = {"role": "assistant", "content": message["content"] or "", "tool_calls": calls or None}
    return document


def _mistral_chunk(exchange: Exchange, document: dict[str, Any]) -> dict[str, Any]:
    document = _drop_unused(document) | {"id": exchange.make_id("", 32, "0123456789abcdef")}
    for choice in document["choices"]:
        choice.pop("logprobs")
        choice["delta"].pop("refusal", None)
        choice["delta"]["content"] = choice["delta"].get("content") or ""
        for call in choice["delta"].get("tool_calls", []):
            call["id"] = exchange.make_id("", 9, variant=str(call["index"]))
    return document


def _groq_whole(exchange: Exchange, document: dict[str, Any]) -> dict[str, Any]:
    document["usage"] = {**document["usage"], "queue_time": 0.018, "prompt_time": 0.002, "completion_time": 0.05, "total_time": 0.052}
    return document | {"x_groq": {"id": exchange.make_id("req_01", 24)}}


def _groq_chunk(exchange: Exchange, document: dict[str, Any]) -> dict[str, Any]:
    usage = document.pop("usage", None)
    if "role" in document["choices"][0]["delta"]:
        document["x_groq"] = {"id": exchange.make_id("req_01", 24)}
    if usage is not None:
        document["x_groq"] = {"id": exchange.make_id("req_01", 24), "usage": usage}
    return document


def _deepseek(exchange: Exchange, document: dict[str, Any]) -> dict[str, Any]:
    if usage := document.get("usage"):
        hit = usage["prompt_tokens_details"]["cached_tokens"]
        usage |= {"prompt_cache_hit_tokens": hit, "prompt_cache_miss_tokens": usage["prompt_tokens"] - hit}
    return document


def _openrouter(exchange: Exchange, document: dict[str, Any]) -> dict[str, Any]:
    for choice in document["choices"]:
        choice["native_finish_reason"] = choice["finish_reason"]
    if usage := document.get("usage"):
        cost = (usage["prompt_tokens"] * 15 + usage["completion_tokens"] * 60) / 1e8
        usage |= {"cost": cost, "is_byok": False, "cost_details": {"upstream_inference_cost": None}}
    return {**document, "id": exchange.make_id("gen-1771111111-", 20), "provider": "OpenAI"}


def _azure_whole(exchange: Exchange, document: dict[str, Any]) -> dict[str, Any]:
    for choice in document["choices"]:
        choice["content_filter_results"] = _HARMLESS
    return document | {"prompt_filter_results": [{"prompt_index": 0, "content_filter_results": _HARMLESS}]}


def _azure_chunk(exchange: Exchange, document: dict[str, Any]) -> dict[str, Any]:
    for choice in document["choices"]:
        choice["content_filter_results"] = _HARMLESS if choice["delta"].get("content") else {}
    return document


def _azure_first(exchange: Exchange) -> bytes:
    prompt = [{"prompt_index": 0, "content_filter_results": _HARMLESS}]
    return sse({"choices": [], "created": 0, "id": "", "model": "", "object": "", "prompt_filter_results": prompt})


MISTRAL_DIALECT = msgspec.structs.replace(
    _with_headers("mistral", lambda exchange: {"mistral-correlation-id": exchange.make_uuid()}), write_error=_mistral_error
)
MISTRAL = Flavour(MISTRAL_DIALECT, _mistral_whole, _mistral_chunk, joins_calls=True)
GROQ = Flavour(_with_headers("groq", lambda exchange: {"x-groq-region": "dmm"}), _groq_whole, _groq_chunk)
DEEPSEEK = Flavour(_with_headers("deepseek", lambda exchange: {}), _deepseek, _deepseek, lambda exchange: b": keep-alive\n\n")
OPENROUTER = Flavour(_with_headers("openrouter", lambda exchange: {}), _openrouter, _openrouter, lambda exchange: b": OPENROUTER PROCESSING\n\n")
AZURE_DIALECT = msgspec.structs.replace(
    _with_headers("azure", lambda exchange: {"apim-request-id": exchange.make_uuid(), "x-ms-region": "Sweden Central"}),
    model_of=lambda request, document: request.match_info.get("deployment") or document.get("model"),
)
AZURE = Flavour(AZURE_DIALECT, _azure_whole, _azure_chunk, _azure_first, counts_always=False)


def deployed(answer: Callable[[Exchange], Any]) -> Callable[[Exchange], Any]:
    """On Azure the path names the deployment; the body needs no model."""

    async def named(exchange: Exchange) -> web.StreamResponse:
        exchange.document = {**exchange.document, "model": exchange.request.match_info["deployment"]}
        return await answer(exchange)

    return named


def add_routes(app: web.Application) -> None:
    add = app.router.add_post
    for prefix, flavour in (("/mistral/v1", MISTRAL), ("/groq/openai/v1", GROQ), ("/deepseek", DEEPSEEK), ("/openrouter/api/v1", OPENROUTER)):
        add(f"{prefix}/chat/completions", serve(flavour.dialect, flavoured(flavour)))
        add(f"{prefix}/embeddings", serve(flavour.dialect, _mistral_embeddings if flavour is MISTRAL else embeddings.answer_embeddings))
    below = "/openai/deployments/{deployment}"
    add(f"{below}/chat/completions", serve(AZURE_DIALECT, deployed(flavoured(AZURE))))
    add(f"{below}/completions", serve(AZURE_DIALECT, deployed(chat.answer_completion)))
    add(f"{below}/embeddings", serve(AZURE_DIALECT, deployed(embeddings.answer_embeddings)))
    add("/openai/v1/chat/completions", serve(AZURE_DIALECT, flavoured(AZURE)))
    add("/openai/v1/embeddings", serve(AZURE_DIALECT, embeddings.answer_embeddings))
    for prefix in ("/openai/v1", "/openai"):
        add(f"{prefix}/responses", serve(AZURE_DIALECT, responses.answer_responses))
        app.router.add_get(f"{prefix}/responses/{{id}}", serve(AZURE_DIALECT, responses.show_response))
