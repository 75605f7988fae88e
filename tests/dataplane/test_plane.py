"""The data plane's process: its stop under load, and what a second's tick does."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys

from proxy.config import Limits
from proxy.routes import Retry
from proxy.rules import RateLimit
from tests.dataplane.conftest import Exchange, open_site, post
from tests.dataplane.routing import BUSY, Upstreams, call, open_routes
from tests.dataplane.test_path import ANSWER, ASK, CHAT, STREAM_ASK, answer

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"


@contextlib.asynccontextmanager
async def start_process(folder, script, grace_s):
    """(the process of a data plane before an upstream that runs `script`, its port)."""

    async def meet(reader, writer):
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await script(Exchange(reader, writer))
        writer.close()

    upstream = await asyncio.start_server(meet, "127.0.0.1", 0)
    port = upstream.sockets[0].getsockname()[1]
    config = folder / "config.yaml"
    config.write_text(
        f"state_dir: {folder}\ndemo: false\nupstreams:\n  up: {{url: 'http://127.0.0.1:{port}'}}\nlimits: {{stop_grace_s: {grace_s}}}\n"
    )
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        number = listener.fileno()
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "proxy.dataplane.plane", "--config", str(config), "--listener", str(number),
            pass_fds=[number], stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        try:
            yield process, listener.getsockname()[1]
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
            upstream.close()


def journal(folder) -> list[dict]:
    lines = b"".join(path.read_bytes() for path in sorted((folder / "journal").iterdir())).splitlines()
    return [json.loads(line) for line in lines]


def test_a_stop_lets_calls_end_within_the_grace_and_settles_the_others(tmp_path):
    go, waiting = asyncio.Event(), []

    async def script(exchange):
        await exchange.read_request()
        await exchange.send(HEAD)
        if b"/ends" in exchange.head:
            await go.wait()
            await exchange.send(b"0\r\n\r\n")
        await exchange.reader.read()

    async def main():
        async with start_process(tmp_path, script, 1.0) as (process, port):
            for path in (b"/up/ends", b"/up/endless", b"/up/ends", b"/up/endless"):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(b"GET " + path + b" HTTP/1.1\r\nHost: p\r\n\r\n")
                await reader.readuntil(b"hello")
                waiting.append((reader, writer, path))
            spare = await asyncio.open_connection("127.0.0.1", port)
            spare[1].write(b"GET /readyz HTTP/1.1\r\nHost: p\r\n\r\n")
            assert await spare[0].readuntil(b"ok\n")
            process.send_signal(signal.SIGTERM)
            reader, writer = spare
            status = b"200"
            while status == b"200":
                writer.write(b"GET /readyz HTTP/1.1\r\nHost: p\r\n\r\n")
                status = (await reader.readuntil(b"\r\n\r\n")).split()[1]
                await reader.readexactly(3 if status == b"200" else len(b"stopping\n"))
            writer.write(post(CHAT, ASK))
            assert b" 503 " in await reader.readline()
            writer.close()
            go.set()
            for reader, writer, path in waiting:
                with contextlib.suppress(ConnectionError):
                    rest = await reader.read() if path == b"/up/endless" else await reader.readuntil(b"0\r\n\r\n")
                    assert rest.endswith(b"0\r\n\r\n") == (path == b"/up/ends")
                writer.close()
            assert await asyncio.wait_for(process.wait(), 10) == 0
        events = journal(tmp_path)
        outcomes = sorted((event["call"]["outcome"], event["call"]["status"]) for event in events if "call" in event)
        stopped = "weighbridge_stopping"
        assert outcomes == [("ok", 200), ("ok", 200), (stopped, 200), (stopped, 200), (stopped, 503)]
        assert "closed" in events[-1]

    asyncio.run(main())


def test_the_end_of_the_parent_ends_the_process(tmp_path):
    async def main():
        async with start_process(tmp_path, answer, 1.0) as (first, port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(post(CHAT, ASK))
            assert (await reader.read()).endswith(ANSWER)
            writer.close()
            config = tmp_path / "config.yaml"
            ours, theirs = os.pipe()
            with socket.socket() as listener:
                listener.bind(("127.0.0.1", 0))
                listener.listen()
                second = await asyncio.create_subprocess_exec(
                    sys.executable, "-m", "proxy.dataplane.plane", "--config", str(config), "--listener", str(listener.fileno()),
                    "--lifeline", str(ours), pass_fds=[listener.fileno(), ours], stderr=asyncio.subprocess.DEVNULL,
                )  # fmt: skip
                os.close(ours)
                os.close(theirs)
                assert await asyncio.wait_for(second.wait(), 10) == 0
            assert first.returncode is None

    asyncio.run(main())


def test_while_stopping_a_kept_connection_is_refused_and_readiness_says_so(run, tmp_path):
    async def main():
        async with open_site(tmp_path, answer) as site:
            site.plane.traffic.stopping = True
            response = await site.ask(post(CHAT, ASK))
            assert response.startswith(b"HTTP/1.1 503 ") and b"weighbridge_stopping" in response
            assert b"503 " in await site.ask(b"GET /readyz HTTP/1.1\r\nHost: p\r\nConnection: close\r\n\r\n")

    run(main())


def test_a_provider_that_falls_silent_in_the_middle_is_cut_and_named(run, tmp_path):
    gone = asyncio.Event()

    async def script(exchange):
        await exchange.read_request()
        await exchange.send(HEAD)
        await exchange.reader.read()
        gone.set()

    async def main():
        async with open_site(tmp_path, script, Limits(idle_s=0.0)) as site:
            reader, writer = await site.connect()
            writer.write(post(CHAT, STREAM_ASK, connection=b"keep-alive"))
            await reader.readuntil(b"hello")
            await asyncio.sleep(0.001)
            site.plane.tick()
            assert not (await reader.read()).endswith(b"0\r\n\r\n")
            writer.close()
            assert (await site.record())["outcome"] == "upstream_timeout"
            await asyncio.wait_for(gone.wait(), 1)
            while site.plane.traffic.in_flight:
                await asyncio.sleep(0)

    run(main())


def test_a_defect_of_ours_is_recorded_as_one(run, tmp_path, monkeypatch):
    async def main():
        async with open_site(tmp_path, answer) as site:
            monkeypatch.setattr("proxy.dataplane.carrier.make_head", lambda *arguments: 1 / 0)
            response = await site.ask(post(CHAT, ASK))
            assert response.startswith(b"HTTP/1.1 500 ") and b"weighbridge_internal" in response
            record = await site.record()
            assert (record["outcome"], record["status"]) == ("weighbridge_internal", 500)

    run(main())


def test_a_tick_reaps_and_retries(run, tmp_path):
    async def main():
        async with open_site(tmp_path, answer, Limits(idle_connection_s=0.0)) as site:
            await site.ask(post(CHAT, ASK))
            plane, pool = site.plane, site.plane.traffic.pools["up"]
            retried = []
            plane._journal.retry = lambda: retried.append(True)
            assert pool._idle
            plane.tick()
            while pool._idle:
                await asyncio.sleep(0)
            assert retried and not pool.connections
            del plane._journal.retry

    run(main())


def test_all_objects_are_looked_at_for_garbage_while_few_calls_run(run, tmp_path, monkeypatch):
    looked = []

    async def main():
        async with open_site(tmp_path, answer) as site:
            monkeypatch.setattr("proxy.dataplane.plane.gc.collect", lambda: looked.append(site.plane.traffic.carrying))
            for count, carrying in ((3, 0), (4, 0), (4, 200), (400, 201)):
                monkeypatch.setattr("proxy.dataplane.plane.gc.get_count", lambda count=count: (0, 0, count))
                site.plane.traffic.carrying = carrying
                site.plane.tick()

    run(main())
    assert looked == [0, 200]


def test_a_pulse_tells_of_upstreams_keys_and_limits_and_that_no_call_is_adrift(run, tmp_path, monkeypatch):
    monkeypatch.setenv("K1", "sk-1")
    monkeypatch.setenv("K2", "sk-2")
    pulses, go, running = [], asyncio.Event(), asyncio.Event()

    async def hold(exchange):
        running.set()
        await go.wait()
        await exchange.reply(ANSWER)

    async def main():
        upstreams = Upstreams((b"429 Too Many Requests", b"Retry-After: 60\r\n"), ANSWER, (BUSY, b""), (BUSY, b""), hold)
        settings = {"up": {"keys": ["env:K1", "env:K2"], "retry": Retry(attempts=2, when=["overloaded"], share=0.0, least=2, backoff_s=0.001)}}
        limits = [RateLimit(name="day", concurrent=5)]
        async with open_routes(tmp_path, {"up": upstreams, "gone": None}, settings, rate_limits=limits) as site:
            monkeypatch.setattr(site.plane._samples, "pulse", pulses.append)
            for path in (CHAT, "/nowhere/v1/chat/completions", "/gone/v1/chat/completions", CHAT):
                await call(site, path=path)
            asking = asyncio.create_task(call(site))
            await running.wait()
            site.plane.tick()
            go.set()
            await asking
            site.plane.tick()
            assert site.plane.traffic.opened == site.plane._settler.closed < site.plane._settler.settled
            site.plane._settler.closed -= 1  # as if the record of one had been forgotten
            site.plane.tick()

    run(main())
    during, after, adrift = pulses
    up, gone = during.upstreams
    assert [(key.name, key.is_parked, key.breaker) for key in up.keys] == [("K1", True, 0), ("K2", False, 0)]
    assert (up.name, up.quota_refused, gone.name, [key.name for key in gone.keys]) == ("up", 0, "gone", [""])
    assert [(one.name, one.running) for one in during.limits] == [("day", 1)] and [one.running for one in after.limits] == [0]
    assert [one.gap for one in pulses] == [0, 0, 1] and during.in_flight == 1 and adrift.defects == 0
