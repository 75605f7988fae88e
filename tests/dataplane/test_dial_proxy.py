"""Upstreams behind an HTTP proxy: one that is scripted, and a real one."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from proxy.config import Upstream
from proxy.dataplane.dial import Dialer
from tests.dataplane.conftest import open_site, post
from tests.dataplane.dialled import Dns, listening, refusal, refusing, serve, talk
from tests.dataplane.test_path import ANSWER, ASK, CHAT, answer, split
from tests.dataplane.test_upstream import reach, serve_tls

SECRET = {"WAY": "http://user:p%40ss@127.0.0.1:{port}"}
BASIC = base64.b64encode(b"user:p@ss")


class Gate:
    """A proxy that says `answer` to each CONNECT, and for a 200 carries on to the port that was asked for."""

    def __init__(self, answer: bytes = b"HTTP/1.1 200 OK\r\n\r\n") -> None:
        self.answer = answer
        self.heads: list[bytes] = []
        self.port = 0
        self.writers: list[asyncio.StreamWriter] = []
        self.meetings: list[asyncio.Task] = []

    async def meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        self.meetings.append(asyncio.current_task())
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            self.heads.append(head)
            writer.write(self.answer)
            if b" 200 " in self.answer:
                port = int(head.split()[1].rpartition(b":")[2])
                there, onwards = await asyncio.open_connection("127.0.0.1", port)
                self.writers.append(onwards)
                await asyncio.gather(carry(reader, onwards), carry(there, writer))
            elif not self.answer:
                await reader.read()
        writer.close()


async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while piece := await reader.read(65536):
            writer.write(piece)
    writer.close()


@contextlib.asynccontextmanager
async def stand(*script: bytes) -> AsyncIterator[Gate]:
    gate = Gate(*script)
    server = await asyncio.start_server(gate.meet, "127.0.0.1", 0)
    gate.port = server.sockets[0].getsockname()[1]
    try:
        yield gate
    finally:
        server.close()
        for each in gate.writers:
            each.transport.abort()
        await asyncio.gather(*gate.meetings)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_every_call_goes_by_connect_and_the_proxy_resolves_the_name(run, certificates, scheme):
    async def main():
        tls = serve_tls(certificates) if scheme == "https" else None
        ca = str(certificates[0]) if tls else None
        async with serve(tls) as port, stand() as gate:
            dns = Dns("10.0.0.1")
            dialer = Dialer(Upstream(f"{scheme}://localhost:{port}", proxy=f"http://127.0.0.1:{gate.port}", ca_file=ca), dns)
            await talk(dialer)
            assert gate.heads == [b"CONNECT localhost:%d HTTP/1.1\r\nHost: localhost:%d\r\n\r\n" % (port, port)] and not dns.asked

    run(main())


def test_the_proxy_may_stand_in_a_private_network_but_not_be_a_metadata_service(run):
    async def main():
        async with serve() as port, stand() as gate:
            upstream = Upstream(f"http://api.test:{port}", private=False, proxy=f"http://proxy.test:{gate.port}")
            dns = Dns("127.0.0.1")
            await talk(Dialer(upstream, dns))
            assert dns.asked == [("proxy.test", gate.port)] and len(gate.heads) == 1
            assert (await refusal(Dialer(upstream, Dns("169.254.169.254"))))[0] == "upstream_unreachable"

    run(main())


def test_the_environment_names_no_proxy(run, monkeypatch):
    async def main():
        async with serve() as port, stand() as gate:
            for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "https_proxy"):
                monkeypatch.setenv(name, f"http://127.0.0.1:{gate.port}")
            await talk(Dialer(Upstream(f"http://127.0.0.1:{port}")))
            assert not gate.heads

    run(main())


def test_a_proxy_that_is_none_is_never_gone_around():
    with pytest.raises(ValueError, match="proxy"):
        Dialer(Upstream("http://h", proxy="env:WAY"), environment={})


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"HTTP/1.1 407 No\r\nProxy-Authenticate: Basic\r\n\r\n", "wants credentials"),
        (b"HTTP/1.1 403 No\r\n\r\n", "refuses connections to this provider"),
        (b"HTTP/1.1 503 No\r\n\r\n", "could not reach the provider"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "not well-formed"),
        (b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", "not well-formed"),
        (b"HTTP/1.1 500", "no whole answer"),
        (b"", "within 0.1 s: it took too long to get an answer of the proxy"),
    ],
)
def test_a_refusal_says_what_to_do_and_holds_no_secret(run, answer, words):
    async def main():
        async with serve() as port, stand(answer) as gate:
            environment = {"WAY": SECRET["WAY"].format(port=gate.port)}
            dialer = Dialer(Upstream(f"http://127.0.0.1:{port}", proxy="env:WAY"), environment=environment)
            name, message = await refusal(dialer, 5.0 if answer else 0.1)
            assert name == ("upstream_unreachable" if answer else "upstream_timeout") and words in message
            assert b"\r\nProxy-Authorization: Basic %b\r\n" % BASIC in gate.heads[0]
            assert not any(secret in message for secret in ("p@ss", "p%40ss", "user", BASIC.decode()) if secret != "user" or answer[9:12] != b"407")

    run(main())


def test_a_proxy_that_is_down(run):
    async def main():
        name, message = await refusal(Dialer(Upstream("http://127.0.0.1:1", proxy=f"http://127.0.0.1:{refusing()[1]}")))
        assert (name, message) == ("upstream_unreachable", "No connection to the upstream's proxy: check `proxy` and that it is up.")

    run(main())


def test_no_refusal_leaves_a_socket_open(run):
    async def main():
        async with stand(b"HTTP/1.1 403 No\r\n\r\n") as gate:
            dialer = Dialer(Upstream("http://127.0.0.1:1", proxy=f"http://127.0.0.1:{gate.port}"))
            await refusal(dialer)
            before = len(os.listdir("/proc/self/fd"))
            for _ in range(10):
                await refusal(dialer)
            async with asyncio.timeout(5):
                while len(os.listdir("/proc/self/fd")) > before:
                    await asyncio.sleep(0.001)

    run(main())


def test_a_call_through_the_data_plane_keeps_its_connection_and_its_secrets(run, tmp_path, certificates, monkeypatch):
    async def main():
        async with stand() as gate, open_site(tmp_path, answer) as site:
            monkeypatch.setenv("WAY", SECRET["WAY"].format(port=gate.port))
            url, ca = "https://localhost:{port}", str(certificates[0])
            async with reach(site, answer, tls=serve_tls(certificates), url=url, ca_file=ca, proxy="env:WAY") as pool:
                for _ in range(3):
                    assert (await site.ask(post(CHAT, ASK))).endswith(ANSWER)
                assert len(pool.connections) == len(gate.heads) == 1
                gate.answer = b"HTTP/1.1 407 No\r\n\r\n"
                pool.close()
                head, body = split(await site.ask(post(CHAT, ASK)))
                assert head.startswith(b"HTTP/1.1 502 ") and b"upstream_unreachable" in body and b"credentials" in body
                assert (await site.record(4))["outcome"] == "upstream_unreachable"
                kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()) + head + body
                assert b"p@ss" not in kept and BASIC not in kept and b"p%40ss" not in kept

    run(main())


@contextlib.contextmanager
def tinyproxy(folder: Path, *settings: str) -> Iterator[int]:
    """The port of a real proxy."""
    with listening() as taken:
        port = taken.getsockname()[1]
    lines = [f"Port {port}", "Listen 127.0.0.1", "Timeout 30", f'LogFile "{folder}/log"', "Allow 127.0.0.1", *settings]
    (folder / "tinyproxy.conf").write_text("\n".join(lines) + "\n")
    process = subprocess.Popen(["tinyproxy", "-d", "-c", str(folder / "tinyproxy.conf")], stdout=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 10
        while process.poll() is None and time.monotonic() < until:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            time.sleep(0.01)
        yield port
    finally:
        process.kill()
        process.wait()


@pytest.mark.skipif(not shutil.which("tinyproxy") and "CI" not in os.environ, reason="tinyproxy is not installed")
def test_a_real_proxy(run, tmp_path, certificates):
    async def ask(secure, plain, way):
        right = {"WAY": f"http://user:p%34ss@127.0.0.1:{way}"}
        upstream = Upstream(f"https://localhost:{secure}", proxy="env:WAY", ca_file=str(certificates[0]))
        for _ in range(2):
            await talk(Dialer(upstream, environment=right))
        for wrong in ("http://user:wrong@", "http://"):
            assert "wants credentials" in (await refusal(Dialer(upstream, environment={"WAY": f"{wrong}127.0.0.1:{way}"})))[1]
        forbidden = Dialer(Upstream(f"http://127.0.0.1:{plain}", proxy="env:WAY"), environment=right)
        assert "allow its host and port there" in (await refusal(forbidden))[1]

    async def main():
        async with serve(serve_tls(certificates)) as secure, serve() as plain:
            with tinyproxy(tmp_path, "BasicAuth user p4ss", f"ConnectPort {secure}") as way:
                await ask(secure, plain, way)

    run(main())
