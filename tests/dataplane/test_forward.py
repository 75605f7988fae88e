"""Uploads: streamed under back-pressure, ended by an answer or by either side leaving."""

import asyncio

import pytest

from proxy.config import Limits
from tests.dataplane.conftest import open_site, post
from tests.dataplane.test_relay import settle_down

LENGTH = 40_000_000
UPLOAD = b"POST /up/v1/files HTTP/1.1\r\nHost: proxy\r\nContent-Length: %d\r\n\r\n" % LENGTH


async def push(writer, sent) -> None:
    """Send the body's bytes as fast as they are taken."""
    for _ in range(LENGTH // 50_000):
        writer.write(b"x" * 50_000)
        await writer.drain()
        sent.append(50_000)


async def calm(site) -> None:
    async with asyncio.timeout(3):
        while (
            site.plane.traffic.in_flight
            or site.plane.traffic.pools["up"].connections
            or any(task.get_name() == "upload" for task in asyncio.all_tasks())
        ):
            await asyncio.sleep(0.001)


def complaints() -> list[dict]:
    """What the event loop complains of from now on: tasks and futures nobody looked at."""
    heard: list[dict] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: heard.append(context))
    return heard


@pytest.mark.parametrize("ending", ["upstream breaks", "upstream answers", "client leaves"])
def test_an_upload_that_nobody_takes_is_held_and_ends_with_either_side(run, tmp_path, ending):
    go, over, sent = asyncio.Event(), asyncio.Event(), []

    async def script(exchange):
        await exchange.reader.readuntil(b"\r\n\r\n")
        await exchange.reader.readexactly(3_000_000)  # more than one pause's worth
        await go.wait()
        if ending == "upstream answers":
            await exchange.reply(b"no", status=b"413 Too Large")
            await over.wait()
        exchange.writer.transport.abort()

    async def main():
        async with open_site(tmp_path, script) as site:
            heard = complaints()
            reader, writer = await site.connect()
            writer.write(UPLOAD)
            pushing = asyncio.create_task(push(writer, sent))
            await settle_down(sent)
            (connection,) = site.plane.traffic.pools["up"].connections
            assert sum(sent) < LENGTH / 2 and connection.transport.get_write_buffer_size() < 2_000_000
            if ending == "client leaves":
                pushing.cancel()
                writer.transport.abort()
                go.set()
            else:
                go.set()
                async with asyncio.timeout(3):
                    head = await reader.readuntil(b"\r\n\r\n")
                assert head.startswith(b"HTTP/1.1 413 " if ending == "upstream answers" else b"HTTP/1.1 502 ")
                pushing.cancel()
                writer.transport.abort()
            record = await site.record()
            await calm(site)
            over.set()
            assert not heard and len(site.events("call")) == 1
        assert record["outcome"] == {"upstream breaks": "upstream_cut", "upstream answers": "upstream_error"}.get(ending, record["outcome"])

    run(main())


def test_an_answer_ends_an_upload_whose_client_waits(run, tmp_path):
    async def script(exchange):
        await exchange.reader.readuntil(b"\r\n\r\n")
        await exchange.reply(b"no", status=b"413 Too Large")
        await exchange.reader.read()

    async def main():
        async with open_site(tmp_path, script) as site:
            heard = complaints()
            reader, writer = await site.connect()
            writer.write(UPLOAD + b"only this much")
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 413 ")
            await calm(site)  # while the client still waits with the rest
            writer.close()
            assert not heard

    run(main())


def test_a_client_that_leaves_during_an_upload_leaves_nothing_behind(run, tmp_path):
    async def script(exchange):
        await exchange.reader.readuntil(b"\r\n\r\nsome")
        got.set()
        await exchange.reader.read()

    got = asyncio.Event()

    async def main():
        async with open_site(tmp_path, script) as site:
            heard = complaints()
            _, writer = await site.connect()
            writer.write(UPLOAD + b"some")
            await got.wait()
            writer.transport.abort()
            assert (await site.record())["outcome"] == "caller_gone"
            await calm(site)
            assert not heard

    run(main())


def test_an_upload_over_the_limit_ends_upstream_as_well(run, tmp_path):
    async def script(exchange):
        await exchange.reader.read()

    async def main():
        async with open_site(tmp_path, script, Limits(upload_bytes=1000)) as site:
            chunked = post("/up/v1/files", b"").replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
            response = await site.ask(chunked + b"7d0\r\n" + b"x" * 2000 + b"\r\n0\r\n\r\n")
            assert response.startswith(b"HTTP/1.1 413 ")
            assert (await site.record())["outcome"] == "caller_body_too_large"
            await calm(site)

    run(main())


def test_many_uploads_share_a_connection(run, tmp_path):
    async def script(exchange):
        while True:
            await exchange.read_request()
            await exchange.reply(b"%d" % len(exchange.body))

    async def main():
        async with open_site(tmp_path, script) as site:
            for size in (1, 70_000, 1_000_000):
                assert (await site.ask(post("/up/v1/files", b"x" * size))).endswith(b"\r\n\r\n%d" % size)
            assert len(site.plane.traffic.pools["up"].connections) == 1

    run(main())


def test_a_form_names_its_model_at_either_end(run, tmp_path):
    async def script(exchange):
        while True:
            await exchange.read_request()
            await exchange.reply(b'{"text":"hi"}')

    async def main():
        model = b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhisper-1\r\n'
        file = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n' + b"w" * 400_000 + b"\r\n"
        async with open_site(tmp_path, script) as site:
            for number, body in enumerate((model + file, file + model), 1):
                request = post("/up/v1/audio/transcriptions", body + b"--b--\r\n").replace(b"application/json", b"multipart/form-data; boundary=b", 1)
                assert (await site.ask(request)).endswith(b'{"text":"hi"}')
                assert (await site.record(number))["model_asked"] == "whisper-1"

    run(main())
