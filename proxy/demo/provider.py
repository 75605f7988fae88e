"""A simulated provider: OpenAI, Anthropic and Gemini on their own paths, to be called without a key.

`weighbridge serve` runs it as the upstream `demo`; `python -m proxy.demo.provider --port 0` runs it alone and prints its address.
What a client may ask of it beside the providers' own fields stands in `proxy.demo.faults` (faults and pace) and `proxy.demo.desk`
(what it received). `x-demo-seed` makes the ids and times of an answer depend on the request alone.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import signal
import socket
import sys
from collections.abc import Callable
from typing import Any

from aiohttp import web
from aiohttp.http_parser import HeadersParser, HttpRequestParserPy
from aiohttp.web_protocol import RequestHandler

from proxy.demo import anthropic, chat, embeddings, gemini, message_batches, openai, responses, responses_socket
from proxy.demo.desk import DESK, Desk, add_control
from proxy.demo.exchange import Dialect, Exchange, Wrong, inflate, serve

_MOST_BODY_BYTES = 1024**3
_HEADER_BYTES = 65536
_BACKLOG = 4096
_GEMINI_VERSION = "{version:v1|v1beta|v1beta1|v1alpha}"


def make_app(record: bool = True, seed: str | None = None, extend: Callable[[web.Application], None] | None = None) -> web.Application:
    """The application. `record` keeps what arrives for `/__demo/received`; with a `seed`, the same requests get the same bytes
    after each `/__demo/reset`; `extend` adds routes before the one that answers 404 to the rest."""
    app = web.Application(client_max_size=_MOST_BODY_BYTES)
    app[DESK] = Desk(record=record, seed=seed, decoders={"gzip": inflate, "deflate": inflate})
    add_control(app)
    _add_openai(app)
    _add_anthropic(app)
    _add_gemini(app)
    app.router.add_get("/v1/models", _list_models)
    app.router.add_get("/v1/models/{model}", _show_model)
    if extend is not None:
        extend(app)
    app.router.add_route("*", "/{rest:.*}", _refuse_path)
    return app


def _add_openai(app: web.Application) -> None:
    for version in ("/v1", ""):
        app.router.add_post(f"{version}/chat/completions", serve(openai.OPENAI, chat.answer_chat))
        app.router.add_post(f"{version}/completions", serve(openai.OPENAI, chat.answer_completion))
        app.router.add_post(f"{version}/embeddings", serve(openai.OPENAI, embeddings.answer_embeddings))
        app.router.add_post(f"{version}/responses", serve(openai.OPENAI, responses.answer_responses))
        app.router.add_get(f"{version}/responses", serve(openai.OPENAI, responses_socket.answer_socket))
        app.router.add_post(f"{version}/responses/input_tokens", serve(openai.OPENAI, responses.count_input))
        app.router.add_get(f"{version}/responses/{{id}}", serve(openai.OPENAI, responses.show_response))
        app.router.add_delete(f"{version}/responses/{{id}}", serve(openai.OPENAI, responses.delete_response))
        app.router.add_post(f"{version}/responses/{{id}}/cancel", serve(openai.OPENAI, responses.cancel_response, json_body=False))
        app.router.add_get(f"{version}/responses/{{id}}/input_items", serve(openai.OPENAI, responses.list_input))


def _add_anthropic(app: web.Application) -> None:
    app.router.add_post("/v1/messages", serve(anthropic.ANTHROPIC, anthropic.answer_messages))
    app.router.add_post("/v1/messages/count_tokens", serve(anthropic.ANTHROPIC, anthropic.answer_count))
    batches = "/v1/messages/batches"
    app.router.add_post(batches, serve(anthropic.ANTHROPIC, message_batches.make_batch))
    app.router.add_get(batches, serve(anthropic.ANTHROPIC, message_batches.list_batches))
    app.router.add_get(batches + "/{id}", serve(anthropic.ANTHROPIC, message_batches.show_batch))
    app.router.add_post(batches + "/{id}/cancel", serve(anthropic.ANTHROPIC, message_batches.cancel_batch, json_body=False))
    app.router.add_get(batches + "/{id}/results", serve(anthropic.ANTHROPIC, message_batches.show_results))


def _add_gemini(app: web.Application) -> None:
    method = "models/{model:[^/:]+}:{method:[A-Za-z]+}"
    for before in (f"/{_GEMINI_VERSION}/", f"/{_GEMINI_VERSION}/projects/{{project}}/locations/{{location}}/publishers/google/", "/"):
        app.router.add_post(before + method, serve(gemini.GEMINI, gemini.answer_method))
    app.router.add_get("/{version:v1beta|v1alpha}/models", serve(gemini.GEMINI, gemini.list_models))
    app.router.add_get("/{version:v1beta|v1alpha}/models/{model}", serve(gemini.GEMINI, gemini.show_model))


_LISTS: dict[str, tuple[Dialect, Any, Any]] = {
    "openai": (openai.OPENAI, embeddings.list_models, embeddings.show_model),
    "anthropic": (anthropic.ANTHROPIC, anthropic.list_models, anthropic.show_model),
    "gemini": (gemini.GEMINI, gemini.list_models, gemini.show_model),
}


def _dialect_of(request: web.Request) -> str:
    """Whose client asks: three providers share some paths."""
    headers = request.headers
    if "anthropic-version" in headers or "x-api-key" in headers or request.path.startswith("/v1/messages"):
        return "anthropic"
    if "x-goog-api-key" in headers or "key" in request.query or request.path.startswith(("/v1beta", "/v1alpha")):
        return "gemini"
    return "openai"


async def _list_models(request: web.Request) -> web.StreamResponse:
    dialect, answer, _ = _LISTS[_dialect_of(request)]
    return await serve(dialect, answer)(request)


async def _show_model(request: web.Request) -> web.StreamResponse:
    dialect, _, answer = _LISTS[_dialect_of(request)]
    return await serve(dialect, answer)(request)


async def _refuse_path(request: web.Request) -> web.StreamResponse:
    async def refuse(exchange: Exchange) -> web.StreamResponse:
        raise Wrong(404, f"Invalid URL ({request.method} {request.path})")

    return await serve(_LISTS[_dialect_of(request)][0], refuse, json_body=False)(request)


class _Site(web.SockSite):
    """A site that takes requests with a header given twice, as Google's servers do; some frameworks send two User-Agents."""

    async def start(self) -> None:
        await web.BaseSite.start(self)
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._make_handler, sock=self._sock, backlog=_BACKLOG)

    def _make_handler(self) -> RequestHandler:
        server = self._runner.server
        assert server is not None
        handler = server()
        parser = HttpRequestParserPy(
            handler,
            asyncio.get_running_loop(),
            2**16,
            max_line_size=_HEADER_BYTES,
            max_field_size=_HEADER_BYTES,
            payload_exception=web.RequestPayloadError,
            auto_decompress=False,
        )
        parser._headers_parser = HeadersParser(_HEADER_BYTES, lax=True)
        handler._parser = parser
        return handler


async def serve_app(app: web.Application, listener: socket.socket) -> web.AppRunner:
    """Serve an application on a listening socket. A client that leaves ends its handler at once."""
    runner = web.AppRunner(app, handler_cancellation=True, auto_decompress=False, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    await _Site(runner, listener).start()
    return runner


async def start(host: str = "127.0.0.1", port: int = 0, app: web.Application | None = None) -> web.AppRunner:
    """Serve on an address; port 0 takes any free one: `runner.addresses[0]` is (host, port). `await runner.cleanup()` ends it."""
    listener = socket.create_server((host, port), backlog=_BACKLOG)
    listener.setblocking(False)
    return await serve_app(app or make_app(), listener)


async def run(listener: socket.socket, app: web.Application, lifeline: int | None, announce: bool) -> None:
    """Serve until SIGTERM, SIGINT or the end of the parent."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if lifeline is not None:
        loop.add_reader(lifeline, stop.set)
    runner = await serve_app(app, listener)
    gc.freeze()
    if announce:
        host, port = listener.getsockname()[:2]
        print(f"http://{host}:{port}", flush=True)
    await stop.wait()
    app[DESK].release()
    await runner.cleanup()


def main(build: Callable[..., web.Application] = make_app) -> None:
    parser = argparse.ArgumentParser(description="A simulated LLM provider: OpenAI, Anthropic and Gemini.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0, the default, takes any free port; the address is printed")
    parser.add_argument("--listener", type=int, help="file descriptor of a listening socket, instead of an address")
    parser.add_argument("--lifeline", type=int, help="file descriptor that ends with the parent")
    parser.add_argument("--seed", help="makes ids and times repeat")
    parser.add_argument("--record", action="store_true", help="keep what arrives; always on with --port")
    options = parser.parse_args()
    given = options.listener is not None
    try:
        listener = socket.socket(fileno=options.listener) if given else socket.create_server((options.host, options.port), backlog=_BACKLOG)
    except OSError as error:
        sys.exit(f"cannot listen on {options.host}:{options.port}: {error.strerror}")
    listener.setblocking(False)
    app = build(record=options.record or not given, seed=options.seed)
    asyncio.run(run(listener, app, options.lifeline, announce=not given))


if __name__ == "__main__":
    main()
