"""A server that relays each call through a meter of its own, for the tests of metering; its upstream is scripted."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable

from proxy.call import Call, Toll
from proxy.config import Limits, Upstream
from proxy.dataplane.edge import EdgeServer, Sent
from proxy.dataplane.forward import read_body
from proxy.dataplane.journal import JournalWriter
from proxy.dataplane.meter import Extend, Meter, MeteredRelay
from proxy.dataplane.outbox import Outbox
from proxy.dataplane.request import Request
from proxy.dataplane.upstream import Pool
from proxy.errors import Refusal
from proxy.wire import read_ask, recognise
from tests.dataplane.conftest import Exchange, post
from tests.dataplane.test_path import unchunk

CHAT = "/v1/chat/completions"
ASK = b'{"model":"m","stream":true,"messages":[]}'


def quarter(output_bytes: int) -> int:
    return output_bytes // 4


class Bench:
    """A server that relays each call through a meter of its own."""

    def __init__(self, port: int, calls: list[Call], relays: list[MeteredRelay], pool: Pool) -> None:
        self.port = port
        self.calls = calls
        self.relays = relays
        self.pool = pool

    async def ask(self, body: bytes = ASK, path: str = CHAT, connection: bytes = b"close") -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(post(path, body, connection=connection))
        try:
            async with asyncio.timeout(10):
                return await reader.read()
        finally:
            writer.close()


@contextlib.asynccontextmanager
async def open_bench(folder, script: Callable[[Exchange], Awaitable[None]], extend: Extend, covered: int | None = 10) -> AsyncIterator[Bench]:
    meetings: set[asyncio.Task] = set()

    async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        meetings.add(asyncio.current_task())
        exchange = Exchange(reader, writer)
        exchange.calls = bench.calls
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await script(exchange)
        writer.close()

    upstream = await asyncio.start_server(meet, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{upstream.sockets[0].getsockname()[1]}"
    outbox = Outbox(JournalWriter(folder, 1 << 20))
    bench = Bench(0, [], [], Pool(Upstream(url=url), Limits(), outbox))

    def settle(call: Call) -> None:
        call.settled = True

    async def carry(request: Request) -> Sent:
        edge = request.edge
        body = await read_body(request, Limits())
        path, _, query = request.raw_path.partition("?")
        kind = recognise(request.method, path, query, "openai")
        toll = Toll(reserved_output_tokens=covered, is_metered=True)
        call = Call(id="c", started_ns=0, method="POST", path=path, kind=kind, ask=read_ask(kind, body), toll=toll)
        connection = await bench.pool.take()
        meter = Meter(call, extend, quarter)
        relay = MeteredRelay(call, edge, connection, settle, meter, keep_alive=request.keep_alive, http_1_0=request.version < (1, 1))
        bench.calls.append(call)
        bench.relays.append(relay)
        edge.relay = relay
        try:
            own = (b"host", b"connection", b"content-length", b"transfer-encoding", b"accept-encoding")
            lines = [b"%b: %b\r\n" % header for header in request.raw_headers if header[0].lower() not in own]
            head = b"POST %b HTTP/1.1\r\nHost: up\r\n%bContent-Length: %d\r\n\r\n" % (request.raw_path.encode(), b"".join(lines), len(body))
            connection.start(relay, "POST", head + body)
            await relay.done
        except Refusal as refusal:
            call.outcome = refusal.name
            edge.transport.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            return Sent(keep_alive=False)
        finally:
            edge.relay = None
            relay.abandon()
            outbox.arm()
        return Sent(keep_alive=relay.keep_alive)

    server = EdgeServer(carry, Limits())
    listening = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0)
    bench.port = listening.sockets[0].getsockname()[1]
    try:
        yield bench
    finally:
        listening.close()
        await server.shutdown(0.1)
        bench.pool.close()
        upstream.close()
        async with asyncio.timeout(5):
            await asyncio.gather(*meetings)


def chunk(text: str = "twelve bytes", finish: str | None = None) -> bytes:
    document = {"id": "c1", "model": "m", "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": finish}]}
    return b"data: " + json.dumps(document).encode() + b"\n\n"


def framed(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
END = b'data: {"id":"c1","model":"m","choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"length"}]}\n\ndata: [DONE]\n\n'


def stream(*pieces: bytes, left: list[bool] | None = None, head: bytes = HEAD, frame: Callable[[bytes], bytes] = framed):
    """A script: the head and pieces, each once the one before has been read; then nothing, until the connection is gone."""

    async def script(exchange: Exchange) -> None:
        await exchange.read_request()
        await exchange.send(head)
        answer = exchange.calls[-1].answer
        for number, piece in enumerate(pieces, 1):
            await exchange.send(frame(piece))
            while answer.chunks < number and not (exchange.reader.at_eof() or exchange.reader.exception()):
                await asyncio.sleep(0.005)
        with contextlib.suppress(ConnectionError):
            assert await exchange.reader.read() == b""
        if left is not None:
            left.append(True)

    return script


def body_of(got: bytes) -> bytes:
    content, whole = unchunk(got.partition(b"\r\n\r\n")[2])
    assert whole
    return content
