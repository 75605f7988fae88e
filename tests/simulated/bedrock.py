"""Amazon Bedrock: Converse and Invoke, whole and as binary event streams, and token counts.

Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html and its siblings, and recorded exchanges.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import msgspec
from aiohttp import web

from proxy.demo import anthropic
from proxy.demo.chat import slice_text
from proxy.demo.embeddings import make_vector
from proxy.demo.exchange import Dialect, Exchange, Wrong, serve
from proxy.demo.faults import split_model
from proxy.demo.prose import count_tokens, generator, split_text
from proxy.demo.turn import Reply, Tool, Turn, answer, join_text
from tests.simulated.frames import event, exception

EVENT_STREAM = "application/vnd.amazon.eventstream"
_PADDING = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
_ERRORS = {
    400: ("ValidationException", "The provided request is not valid."),
    401: ("UnrecognizedClientException", "The security token included in the request is invalid."),
    402: ("AccessDeniedException", "Your account has a payment issue."),
    403: ("AccessDeniedException", "You don't have access to the model with the specified model ID."),
    404: ("ResourceNotFoundException", "Could not resolve the foundation model from the provided model identifier."),
    408: ("ModelTimeoutException", "The request took too long to process."),
    424: ("ModelErrorException", "The request failed due to an error while processing the model."),
    429: ("ThrottlingException", "Too many requests, please wait before trying again."),
    500: ("InternalServerException", "The system encountered an unexpected error during processing. Try your request again."),
    503: ("ServiceUnavailableException", "Bedrock is unable to process your request."),
}


def write_error(wrong: Wrong, exchange: Exchange) -> tuple[Any, dict[str, str]]:
    kind, message = _ERRORS.get(wrong.status) or _ERRORS[500 if wrong.status > 499 else 400]
    return {"message": wrong.message or message}, {"x-amzn-ErrorType": kind}


def write_headers(exchange: Exchange) -> dict[str, str]:
    return {"x-amzn-RequestId": exchange.make_uuid()}


BEDROCK = Dialect("bedrock", write_error, write_headers, lambda request, document: request.match_info.get("model"))
_STREAM_ERROR = exception("modelStreamErrorException", b'{"message":"The model broke off.","originalStatusCode":500}')


def read_turn(exchange: Exchange) -> Turn:
    """The turn in a Converse request. Raises `Wrong`."""
    document = exchange.document
    messages = document.get("messages")
    if not messages:
        raise Wrong(400, "The messages field is required and must not be empty.")
    config = document.get("toolConfig") or {}
    choice = config.get("toolChoice") or {}
    turn = Turn(
        model=split_model(exchange.request.match_info["model"])[0],
        prompt=join_text([document.get("system"), [message.get("content") for message in messages], config.get("tools")]),
        last="",
        messages=len(messages),
        tools=[Tool(each["toolSpec"]["name"], each["toolSpec"]["inputSchema"].get("json") or {}) for each in config.get("tools") or []],
        must_call="any" in choice,
        forced=(choice.get("tool") or {}).get("name"),
        most_tokens=(document.get("inferenceConfig") or {}).get("maxTokens"),
        fault=exchange.fault,
    )
    for message in messages:
        if message["role"] == "user" and not any("toolResult" in block for block in message["content"]):
            turn.last, turn.called = next((block["text"] for block in reversed(message["content"]) if "text" in block), ""), []
        turn.called = turn.called + [block["toolUse"]["name"] for block in message["content"] if "toolUse" in block]
    return turn


def write_usage(exchange: Exchange, reply: Reply) -> dict[str, int]:
    """Caches stand beside the input, not within it; a prompt with a cache point reads three quarters of it from the cache."""
    cached = reply.input_tokens * 3 // 4 if b'"cachePoint"' in exchange.body else 0
    usage = {"inputTokens": reply.input_tokens - cached, "outputTokens": reply.output_tokens, "totalTokens": reply.input_tokens + reply.output_tokens}
    return usage | {"cacheReadInputTokens": cached, "cacheWriteInputTokens": 0}


def stop_of(reply: Reply) -> str:
    return "tool_use" if reply.calls else "max_tokens" if reply.cut else "end_turn"


def write_content(exchange: Exchange, reply: Reply) -> list[dict[str, Any]]:
    calls = []
    for number, call in enumerate(reply.calls):
        calls.append({"toolUse": {"toolUseId": exchange.make_id("tooluse_", 22, variant=str(number)), "name": call.name, "input": call.arguments}})
    return calls or [{"text": reply.text}]


async def converse(exchange: Exchange) -> web.StreamResponse:
    """`POST /model/{model}/converse`."""
    reply = answer(read_turn(exchange))
    message = {"role": "assistant", "content": write_content(exchange, reply)}
    document = {"metrics": {"latencyMs": 418}, "output": {"message": message}, "stopReason": stop_of(reply)}
    return await exchange.send(document if exchange.fault.name == "no-usage" else {**document, "usage": write_usage(exchange, reply)})


async def converse_stream(exchange: Exchange) -> web.StreamResponse:
    """`POST /model/{model}/converse-stream`."""
    reply = answer(read_turn(exchange))
    return await exchange.send_stream(_stream(exchange, reply), EVENT_STREAM, _STREAM_ERROR)


def _padded(kind: str, document: dict[str, Any]) -> bytes:
    """An event whose field `p` hides its length, as the provider's do."""
    length = generator("padding", msgspec.json.encode(document)).randint(2, len(_PADDING))
    return event(kind, msgspec.json.encode({**document, "p": _PADDING[:length]}))


def _stream(exchange: Exchange, reply: Reply) -> Iterator[bytes]:
    yield _padded("messageStart", {"role": "assistant"})
    for index, block in enumerate(write_content(exchange, reply)):
        if "toolUse" in block:
            use = block["toolUse"]
            start = {"toolUse": {"toolUseId": use["toolUseId"], "name": use["name"]}}
            yield _padded("contentBlockStart", {"contentBlockIndex": index, "start": start})
            for piece in slice_text(msgspec.json.encode(use["input"]).decode()):
                yield _padded("contentBlockDelta", {"contentBlockIndex": index, "delta": {"toolUse": {"input": piece}}})
        else:
            for piece in split_text(block["text"]):
                yield _padded("contentBlockDelta", {"contentBlockIndex": index, "delta": {"text": piece}})
        yield _padded("contentBlockStop", {"contentBlockIndex": index})
    yield _padded("messageStop", {"stopReason": stop_of(reply)})
    if exchange.fault.name != "no-usage":
        yield _padded("metadata", {"metrics": {"latencyMs": 753}, "usage": write_usage(exchange, reply)})


def _open_message(exchange: Exchange) -> tuple[Turn, Reply]:
    """The turn in an Anthropic request without a model, and its answer. Raises `Wrong`."""
    if "anthropic_version" not in exchange.document:
        raise Wrong(400, "anthropic_version: Field required")
    exchange.document = {**exchange.document, "model": split_model(exchange.request.match_info["model"])[0].split("anthropic.")[-1]}
    turn = anthropic.read_turn(exchange)
    return turn, answer(turn)


async def invoke(exchange: Exchange) -> web.StreamResponse:
    """`POST /model/{model}/invoke`: the model's own shape; here Anthropic's, Nova's and Titan's embeddings."""
    model = exchange.request.match_info["model"]
    if "embed" in model:
        text = exchange.document.get("inputText") or join_text(exchange.document.get("texts"))
        tokens = count_tokens(text)
        document: dict[str, Any] = {"embedding": make_vector(text, exchange.document.get("dimensions") or 256), "inputTextTokenCount": tokens}
        return await exchange.send(document, _count_headers(tokens, 0))
    if "nova" in model:
        reply = answer(read_turn(exchange))
        message = {"role": "assistant", "content": write_content(exchange, reply)}
        document = {"output": {"message": message}, "stopReason": stop_of(reply), "usage": write_usage(exchange, reply)}
    else:
        turn, reply = _open_message(exchange)
        document = anthropic.write_message(exchange, turn, reply)
    return await exchange.send(document, _count_headers(reply.input_tokens, reply.output_tokens))


def _count_headers(asked: int, said: int) -> dict[str, str]:
    latency = {"X-Amzn-Bedrock-Invocation-Latency": "418"}
    return {**latency, "X-Amzn-Bedrock-Input-Token-Count": str(asked), "X-Amzn-Bedrock-Output-Token-Count": str(said)}


async def invoke_stream(exchange: Exchange) -> web.StreamResponse:
    """`POST /model/{model}/invoke-with-response-stream`: the provider's own events, in base64; the last one with the metrics."""
    turn, reply = _open_message(exchange)
    headers = {"X-Amzn-Bedrock-Content-Type": "application/json"}
    return await exchange.send_stream(_wrap(exchange, turn, reply), EVENT_STREAM, _STREAM_ERROR, headers)


def _wrap(exchange: Exchange, turn: Turn, reply: Reply) -> Iterator[bytes]:
    metrics = {"inputTokenCount": reply.input_tokens, "outputTokenCount": reply.output_tokens, "invocationLatency": 753, "firstByteLatency": 301}
    for chunk in anthropic.stream_message(exchange, turn, reply):
        if chunk.startswith(b"event: ping"):
            continue
        document = msgspec.json.decode(chunk.split(b"data: ", 1)[1])
        if document["type"] == "message_stop":
            document["amazon-bedrock-invocationMetrics"] = metrics
        yield _padded("chunk", {"bytes": base64.b64encode(msgspec.json.encode(document)).decode()})


async def count(exchange: Exchange) -> web.StreamResponse:
    """`POST /model/{model}/count-tokens`."""
    asked = exchange.document.get("input") or {}
    inner = asked.get("converse") or msgspec.json.decode(base64.b64decode((asked.get("invokeModel") or {}).get("body") or "e30="))
    return await exchange.send({"inputTokens": count_tokens(join_text([inner.get("system"), inner.get("messages")]))})


def add_routes(app: web.Application) -> None:
    answers = {
        "converse": converse,
        "converse-stream": converse_stream,
        "invoke": invoke,
        "invoke-with-response-stream": invoke_stream,
        "count-tokens": count,
    }
    for name, answered in answers.items():
        app.router.add_post(f"/model/{{model:.+}}/{name}", serve(BEDROCK, answered))
