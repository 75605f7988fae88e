"""Connections to upstreams: TLS, IPv6, base paths, heads of any size, bodies that break off."""

import asyncio
import contextlib
import socket
import ssl
import struct

import pytest

from proxy.config import Limits, Upstream
from proxy.dataplane.upstream import Pool
from tests.dataplane.conftest import Exchange, open_site, post
from tests.dataplane.test_path import ANSWER, ASK, CHAT, answer, split


@contextlib.asynccontextmanager
async def reach(site, script, *, host="127.0.0.1", tls=None, url="http://{host}:{port}", **fields):
    """Put another upstream behind the name `up`; its pool."""

    async def meet(reader, writer):
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await script(Exchange(reader, writer))
        writer.close()

    server = await asyncio.start_server(meet, host, 0, ssl=tls)
    shown = f"[{host}]" if ":" in host else host
    upstream = Upstream(url=url.format(host=shown, port=server.sockets[0].getsockname()[1]), **fields)
    traffic = site.plane.traffic
    traffic.pools["up"].close()
    pool = traffic.pools["up"] = Pool(upstream, Limits(), traffic._outbox)
    try:
        yield pool
    finally:
        server.close()


def serve_tls(certificates) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificates[1], certificates[2])
    return context


def test_a_private_authority_is_believed_where_it_is_named_and_connections_are_kept(run, tmp_path, certificates):
    async def main():
        async with open_site(tmp_path, answer) as site:
            url = "https://localhost:{port}"
            async with reach(site, answer, tls=serve_tls(certificates), url=url, ca_file=str(certificates[0])) as pool:
                for _ in range(3):
                    assert (await site.ask(post(CHAT, ASK))).endswith(ANSWER)
                assert len(pool.connections) == 1
                pool.close()

    run(main())


@pytest.mark.parametrize("wrong", ["authority", "name", "no tls at all"])
def test_a_wrong_certificate_is_an_unreachable_upstream(run, tmp_path, certificates, wrong):
    async def meet(exchange):
        await exchange.reader.read(1)
        await exchange.send(b"HTTP/1.1 400 This port speaks no TLS\r\n\r\n")

    async def main():
        async with open_site(tmp_path, answer) as site:
            asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)  # the server's own complaint of the handshake
            url = "https://127.0.0.1:{port}" if wrong == "name" else "https://localhost:{port}"
            trusted = None if wrong == "authority" else str(certificates[0])
            tls = None if wrong == "no tls at all" else serve_tls(certificates)
            async with reach(site, meet, tls=tls, url=url, ca_file=trusted) as pool:
                head, body = split(await site.ask(post(CHAT, ASK, b"Authorization: Bearer sk-1\r\n")))
                assert head.startswith(b"HTTP/1.1 502 ") and b"upstream_unreachable" in body
                assert (await site.record())["outcome"] == "upstream_unreachable"
                assert not pool._idle

    run(main())


@pytest.mark.skipif(not socket.has_ipv6, reason="this machine has no IPv6")
def test_an_upstream_of_ipv6_and_a_base_path(run, tmp_path):
    heads = []

    async def script(exchange):
        heads.append(await exchange.read_request())
        await exchange.reply(ANSWER)

    async def main():
        async with open_site(tmp_path, answer) as site, reach(site, script, host="::1", url="http://{host}:{port}/base%20path/") as pool:
            assert (await site.ask(post(CHAT + "?a=%2F&b=%E2%82%AC", ASK))).endswith(ANSWER)
            start = b"POST /base%20path/v1/chat/completions?a=%2F&b=%E2%82%AC HTTP/1.1\r\nHost: [::1]:"
            assert heads[0].startswith(start) and pool.authority.startswith(b"[::1]:")

    run(main())


@pytest.mark.parametrize(
    ("url", "authority", "port"), [("http://h", b"h", 80), ("https://h/v1", b"h", 443), ("https://[::1]", b"[::1]", 443), ("http://h:8", b"h:8", 8)]
)
def test_the_host_header_names_a_port_only_where_the_url_does(url, authority, port):
    pool = Pool(Upstream(url=url), Limits(), None)
    assert (pool.authority, pool.port) == (authority, port)


def test_a_long_head_passes_and_an_endless_one_is_refused(run, tmp_path):
    async def script(exchange):
        await exchange.read_request()
        fields = b"".join(b"X-%d: %b\r\n" % (number, b"v" * 1000) for number in range(30))
        if b"endless" in exchange.head:
            with contextlib.suppress(ConnectionError):
                await exchange.send(b"HTTP/1.1 200 OK\r\n")
                while True:
                    await exchange.send(fields)
        # the head's first part in one read, its end in the next together with much of the body
        await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 600000\r\n" + fields)
        await asyncio.sleep(0)
        await exchange.send(b"\r\n" + b"y" * 600_000)

    async def main():
        async with open_site(tmp_path, script) as site:
            head, body = split(await site.ask(b"GET /up/files HTTP/1.1\r\nHost: p\r\nConnection: close\r\n\r\n"))
            assert head.count(b"\r\nX-") == 30 and len(body) == 600_000
            response = await site.ask(b"GET /up/endless HTTP/1.1\r\nHost: p\r\nConnection: close\r\n\r\n")
            assert response.startswith(b"HTTP/1.1 502 ") and b"upstream_malformed" in response

    run(main())


def test_a_read_of_head_and_body_is_not_taken_for_a_head(run, tmp_path):
    async def script(exchange):
        await exchange.read_request()
        await exchange.reader.read()

    async def main():
        async with open_site(tmp_path, script) as site:
            reader, writer = await site.connect()
            writer.write(post(CHAT, ASK))
            while not site.plane.traffic.in_flight:
                await asyncio.sleep(0.001)
            (connection,) = site.plane.traffic.pools["up"].connections
            connection.data_received(b"HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n")
            connection.data_received(b"\r\n" + b"y" * 299_999)
            connection.data_received(b"y")
            head, body = split(await reader.read())
            assert b"200 OK" in head and len(body) == 300_000
            writer.close()

    run(main())


def test_header_values_outside_ascii_pass_both_ways(run, tmp_path):
    heads = []

    async def script(exchange):
        heads.append(await exchange.read_request())
        await exchange.reply(ANSWER, extra=b"X-Answer: caf\xe9 \xe2\x82\xac\r\nSet-Cookie: a=1\r\nset-cookie: b=2\r\n")

    async def main():
        async with open_site(tmp_path, script) as site:
            response = await site.ask(post("/up/v1/x%C3%A9%2fy", ASK, b"X-Ask: \xe2\x82\xac\xe9\r\n"))
            assert b"\r\nX-Answer: caf\xe9 \xe2\x82\xac\r\nSet-Cookie: a=1\r\nset-cookie: b=2\r\n" in response
            assert heads[0].startswith(b"POST /v1/x%C3%A9%2fy HTTP/1.1\r\n") and b"\r\nX-Ask: \xe2\x82\xac\xe9\r\n" in heads[0]

    run(main())


@pytest.mark.parametrize("method", [b"GET", b"DELETE", b"PUT", b"PATCH", b"POST"])
@pytest.mark.parametrize("body", [None, b"", b"hello"])
def test_any_method_with_or_without_a_body(run, tmp_path, method, body):
    seen = []

    async def script(exchange):
        seen.append((await exchange.read_request(), exchange.body))
        await exchange.reply(b"ok")

    async def main():
        async with open_site(tmp_path, script) as site:
            length = b"" if body is None else b"Content-Length: %d\r\n" % len(body)
            response = await site.ask(method + b" /up/v1/files/f HTTP/1.1\r\nHost: p\r\nConnection: close\r\n" + length + b"\r\n" + (body or b""))
            assert response.endswith(b"\r\n\r\nok")
            head, got = seen[0]
            assert head.startswith(method + b" /v1/files/f HTTP/1.1\r\n") and got == (body or b"")
            assert (b"Content-Length: %d\r\n" % len(body or b"") in head) == (body is not None) and b"ransfer-" not in head

    run(main())


def test_a_client_that_leaves_while_we_connect_leaves_no_connection(run, tmp_path, certificates):
    met, heard = asyncio.Event(), []

    async def silent(exchange):
        met.set()
        await exchange.reader.read()

    async def main():
        async with open_site(tmp_path, answer) as site:
            asyncio.get_running_loop().set_exception_handler(lambda loop, context: heard.append(context))
            async with reach(site, silent, url="https://localhost:{port}", ca_file=str(certificates[0])) as pool:
                _, writer = await site.connect()
                writer.write(post(CHAT, ASK))
                await met.wait()
                writer.transport.abort()
                record = await site.record()
                assert record["outcome"] == "caller_gone" and not site.plane.traffic.in_flight and not pool.connections
        assert not heard

    run(main())


def test_a_body_until_close_that_ends_by_a_reset_is_not_ended_cleanly(run, tmp_path):
    seen = asyncio.Event()

    async def script(exchange):
        await exchange.read_request()
        await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nhalf")
        await seen.wait()
        exchange.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        exchange.writer.transport.abort()

    async def main():
        async with open_site(tmp_path, script) as site:
            reader, writer = await site.connect()
            writer.write(post(CHAT, ASK, connection=b"keep-alive"))
            await reader.readuntil(b"half\r\n")
            seen.set()
            assert await reader.read() == b""
            writer.close()
            assert (await site.record())["outcome"] == "upstream_cut"

    run(main())


def test_an_upstream_that_never_greets_is_a_504(run, tmp_path, certificates):
    async def silent(exchange):
        await exchange.reader.read()

    async def main():
        async with open_site(tmp_path, answer) as site, reach(site, silent, url="https://localhost:{port}", ca_file=str(certificates[0])) as pool:
            pool.connect_s = 0.05
            async with asyncio.timeout(3):
                response = await site.ask(post(CHAT, ASK))
            assert response.startswith(b"HTTP/1.1 504 ") and b"upstream_timeout" in response
            assert not pool.connections

    run(main())
