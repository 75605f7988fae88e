"""One exchange with a client: the request as it arrived, and the ways to answer it.

A dialect hands over what it wants to say, as a document or as the events of a stream; pace and faults are the same for all.
"""

from __future__ import annotations

import asyncio
import json
import time
import zlib
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

import msgspec
from aiohttp import web

from proxy.demo.desk import DESK, Owed, record
from proxy.demo.faults import Fault, read_fault, wish
from proxy.demo.prose import digest
from proxy.demo.turn import Reply

_BLOCK_BYTES = 65536  # one write; a body of several can be cut in the middle
_EPOCH_S = 1_770_000_000  # the clock of a seeded provider
_BASE62 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


class Wrong(Exception):
    """A request the provider refuses. `kind` and `code` are the dialect's own words, where they differ from its default for the status."""

    def __init__(self, status: int, message: str, kind: str | None = None, code: str | None = None, param: str | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.kind, self.code, self.param = status, message, kind, code, param


class Dialect(msgspec.Struct, frozen=True):
    """What tells one provider's answers from another's, apart from the answers themselves."""

    name: str
    write_error: Callable[[Wrong, Exchange], tuple[Any, dict[str, str]]]  # (document, headers)
    write_headers: Callable[[Exchange], dict[str, str]]  # of every answer
    model_of: Callable[[web.Request, dict[str, Any]], Any]  # of a request, for faults by model name
    dump: Callable[[Any], bytes] = msgspec.json.encode
    json_type: str = "application/json"


class Exchange:
    """One request and its answer. `document` is the request's JSON object, {} for a request without one."""

    def __init__(self, request: web.Request, dialect: Dialect, body: bytes) -> None:
        self.request, self.dialect, self.body = request, dialect, body
        self.desk = request.app[DESK]
        self.document: dict[str, Any] = {}
        self.fault = Fault()
        self._gate = self.desk.gate  # of now: a release counts for every exchange that has arrived, held already or not
        self.started = False  # whether the answer has begun
        self._owed = Owed()  # of this answer, once it is given whole
        self._billed: Owed | None = None
        wished = wish(request, "seed")
        seed = wished or (f"{self.desk.seed} {next(self.desk.numbers)}" if self.desk.seed is not None else "")
        self._seed = digest(seed, request.path_qs, body) if seed else digest(str(time.time_ns()), str(id(self)), body)
        self.now_s = _EPOCH_S + int.from_bytes(self._seed[:3], "big") if seed else int(time.time())

    @property
    def now_text(self) -> str:
        """The time in RFC 3339, in whole seconds."""
        return datetime.fromtimestamp(self.now_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def make_id(self, prefix: str, length: int, alphabet: str = _BASE62, variant: str = "") -> str:
        """An id such as `msg_01XFDUDYJgAACzvnptvVoYEL`."""
        raw, text = int.from_bytes(digest(self._seed, prefix, variant) + digest(self._seed, "more", prefix, variant), "big"), ""
        for _ in range(length):
            raw, index = divmod(raw, len(alphabet))
            text += alphabet[index]
        return prefix + text

    def make_uuid(self, variant: str = "") -> str:
        text = self.make_id("", 32, "0123456789abcdef", variant)
        return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))

    def owe(self, model: str, replies: list[Reply]) -> None:
        """What the answer will have cost: the input once, the output of every choice."""
        self._billed = self.desk.bill.setdefault(model, Owed())
        output_tokens = sum(reply.output_tokens for reply in replies)
        self._owed = Owed(1, replies[0].input_tokens, replies[0].cached_tokens, output_tokens)

    def charge(self, before: float, now: float) -> None:
        """Charge the part of the answer between two shares of it; the input with the first."""
        if self._billed is None:
            return
        if before == 0:
            self._billed.calls += 1
            self._billed.input_tokens += self._owed.input_tokens
            self._billed.cached_tokens += self._owed.cached_tokens
        self._billed.output_tokens += round(self._owed.output_tokens * now) - round(self._owed.output_tokens * before)

    def refuse(self, wrong: Wrong) -> web.Response:
        """The refusal, in the dialect's words."""
        document, headers = self.dialect.write_error(wrong, self)
        headers = {**self.dialect.write_headers(self), **headers, "Content-Type": self.dialect.json_type}
        return web.Response(status=wrong.status, body=self.dialect.dump(document), headers=headers)

    async def send(self, document: Any, headers: dict[str, str] | None = None) -> web.StreamResponse:
        """Answer with one JSON document."""
        return await self.send_bytes(self.dialect.dump(document), self.dialect.json_type, headers)

    async def send_bytes(self, body: bytes, content_type: str, headers: dict[str, str] | None = None) -> web.StreamResponse:
        """Answer with one body; faults of the connection apply to it."""
        self.started = True
        self.charge(0, 1)
        headers = {**self.dialect.write_headers(self), **(headers or {}), "Content-Type": content_type}
        if self.fault.name == "garbage":
            body = body[: max(1, len(body) // 2)]
        encoding = wish(self.request, "encoding")
        if encoding in self.desk.encoders:
            body, headers["Content-Encoding"] = self.desk.encoders[encoding](body), encoding
        await asyncio.sleep(self.fault.first_byte_delay_ms / 1000)
        if self.fault.name not in ("cut", "stall", "hold") and len(body) <= _BLOCK_BYTES:
            return web.Response(body=body, headers=headers)
        response = web.StreamResponse(headers={**headers, "Content-Length": str(len(body))})
        await response.prepare(self.request)
        half = max(1, len(body) // 2)
        await response.write(body[:half])
        if await self.go_wrong():
            return response
        for start in range(half, len(body), _BLOCK_BYTES):
            await response.write(body[start : start + _BLOCK_BYTES])
        await response.write_eof()
        return response

    async def send_stream(
        self, chunks: Iterable[bytes], content_type: str, error: bytes, headers: dict[str, str] | None = None, end: bytes = b""
    ) -> web.StreamResponse:
        """Answer with chunks, at the pace asked for. `error` is the dialect's own way to end a stream that failed, `end` what follows the chunks."""
        response = web.StreamResponse(headers={**self.dialect.write_headers(self), **(headers or {}), "Content-Type": content_type})
        chunks, end = self._encode_chunks(response, chunks, end)
        chunks = list(chunks)
        self.started = True
        await asyncio.sleep(self.fault.first_byte_delay_ms / 1000)
        await response.prepare(self.request)
        for number, chunk in enumerate(chunks):
            if number:
                await asyncio.sleep(self.fault.chunk_delay_ms / 1000)
            if number == self.fault.after:
                if self.fault.name == "error-in-stream":
                    await response.write(error)
                    break
                if self.fault.name == "garbage":
                    chunk = chunk[: len(chunk) // 2].rstrip(b"\r\n}") + chunk[-2:]
                if await self.go_wrong():
                    return response
            self.charge(number / len(chunks), (number + 1) / len(chunks))
            await response.write(chunk)
        else:
            if end:
                await response.write(end)
        await response.write_eof()
        return response

    def _encode_chunks(self, response: web.StreamResponse, chunks: Iterable[bytes], end: bytes) -> tuple[Iterable[bytes], bytes]:
        """The chunks and their end; as one compressed body in pieces where the client wished for that."""
        encoding = wish(self.request, "encoding")
        if encoding not in self.desk.encoders:
            return chunks, end
        response.headers["Content-Encoding"] = encoding
        whole = self.desk.encoders[encoding](b"".join(chunks) + end)
        return [whole[start : start + 64] for start in range(0, len(whole), 64)], b""

    async def go_wrong(self) -> bool:
        """Cut the connection (True), or fall silent for as long as the fault says."""
        if self.fault.name == "cut":
            if self.request.transport is not None:
                self.request.transport.abort()
            return True
        if self.fault.name == "hold":
            await self._gate.wait()
        elif self.fault.name == "stall":
            await asyncio.sleep(3600)
        return False


def inflate(body: bytes) -> bytes:
    """A gzip or zlib body, unpacked. Raises `zlib.error`."""
    return zlib.decompress(body, zlib.MAX_WBITS | 32)


def serve(dialect: Dialect, answer: Callable[[Exchange], Any], json_body: bool = True) -> Callable[[web.Request], Any]:
    """A handler that reads the request, lets `answer` answer it, and gives refusals the dialect's shape."""

    async def handle(request: web.Request) -> web.StreamResponse:
        desk = request.app[DESK]
        desk.running += 1
        try:
            body = await request.read()
            record(desk, request, body)
            exchange = Exchange(request, dialect, body)
            try:
                _open(exchange, json_body and request.method in ("POST", "PATCH"))
                return await answer(exchange)
            except Wrong as wrong:
                return exchange.refuse(wrong)
            except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
                if exchange.started:
                    raise
                return exchange.refuse(Wrong(400, "A field of the request has an unexpected type."))
        except (asyncio.CancelledError, ConnectionError):
            desk.left += 1
            raise
        finally:
            desk.running -= 1

    return handle


def _open(exchange: Exchange, json_body: bool) -> None:
    """Read the body and the fault. Raises `Wrong` for a body that is no JSON object, and for a fault that is a status."""
    request, body = exchange.request, exchange.body
    encoding = request.headers.get("Content-Encoding", "identity").lower()
    if encoding != "identity":
        decode = exchange.desk.decoders.get(encoding)
        if decode is None:
            raise Wrong(415, f"The content encoding {encoding!r} is not supported.")
        try:
            body = decode(body)
        except (zlib.error, ValueError, OSError, EOFError, RuntimeError):
            raise Wrong(400, f"The body is not valid {encoding}.") from None
    if json_body:
        try:
            document = json.loads(body)
        except (ValueError, RecursionError):
            raise Wrong(400, "We could not parse the JSON body of your request. The API expects a JSON payload.") from None
        if not isinstance(document, dict):
            raise Wrong(400, "The JSON body of the request must be an object.")
        exchange.document = document
    model = exchange.dialect.model_of(request, exchange.document)
    exchange.fault = read_fault(request, model if isinstance(model, str) else "")
    if exchange.fault.status is not None:
        raise Wrong(exchange.fault.status, "")
