"""A data plane in this process, in front of a scriptable raw-TCP upstream; clients are raw sockets too, so every byte can be seen."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import uvloop

from proxy.config import Config, Limits, Upstream
from proxy.dataplane.edge import EdgeServer
from proxy.dataplane.plane import DataPlane

Script = Callable[["Exchange"], Awaitable[None]]


class Exchange:
    """One client connection as the scripted upstream sees it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.head = b""
        self.body = b""

    async def read_request(self) -> bytes:
        """Read one request; its head. The body is in `body`, chunks joined."""
        self.head = await self.reader.readuntil(b"\r\n\r\n")
        lower = self.head.lower()
        self.body = b""
        if b"\r\ncontent-length:" in lower:
            length = int(lower.split(b"\r\ncontent-length:")[1].split(b"\r\n")[0])
            self.body = await self.reader.readexactly(length)
        elif b"transfer-encoding: chunked" in lower:
            while size := int((await self.reader.readline()).strip(), 16):
                self.body += await self.reader.readexactly(size)
                await self.reader.readexactly(2)
            await self.reader.readexactly(2)
        return self.head

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def reply(self, body: bytes, content_type: bytes = b"application/json", status: bytes = b"200 OK", extra: bytes = b"") -> None:
        await self.send(b"HTTP/1.1 %b\r\nContent-Type: %b\r\nContent-Length: %d\r\n%b\r\n%b" % (status, content_type, len(body), extra, body))


class Site:
    """A data plane, its upstream and its journal."""

    def __init__(self, plane: DataPlane, port: int, folder: Path) -> None:
        self.plane = plane
        self.port = port
        self.seen: list[bytes] = []
        self._folder = folder

    def events(self, kind: str) -> list[dict]:
        """All journal lines of one kind, in order."""
        lines = b"".join(path.read_bytes() for path in sorted((self._folder / "journal").iterdir())).splitlines()
        return [event[kind] for event in map(json.loads, lines) if kind in event]

    async def record(self, number: int = 1) -> dict:
        """The newest record, once there are `number` of them."""
        async with asyncio.timeout(5):
            while len(records := self.events("call")) < number:
                await asyncio.sleep(0.005)
        return records[-1]

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def ask(self, request: bytes) -> bytes:
        """Send raw bytes on a new connection; everything that comes back until its end."""
        reader, writer = await self.connect()
        writer.write(request)
        try:
            async with asyncio.timeout(10):
                return await reader.read()
        finally:
            writer.close()


def post(path: str, body: bytes, headers: bytes = b"", connection: bytes = b"close") -> bytes:
    """A POST request's bytes."""
    return b"POST %b HTTP/1.1\r\nHost: proxy\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: %b\r\n%b\r\n%b" % (
        path.encode(), len(body), connection, headers, body,
    )  # fmt: skip


@contextlib.asynccontextmanager
async def serve_script(script: Script) -> AsyncIterator[str]:
    """The URL of an upstream that runs `script` on each of its connections."""

    async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await script(Exchange(reader, writer))
        writer.close()

    server = await asyncio.start_server(meet, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


@contextlib.asynccontextmanager
async def open_plane(config: Config, folder: Path, demo_url: str | None = None) -> AsyncIterator[Site]:
    """A running data plane."""
    plane = DataPlane(config, demo_url)
    server = EdgeServer(plane.answer, config.limits)
    listening = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0)
    try:
        yield Site(plane, listening.sockets[0].getsockname()[1], folder)
    finally:
        listening.close()
        await server.shutdown(0.1)
        plane.close()


@contextlib.asynccontextmanager
async def open_site(folder: Path, script: Script, limits: Limits | None = None, **settings: object) -> AsyncIterator[Site]:
    """A running data plane with one upstream, `up` and `demo` alike, which runs `script` on each of its connections."""
    async with serve_script(script) as url:
        config = Config(state_dir=str(folder), demo=False, upstreams={"up": Upstream(url=url)}, limits=limits or Limits(), **settings)  # type: ignore[arg-type]
        async with open_plane(config, folder, url) as site:
            yield site


@pytest.fixture
def run() -> Callable[[Awaitable[None]], None]:
    """Run a coroutine as the data plane would run it."""
    return uvloop.run


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """(an authority's certificate, a certificate for localhost signed by it, its key) as files."""
    folder = tmp_path_factory.mktemp("tls")

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    openssl("req", "-x509", *curve, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=Test authority", "-days", "2")
    openssl("req", *curve, "-keyout", "one.key", "-out", "one.csr", "-subj", "/CN=localhost")
    (folder / "names").write_text("subjectAltName=DNS:localhost\n")
    openssl(
        "x509", "-req", "-in", "one.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "names", "-days", "2", "-out", "one.pem"
    )
    return folder / "ca.pem", folder / "one.pem", folder / "one.key"
