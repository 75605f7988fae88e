"""What the tests of wire formats share: one reading of given bytes, and the same reading in every other way of feeding them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec
import pytest

from proxy.call import Reading
from proxy.wire import open_reader, read_ask, recognise

SSE = "text/event-stream; charset=utf-8"
Read = Callable[..., Reading]


def feed(pieces: list[bytes], path: str, request: object, content_type: str, status: int, headers: Mapping[str, str], method: str) -> Reading:
    route, _, query = path.partition("?")
    kind = recognise(method, route, query, "openai")
    ask = read_ask(kind, msgspec.json.encode(request)) if request is not None else read_ask(recognise("GET", "/", "", ""), b"")
    reader = open_reader(kind, ask, status, content_type, headers)
    for piece in pieces:
        reader.feed(piece)
    return reader.end()


@pytest.fixture
def read() -> Read:
    """`read(path, body, …)`: the reading of a response, after holding it to the laws of every reader.

    Whole, byte by byte and in odd pieces it reads the same; cut anywhere, or with garbage behind, it does not raise.
    """

    def read_all_ways(
        path: str, body: bytes, *, request: object = None, content_type: str = "application/json", status: int = 200,
        headers: Mapping[str, str] | None = None, method: str = "POST",
    ) -> Reading:  # fmt: skip
        rest = (path, {} if request is None else request, content_type, status, headers or {}, method)
        whole = feed([body], *rest)
        assert feed([body[at : at + 1] for at in range(len(body))], *rest) == whole
        assert feed([body[at : at + 7] for at in range(0, len(body), 7)], *rest) == whole
        assert feed([b"", body[:1], b"", body[1:], b""], *rest) == whole
        for at in range(0, len(body), max(len(body) // 200, 1)):
            feed([body[:at]], *rest)
        feed([body, b'\x00\xff{["\r\n\r\ndata: 7\n\n'], *rest)
        return whole

    return read_all_ways


@pytest.fixture
def sse() -> Callable[..., bytes]:
    """`sse(event, …)`: the bytes of a stream; an event is a (name, data) pair or data alone, as a string or a JSON value."""

    def make(*events: object) -> bytes:
        lines = []
        for event in events:
            name, data = event if isinstance(event, tuple) else ("", event)
            text = data if isinstance(data, str) else msgspec.json.encode(data).decode()
            lines.append((f"event: {name}\n" if name else "") + f"data: {text}\n\n")
        return "".join(lines).encode()

    return make
