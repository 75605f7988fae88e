"""A provider in a thread of its own, and a plain HTTP client that shows every byte."""

from __future__ import annotations

import asyncio
import base64
import http.client
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from aiohttp import web

from proxy.demo.provider import start


class Answer:
    """What came back: status, headers in lower case, and the body."""

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body

    @property
    def document(self) -> Any:
        return json.loads(self.body)

    @property
    def events(self) -> list[Any]:
        """The documents of an event stream, without `[DONE]`."""
        lines = self.body.replace(b"\r\n", b"\n").split(b"\n")
        return [json.loads(line[6:]) for line in lines if line.startswith(b"data: {")]


class Client:
    """Calls to one provider, each on a connection of its own."""

    def __init__(self, host: str, port: int) -> None:
        self.host, self.port = host, port
        self.url = f"http://{host}:{port}"

    def open(self, path: str, document: Any = None, headers: dict[str, str] | None = None, method: str | None = None) -> http.client.HTTPResponse:
        """The answer with its body still to be read."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=10)
        body = document if isinstance(document, bytes) or document is None else json.dumps(document).encode()
        connection.request(method or ("GET" if body is None else "POST"), path, body, {"Connection": "close", **(headers or {})})
        return connection.getresponse()

    def ask(self, path: str, document: Any = None, headers: dict[str, str] | None = None, method: str | None = None) -> Answer:
        response = self.open(path, document, {"x-demo-chunk-delay-ms": "0", **(headers or {})}, method)
        with response:
            return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())

    def reset(self) -> None:
        assert self.ask("/__demo/reset", b"").status == 204

    def state(self) -> dict[str, Any]:
        return self.ask("/__demo/state").document

    def received(self) -> list[dict[str, Any]]:
        """What the provider got, oldest first, with the body as bytes."""
        return [{**each, "body": base64.b64decode(each["body_base64"])} for each in self.ask("/__demo/received").document]


@contextmanager
def running(make_app: Callable[[], web.Application]) -> Iterator[Client]:
    """A provider that serves until the block ends."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="provider")
    thread.start()

    async def begin() -> web.AppRunner:
        return await start(app=make_app())

    runner = asyncio.run_coroutine_threadsafe(begin(), loop).result(10)
    try:
        yield Client(*runner.addresses[0][:2])
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
