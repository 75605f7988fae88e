"""OpenAI's Chat Completions and its elder, Completions.

Source: https://platform.openai.com/docs/api-reference/chat, and recorded exchanges for the order of fields and events.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from aiohttp import web

from proxy.demo.exchange import Exchange, Wrong
from proxy.demo.openai import answered_model, last_text, read_choice, read_tool, reasons, require, sse, write_usage
from proxy.demo.prose import count_tokens, generator, split_text
from proxy.demo.turn import Called, Reply, Turn, answer, join_text

DONE = b"data: [DONE]\n\n"
EVENTS = "text/event-stream; charset=utf-8"
_FAILED = "The server had an error while processing your request. Sorry about that!"
STREAM_ERROR = sse({"error": {"message": _FAILED, "type": "server_error", "param": None, "code": None}})
_MOST_CHOICES = 128


def read_turn(exchange: Exchange) -> Turn:
    """The turn in a chat request. Raises `Wrong`."""
    document, model = exchange.document, require(exchange, "model")
    messages = require(exchange, "messages", (list,))
    if not messages or not all(isinstance(message, dict) and isinstance(message.get("role"), str) for message in messages):
        raise Wrong(400, "Invalid 'messages': expected a non-empty array of objects with a 'role'.", code="invalid_type", param="messages")
    tools = [tool for each in document.get("tools") or [] if (tool := read_tool(each))]
    turn = Turn(
        model=model,
        prompt=join_text([[message.get("content"), message.get("tool_calls")] for message in messages] + [document.get("tools")]),
        last="",
        messages=len(messages),
        tools=tools,
        most_tokens=read_limit(document, "max_completion_tokens", "max_tokens"),
        reasons=reasons(model, document.get("reasoning_effort")),
        fault=exchange.fault,
    )
    for message in messages:
        if message["role"] == "user":
            turn.last, turn.called = last_text(message.get("content")), []
        for call in message.get("tool_calls") or []:
            inner = call.get("function") or call.get("custom") or {}
            turn.called = [*turn.called, str(inner.get("name"))]
    read_choice(turn, document.get("tool_choice"))
    shape = document.get("response_format")
    if isinstance(shape, dict) and shape.get("type") in ("json_object", "json_schema"):
        turn.json_asked = True
        turn.schema = (shape.get("json_schema") or {}).get("schema")
    return turn


def read_limit(document: dict[str, Any], *names: str) -> int | None:
    """The first of these fields that holds a positive number."""
    return next((value for name in names if isinstance(value := document.get(name), int) and value > 0), None)


def read_count(document: dict[str, Any]) -> int:
    """`n`. Raises `Wrong`."""
    count = document.get("n") or 1
    if not isinstance(count, int) or not 0 < count <= _MOST_CHOICES:
        raise Wrong(400, f"Invalid 'n': integer between 1 and {_MOST_CHOICES} expected.", code="integer_out_of_range", param="n")
    return count


def finish_of(reply: Reply) -> str:
    return "tool_calls" if reply.calls else "length" if reply.cut else "stop"


def write_call(exchange: Exchange, call: Called, variant: str) -> dict[str, Any]:
    inner = {"name": call.name, "input" if call.free_text else "arguments": call.text}
    kind = "custom" if call.free_text else "function"
    return {"id": exchange.make_id("call_", 24, variant=variant), "type": kind, kind: inner}


def write_logprobs(text: str) -> dict[str, Any]:
    """Plausible log probabilities, one a piece of text."""
    pieces = []
    for piece in split_text(text):
        logprob = -round(generator("logprob", piece).random() / 4, 6)
        pieces.append({"token": piece, "logprob": logprob, "bytes": list(piece.encode()), "top_logprobs": []})
    return {"content": pieces, "refusal": None}


async def answer_chat(exchange: Exchange) -> web.StreamResponse:
    """`POST /v1/chat/completions`."""
    turn, count = read_turn(exchange), read_count(exchange.document)
    options = exchange.document.get("stream_options")
    if options is not None and not exchange.document.get("stream"):
        raise Wrong(400, "The 'stream_options' parameter is only allowed when 'stream' is enabled.", param="stream_options")
    replies = [answer(turn, variant) for variant in range(count)]
    exchange.owe(answered_model(turn.model), replies)
    if exchange.document.get("stream"):
        wants_usage = isinstance(options, dict) and bool(options.get("include_usage"))
        return await exchange.send_stream(stream_chat(exchange, turn, replies, wants_usage), EVENTS, STREAM_ERROR, end=DONE)
    choices = []
    for index, reply in enumerate(replies):
        calls = [write_call(exchange, call, f"{index} {number}") for number, call in enumerate(reply.calls)]
        message: dict[str, Any] = {"role": "assistant", "content": None if calls else reply.text}
        if calls:
            message["tool_calls"] = calls
        message |= {"refusal": None, "annotations": []}
        logprobs = write_logprobs(reply.text) if exchange.document.get("logprobs") else None
        choices.append({"index": index, "message": message, "logprobs": logprobs, "finish_reason": finish_of(reply)})
    document = {**_head(exchange, turn, "chat.completion"), "choices": choices, "usage": write_usage(turn, replies)}
    document |= {"service_tier": document.pop("service_tier"), "system_fingerprint": document.pop("system_fingerprint")}
    if exchange.fault.name == "no-usage":
        del document["usage"]
    return await exchange.send(document)


def _head(exchange: Exchange, turn: Turn, kind: str) -> dict[str, Any]:
    tier = exchange.document.get("service_tier")
    return {
        "id": exchange.make_id("chatcmpl-", 29),
        "object": kind,
        "created": exchange.now_s,
        "model": answered_model(turn.model),
        "service_tier": tier if tier in ("flex", "priority") else "default",
        "system_fingerprint": "fp_44709d6fcb",
    }


def stream_chat(exchange: Exchange, turn: Turn, replies: list[Reply], wants_usage: bool) -> Iterator[bytes]:
    """The events of a streamed chat completion, without `[DONE]`."""
    head = _head(exchange, turn, "chat.completion.chunk")
    tail = {"usage": None} if wants_usage else {}
    wants_logprobs = bool(exchange.document.get("logprobs"))

    def chunk(index: int, delta: dict[str, Any], finish: str | None = None, logprobs: Any = None) -> bytes:
        return sse({**head, "choices": [{"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish}], **tail})

    for index, reply in enumerate(replies):
        if reply.calls:
            for number, call in enumerate(reply.calls):
                whole = write_call(exchange, call, f"{index} {number}")
                kind, name = whole["type"], "input" if call.free_text else "arguments"
                first = {"index": number, **whole, kind: {**whole[kind], name: ""}}
                start = {"role": "assistant", "content": None} if number == 0 else {}
                yield chunk(index, {**start, "tool_calls": [first], **({"refusal": None} if start else {})})
                for piece in slice_text(call.text):
                    yield chunk(index, {"tool_calls": [{"index": number, kind: {name: piece}}]})
        else:
            yield chunk(index, {"role": "assistant", "content": "", "refusal": None})
            for piece in split_text(reply.text):
                yield chunk(index, {"content": piece}, logprobs=write_logprobs(piece) if wants_logprobs else None)
        yield chunk(index, {}, finish_of(reply))
    if wants_usage and exchange.fault.name != "no-usage":
        yield sse({**head, "choices": [], "usage": write_usage(turn, replies)})


def slice_text(text: str, length: int = 8) -> list[str]:
    """Text in pieces of a few characters, the way tool arguments come."""
    return [text[start : start + length] for start in range(0, len(text), length)]


async def answer_completion(exchange: Exchange) -> web.StreamResponse:
    """`POST /v1/completions`: prompts in, their continuations out."""
    document, model = exchange.document, require(exchange, "model")
    prompts = require(exchange, "prompt", (str, list))
    prompts = prompts if isinstance(prompts, list) and prompts and not isinstance(prompts[0], int) else [prompts]
    most = read_limit(document, "max_tokens") or 16
    replies = []
    for prompt in prompts:
        text = prompt if isinstance(prompt, str) else " ".join(map(str, prompt))
        turn = Turn(model=model, prompt=text, last=text, most_tokens=most, fault=exchange.fault)
        replies += [answer(turn, variant) for variant in range(read_count(document))]
    head = {"id": exchange.make_id("cmpl-", 29), "object": "text_completion", "created": exchange.now_s, "model": answered_model(model)}
    output = sum(reply.output_tokens for reply in replies)
    asked = sum(count_tokens(prompt if isinstance(prompt, str) else " ".join(map(str, prompt))) for prompt in prompts)
    usage = {"prompt_tokens": asked, "completion_tokens": output, "total_tokens": asked + output}
    if document.get("stream"):
        wants_usage = bool((document.get("stream_options") or {}).get("include_usage")) and exchange.fault.name != "no-usage"
        return await exchange.send_stream(_stream_completion(head, replies, usage if wants_usage else None), EVENTS, STREAM_ERROR, end=DONE)
    choices = [{"text": reply.text, "index": index, "logprobs": None, "finish_reason": finish_of(reply)} for index, reply in enumerate(replies)]
    return await exchange.send({**head, "choices": choices, **({} if exchange.fault.name == "no-usage" else {"usage": usage})})


def _stream_completion(head: dict[str, Any], replies: list[Reply], usage: dict[str, Any] | None) -> Iterator[bytes]:
    tail = {} if usage is None else {"usage": None}
    for index, reply in enumerate(replies):
        for piece in split_text(reply.text):
            yield sse({**head, "choices": [{"text": piece, "index": index, "logprobs": None, "finish_reason": None}], **tail})
        yield sse({**head, "choices": [{"text": "", "index": index, "logprobs": None, "finish_reason": finish_of(reply)}], **tail})
    if usage is not None:
        yield sse({**head, "choices": [], "usage": usage})
