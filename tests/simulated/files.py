"""OpenAI's files and batches: a file of requests goes up, a batch runs them, a file of answers comes back.

Source: https://platform.openai.com/docs/api-reference/files and /batch. A batch is `validating` in the answer that makes it and
`completed` when it is looked at.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec
from aiohttp import web

from proxy.demo import chat, openai
from proxy.demo.exchange import Exchange, Wrong, serve
from proxy.demo.openai import OPENAI, require
from proxy.demo.turn import Reply, answer
from tests.simulated.form import read_form, require_field


class File(msgspec.Struct):
    document: dict[str, Any]
    content: bytes


class Batch(msgspec.Struct):
    document: dict[str, Any]


def _keep_file(exchange: Exchange, name: str, purpose: str, content: bytes, variant: str = "") -> File:
    about = {"bytes": len(content), "created_at": exchange.now_s, "expires_at": None, "filename": name, "purpose": purpose}
    file = File(
        {"object": "file", "id": exchange.make_id("file-", 22, variant=variant), **about, "status": "processed", "status_details": None}, content
    )
    exchange.desk.keep(file.document["id"], file)
    return file


def _find(exchange: Exchange, kind: type, name: str) -> Any:
    found = exchange.desk.shelf.get(name)
    if not isinstance(found, kind):
        raise Wrong(404, f"No such {kind.__name__} object: {name}", param="id")
    return found


async def upload(exchange: Exchange) -> web.StreamResponse:
    """`POST /v1/files`, a form."""
    form = read_form(exchange)
    name, content = require_field(form, "file")
    return await exchange.send(_keep_file(exchange, name or "file", require_field(form, "purpose")[1].decode(), content).document)


async def list_files(exchange: Exchange) -> web.StreamResponse:
    data = [thing.document for thing in exchange.desk.shelf.values() if isinstance(thing, File)]
    return await exchange.send({"object": "list", "data": data, "has_more": False})


async def show_file(exchange: Exchange) -> web.StreamResponse:
    return await exchange.send(_find(exchange, File, exchange.request.match_info["id"]).document)


async def download(exchange: Exchange) -> web.StreamResponse:
    file = _find(exchange, File, exchange.request.match_info["id"])
    disposition = {"Content-Disposition": f'attachment; filename="{file.document["filename"]}"'}
    return await exchange.send_bytes(file.content, "application/octet-stream", disposition)


async def delete_file(exchange: Exchange) -> web.StreamResponse:
    name = _find(exchange, File, exchange.request.match_info["id"]).document["id"]
    del exchange.desk.shelf[name]
    return await exchange.send({"id": name, "object": "file", "deleted": True})


def _run_line(exchange: Exchange, line: bytes, variant: str) -> tuple[dict[str, Any], Reply | None, str | None]:
    """(line of the answers, the reply, the model) for one line of the requests."""
    asked = json.loads(line)
    inner = Exchange(exchange.request, exchange.dialect, line)
    inner.document = asked.get("body") or {}
    head = {"id": exchange.make_id("batch_req_", 32, variant=variant), "custom_id": asked.get("custom_id")}
    try:
        turn = chat.read_turn(inner)
    except Wrong as wrong:
        document = openai.write_error(wrong, inner)[0]
        return {**head, "response": {"status_code": wrong.status, "request_id": head["id"], "body": document}, "error": None}, None, None
    reply = answer(turn)
    message = {"role": "assistant", "content": reply.text, "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": chat.finish_of(reply)}
    model = openai.answered_model(turn.model)
    about = {"id": exchange.make_id("chatcmpl-", 29, variant=variant), "object": "chat.completion", "created": exchange.now_s, "model": model}
    body = {**about, "choices": [choice], "usage": openai.write_usage(turn, [reply])}
    return {**head, "response": {"status_code": 200, "request_id": head["id"], "body": body}, "error": None}, reply, model


async def make_batch(exchange: Exchange) -> web.StreamResponse:
    """`POST /v1/batches`, over Chat Completions."""
    file = _find(exchange, File, require(exchange, "input_file_id"))
    lines = [line for line in file.content.splitlines() if line.strip()]
    results = [_run_line(exchange, line, str(number)) for number, line in enumerate(lines)]
    replies = [reply for _, reply, _ in results if reply]
    output = b"".join(msgspec.json.encode(result) + b"\n" for result, _, _ in results)
    counted = {"total": len(lines), "completed": len(replies), "failed": len(lines) - len(replies)}
    document = {
        "id": exchange.make_id("batch_", 32, "0123456789abcdef"),
        "object": "batch",
        "endpoint": require(exchange, "endpoint"),
        "errors": None,
        "input_file_id": file.document["id"],
        "completion_window": require(exchange, "completion_window"),
        "status": "validating",
        "output_file_id": None,
        "error_file_id": None,
        "created_at": exchange.now_s,
        "request_counts": {"total": 0, "completed": 0, "failed": 0},
        "metadata": exchange.document.get("metadata"),
    }
    made = _keep_file(exchange, "batch_output.jsonl", "batch_output", output, "output")
    asked, said = sum(reply.input_tokens for reply in replies), sum(reply.output_tokens for reply in replies)
    usage = {"input_tokens": asked, "output_tokens": said, "total_tokens": asked + said}
    usage |= {"input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0}}
    done = {"status": "completed", "output_file_id": made.document["id"], "completed_at": exchange.now_s + 60, "request_counts": counted}
    models = [model for _, _, model in results if model]
    exchange.desk.keep(document["id"], Batch({**document, **done, "usage": usage, "model": models[0] if models else None}))
    return await exchange.send(document)


async def show_batch(exchange: Exchange) -> web.StreamResponse:
    return await exchange.send(_find(exchange, Batch, exchange.request.match_info["id"]).document)


async def list_batches(exchange: Exchange) -> web.StreamResponse:
    data = [thing.document for thing in exchange.desk.shelf.values() if isinstance(thing, Batch)]
    return await exchange.send({"object": "list", "data": data, "has_more": False})


def add_routes(app: web.Application) -> None:
    app.router.add_post("/v1/files", serve(OPENAI, upload, json_body=False))
    app.router.add_get("/v1/files", serve(OPENAI, list_files))
    app.router.add_get("/v1/files/{id}", serve(OPENAI, show_file))
    app.router.add_get("/v1/files/{id}/content", serve(OPENAI, download))
    app.router.add_delete("/v1/files/{id}", serve(OPENAI, delete_file))
    app.router.add_post("/v1/batches", serve(OPENAI, make_batch))
    app.router.add_get("/v1/batches", serve(OPENAI, list_batches))
    app.router.add_get("/v1/batches/{id}", serve(OPENAI, show_batch))
