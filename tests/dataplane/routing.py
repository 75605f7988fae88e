"""A data plane with several scripted upstreams, of which some may be down, and what its calls look like from outside."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from proxy.config import Config, Limits, Upstream
from proxy.routes import Retry
from tests.dataplane.conftest import Exchange, Script, Site, open_plane, post, serve_script
from tests.dataplane.paying import PRICES, answer

Run = Callable[[Awaitable[None]], None]
CHAT = "/up/v1/chat/completions"
ASK = json.dumps({"model": "m", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 100}).encode()
STREAM = ASK[:-1] + b',"stream":true}'
SOON = Retry(attempts=3, when=["unreachable", "overloaded", "server_error", "rate_limited"], backoff_s=0.001, least=100)
BUSY = b"503 Service Unavailable"
ERROR = b'{"error":{"message":"busy","type":"server_error","code":null}}'


class Upstreams:
    """Replies one after another, the last one again and again; keeps what it was asked, head and body."""

    def __init__(self, *replies: bytes | tuple[bytes, bytes] | Script) -> None:
        self.replies = list(replies) or [answer(40, 60)]
        self.asked: list[tuple[bytes, dict]] = []

    async def __call__(self, exchange: Exchange) -> None:
        while True:
            head = await exchange.read_request()
            self.asked.append((head, json.loads(exchange.body) if exchange.body.startswith(b"{") else {}))
            reply = self.replies[min(len(self.asked), len(self.replies)) - 1]
            if callable(reply):
                await reply(exchange)
            elif isinstance(reply, tuple):
                await exchange.reply(ERROR, status=reply[0], extra=reply[1])
            else:
                await exchange.reply(reply)


def down() -> str:
    """The URL of a port that refuses connections."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


@contextlib.asynccontextmanager
async def open_routes(
    folder: Path, scripts: dict[str, Script | None], sections: dict[str, dict], limits: Limits | None = None, **settings: object
) -> AsyncIterator[Site]:
    """A running data plane. `scripts`: name → what is behind it; None: nothing is. `sections`: name → fields of its config."""
    async with contextlib.AsyncExitStack() as stack:
        upstreams = {}
        for name, script in scripts.items():
            url = down() if script is None else await stack.enter_async_context(serve_script(script))
            upstreams[name] = Upstream(url=url, **sections.get(name, {}))
        config = Config(state_dir=str(folder), demo=False, upstreams=upstreams, limits=limits or Limits(), prices=PRICES, **settings)  # type: ignore[arg-type]
        yield await stack.enter_async_context(open_plane(config, folder))


async def call(site: Site, body: bytes = ASK, path: str = CHAT, headers: bytes = b"") -> tuple[int, dict[str, str], bytes]:
    """(status, headers, body) of one call."""
    raw = await site.ask(post(path, body, headers))
    head, _, content = raw.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    fields = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    return int(first.split()[1]), fields, content
