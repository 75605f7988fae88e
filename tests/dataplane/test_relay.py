"""The relay between two sockets: nothing of one call reaches the next, neither side can hold more than its buffers."""

import asyncio
import socket
import struct

import pytest

from proxy.call import Call
from proxy.config import Limits
from proxy.dataplane.headers import read_response_head
from proxy.dataplane.outbox import Outbox
from proxy.dataplane.relay import Relay
from tests.dataplane.conftest import open_site, post
from tests.dataplane.test_path import ANSWER, ASK, CHAT, CHUNKS, STREAM_ASK, answer, split, unchunk

BIG = 24_000_000
GET = b"GET /up/v1/files/%b/content HTTP/1.1\r\nHost: proxy\r\n\r\n"


async def pour(exchange, sent):
    """Answer each request with BIG bytes as fast as they are taken; `sent` counts them."""
    while True:
        await exchange.read_request()
        await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: %d\r\n\r\n" % BIG)
        for _ in range(BIG // 100_000):
            await exchange.send(b"z" * 100_000)
            sent.append(100_000)


async def settle_down(counted) -> None:
    """Until nothing moves any more: twenty turns of the loop without a new piece."""
    quiet = 0
    while quiet < 20:
        before = len(counted)
        await asyncio.sleep(0.005)
        quiet = quiet + 1 if len(counted) == before else 0


def narrow() -> socket.socket:
    """A client's socket with a small receive buffer."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.setblocking(False)
    return client


@pytest.mark.parametrize("pipelined", [False, True])
def test_a_client_that_does_not_read_stops_the_upstream(run, tmp_path, pipelined):
    sent = []

    async def main():
        async with open_site(tmp_path, lambda exchange: pour(exchange, sent)) as site:
            loop, client = asyncio.get_running_loop(), narrow()
            await loop.sock_connect(client, ("127.0.0.1", site.port))
            await loop.sock_sendall(client, GET % b"first" + (GET % b"second" if pipelined else b""))
            while pipelined and not any(relay._call.path.endswith("second/content") for relay in site.plane.traffic.in_flight):
                assert await loop.sock_recv(client, 20_000)
            await settle_down(sent)
            (relay,) = site.plane.traffic.in_flight
            assert relay._edge.transport.get_write_buffer_size() < 2_000_000
            assert sum(sent) < (BIG if pipelined else 0) + 20_000_000
            client.close()

    run(main())


def test_a_slow_client_still_gets_every_byte(run, tmp_path):
    async def main():
        async with open_site(tmp_path, lambda exchange: pour(exchange, [])) as site:
            loop, client = asyncio.get_running_loop(), narrow()
            await loop.sock_connect(client, ("127.0.0.1", site.port))
            await loop.sock_sendall(client, GET % b"x")
            got = b""
            while not got.endswith(b"\r\n\r\n"):
                got += await loop.sock_recv(client, 1)
            size = 0
            while size < BIG:
                size += len(await loop.sock_recv(client, 1_000_000))
            client.close()
            assert size == BIG

    run(main())


def test_a_client_that_never_reads_is_let_go_and_named(run, tmp_path):
    async def main():
        async with open_site(tmp_path, lambda exchange: pour(exchange, sent), Limits(idle_s=0.0)) as site:
            loop, client = asyncio.get_running_loop(), narrow()
            await loop.sock_connect(client, ("127.0.0.1", site.port))
            await loop.sock_sendall(client, GET % b"x")
            await settle_down(sent)
            site.plane.tick()
            assert (await site.record())["outcome"] == "caller_gone"
            assert not site.plane.traffic.pools["up"].connections or all(
                one.transport.is_closing() for one in site.plane.traffic.pools["up"].connections
            )
            while site.plane.traffic.in_flight:
                await asyncio.sleep(0)
            client.close()

    sent = []
    run(main())


async def rest(site, pool):
    """A call over; the relay it had, and its connection, back in the pool."""
    caught = []
    real = pool.take

    async def take():
        caught.append(await real())
        return caught[-1]

    pool.take = take
    relays = []
    site.plane.traffic.carrier.in_flight = Watched(relays)
    assert (await site.ask(post(CHAT, ASK))).endswith(ANSWER)
    return relays[0], caught[0]


class Watched(set):
    def __init__(self, seen):
        super().__init__()
        self._seen = seen

    def add(self, relay):
        self._seen.append(relay)
        super().add(relay)


def test_an_ended_call_cannot_touch_the_connection_it_gave_back(run, tmp_path):
    async def main():
        async with open_site(tmp_path, answer) as site:
            pool = site.plane.traffic.pools["up"]
            relay, connection = await rest(site, pool)
            assert list(pool._idle) == [connection]
            relay.client_paused(True)  # its last bytes filled the client's socket
            connection.cancel(relay)  # its client left in the same moment
            async with asyncio.timeout(3):
                assert (await site.ask(post(CHAT, ASK))).endswith(ANSWER)
            assert list(pool._idle) == [connection]

    run(main())


@pytest.mark.parametrize(
    ("method", "status", "want"), [(b"HEAD", b"200 OK", 77), (b"GET", b"304 Not Modified", 77), (b"GET", b"204 No Content", None)]
)
def test_a_head_without_a_body_keeps_the_length_it_announces(run, tmp_path, method, status, want):
    async def script(exchange):
        await exchange.read_request()
        length = b"Content-Length: %d\r\n" % (want or 0)  # which a 204 must not have, and some send
        await exchange.send(b"HTTP/1.1 %b\r\n%bETag: x\r\n\r\n" % (status, length))
        await exchange.reader.read()

    async def main():
        async with open_site(tmp_path, script) as site:
            head, body = split(await site.ask(method + b" /up/v1/files HTTP/1.1\r\nHost: proxy\r\nConnection: close\r\n\r\n"))
            assert body == b"" and b"Transfer-Encoding" not in head
            assert (b"\r\nContent-Length: 77" in head) == (want is not None) and b"Content-Length: 0" not in head
            record = await site.record()
            assert (record["outcome"], record["status"]) == ("ok", int(status[:3]))

    run(main())


def test_an_old_client_is_told_that_the_connection_ends(run, tmp_path):
    async def main():
        async with open_site(tmp_path, answer) as site:
            for path, text in ((CHAT, ANSWER), ("/nowhere/x", b"}}")):
                old = post(path, ASK, connection=b"keep-alive").replace(b"HTTP/1.1", b"HTTP/1.0", 1)
                async with asyncio.timeout(3):
                    head, body = split(await site.ask(old))
                assert b"\r\nConnection: close" in head and body.endswith(text)

    run(main())


def test_a_client_that_leaves_while_the_last_piece_comes_is_settled_once(run, tmp_path):
    async def main():
        async with open_site(tmp_path, script) as site:
            reader, writer = await site.connect()
            writer.write(post(CHAT, STREAM_ASK, connection=b"keep-alive"))
            await reader.readuntil(b"Hel")
            writer.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            gate.set()
            writer.transport.abort()
            await site.record()
            while site.plane.traffic.in_flight:
                await asyncio.sleep(0)
            assert len(site.events("call")) == 1
            gate.clear()
            gate.set()
            content, ended = unchunk(split(await site.ask(post(CHAT, STREAM_ASK)))[1])
            assert content == b"".join(CHUNKS) and ended

    gate = asyncio.Event()

    async def script(exchange):
        while True:
            await exchange.read_request()
            await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
            await exchange.send(b"%x\r\n%b\r\n" % (len(CHUNKS[0]), CHUNKS[0]))
            await gate.wait()
            for chunk in CHUNKS[1:]:
                await exchange.send(b"%x\r\n%b\r\n" % (len(chunk), chunk))
            await exchange.send(b"0\r\n\r\n")

    run(main())


def test_what_came_before_a_broken_chunk_is_delivered(run, tmp_path):
    async def script(exchange):
        await exchange.read_request()
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
        await exchange.send(head + b"%x\r\n%b\r\nno size\r\n" % (len(CHUNKS[0]), CHUNKS[0]))
        await exchange.reader.read()

    async def main():
        async with open_site(tmp_path, script) as site:
            content, ended = unchunk(split(await site.ask(post(CHAT, STREAM_ASK, connection=b"keep-alive")))[1])
            assert content == CHUNKS[0] and not ended
            assert (await site.record())["outcome"] == "upstream_malformed"

    run(main())


class Wire:
    """A journal, a client's connection and its transport in one, noting what happens in which order."""

    writing_paused = has_pending = False

    def __init__(self):
        self.seen = []
        self.transport = self
        self.outbox = Outbox(self)
        self.loop = asyncio.get_running_loop()
        self.pool = self

    def flush(self):
        if self.has_pending:
            self.seen.append("journal")
            self.has_pending = False

    def write(self, data):
        self.seen.append(data)

    def is_closing(self):
        return False

    def settle(self, call):
        self.has_pending = True


def test_the_record_is_on_file_before_the_end_of_the_answer_leaves(run):
    async def main():
        wire = Wire()
        call = Call(id="1", started_ns=1, method="GET", path="/")
        relay = Relay(call, wire, wire, wire.settle, keep_alive=True, http_1_0=False)
        relay.head_came(read_response_head("GET", 200, b"OK", [(b"Content-Length", b"10")], False))
        relay.body_came(b"first")
        relay.batch_ended()
        relay.body_came(b"final")
        relay.message_ended()
        relay.batch_ended()
        await relay.done
        await asyncio.sleep(0)
        assert wire.seen[0].endswith(b"first") and wire.seen[1:] == ["journal", b"final"]

    run(main())
