"""Reloads of a running Weighbridge: no stream is dropped, new calls go the new way, and what cannot be taken changes nothing."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import urllib.error
from pathlib import Path

import pytest

from tests.test_orders_stay import change
from tests.test_supervise import Bridge, serve, wait_until, write_config

STREAMS, RELOADS = 1000, 10
ASK = json.dumps({"model": "m", "stream": True, "messages": []}).encode()
EVENT = b'data: {"choices":[{"index":0,"delta":{"content":"x"}}]}\n\n'
CHUNK = b"%x\r\n%b\r\n" % (len(EVENT), EVENT)
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


class Provider:
    """Holds every stream open until it is told to end it; knows the paths and keys that were used."""

    def __init__(self) -> None:
        self.streams: list[asyncio.StreamWriter] = []
        self.seen: list[tuple[str, str]] = []
        self.url = ""

    async def meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(len(ASK))
        self.seen.append((head.split()[1].decode(), head.decode().partition("Bearer ")[2].partition("\r\n")[0]))
        writer.write(HEAD + CHUNK)
        self.streams.append(writer)

    def say(self, data: bytes) -> None:
        for writer in self.streams:
            writer.write(data)


class Caller:
    """One stream that is read to its end."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        self.body = b""
        self.reading = asyncio.create_task(self._read(reader))

    async def _read(self, reader: asyncio.StreamReader) -> None:
        while data := await reader.read(65536):
            self.body += data

    @property
    def events(self) -> int:
        return self.body.count(EVENT)


async def call(bridge: Bridge, path: str = "/up/v1/chat/completions") -> Caller:
    host, port = bridge.base.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"POST %b HTTP/1.1\r\nHost: p\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b" % (path.encode(), len(ASK), ASK))
    return Caller(reader, writer)


async def until(condition) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.01)


@pytest.fixture(autouse=True)
def raise_limit() -> None:
    """Both ends of all streams are in this process."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def test_ten_reloads_drop_none_of_a_thousand_streams(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY_0", "sk-0")
    monkeypatch.setenv("KEY_1", "sk-1")
    provider, callers = Provider(), []

    def configure(number: int) -> dict:
        up = {"url": f"{provider.url}/{number}", "key": f"env:KEY_{number % 2}", "model_optional": bool(number % 3)}
        others = {f"other-{number}": {"url": f"http://127.0.0.1:{number + 1}"}}
        budgets = [{"name": "all", "calls": number + 1_000_000}]
        return {"demo": False, "upstreams": {"up": up, **others}, "limits": {"idle_s": 100 + number}, "budgets": budgets}

    async def drive(bridge: Bridge) -> None:
        for number in range(1, RELOADS + 1):
            callers.extend([await call(bridge) for _ in range(STREAMS // RELOADS)])
            await until(lambda: len(provider.streams) == len(callers) and all(one.events for one in callers))
            write_config(tmp_path, **configure(number))
            if number % 2:
                bridge.process.send_signal(signal.SIGHUP)
            else:
                answer = await asyncio.to_thread(change, bridge, "/api/reload", {})
                assert {"upstreams.up", f"upstreams.other-{number}", "limits.idle_s", "budgets"} <= set(answer["changed"])
            while provider.seen[-1] != (f"/{number}/v1/chat/completions", f"sk-{number % 2}"):  # every call until then goes the old way, whole
                assert provider.seen[-1] in ((f"/{n}/v1/chat/completions", f"sk-{n % 2}") for n in (number - 1, number))
                callers.append(await call(bridge))
                await until(lambda: len(provider.streams) == len(callers))
            before = [one.events for one in callers]
            provider.say(CHUNK)
            await until(lambda before=before: all(one.events > seen for one, seen in zip(callers, before, strict=True)))
        provider.say(b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n")
        await asyncio.wait_for(asyncio.gather(*(one.reading for one in callers)), 60)

    async def main() -> None:
        server = await asyncio.start_server(provider.meet, "127.0.0.1", 0, backlog=4096)
        provider.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        with serve(tmp_path, **configure(0)) as bridge:
            await drive(bridge)
            writers = [*provider.streams, *(one.writer for one in callers)]
            for writer in writers:
                writer.close()
            await asyncio.gather(*(writer.wait_closed() for writer in writers), return_exceptions=True)
            records = bridge.journal("call")
        server.close()
        assert len(callers) >= STREAMS and all(one.body.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n") for one in callers)
        assert len(records) == len(callers) and {record["outcome"] for record in records} == {"ok"}

    asyncio.run(main())


def test_what_cannot_be_taken_is_named_and_everything_stays(tmp_path: Path) -> None:
    with serve(tmp_path) as bridge:
        log = tmp_path / "log"
        for settings, path, words in (
            ({"upstreams": {"new": {"url": "ftp://no"}}}, "upstreams.new.url", "expected http://"),
            ({"upstreams": {"new": {"url": "http://n", "key": "env:NOT_SET_ANYWHERE"}}}, "upstreams.new.key", "NOT_SET_ANYWHERE is not set"),
            ({"upstreams": {"new": {"url": "http://n"}}, "demo": False}, "demo", "cannot change while Weighbridge runs"),
            ({"upstreams": {"new": {"url": "http://n"}}, "ledger": {"redis": "redis://h"}}, "ledger.redis", "cannot change while Weighbridge runs"),
        ):
            write_config(tmp_path, **settings)
            with pytest.raises(urllib.error.HTTPError) as caught:
                change(bridge, "/api/reload", {})
            with caught.value:
                (fault,) = json.load(caught.value)["faults"]
            assert (caught.value.code, fault["path"]) == (422, path) and words in fault["message"]
            told = log.read_text().count("the config was not read again")
            bridge.process.send_signal(signal.SIGHUP)
            wait_until(lambda told=told: log.read_text().count("the config was not read again") > told)
            assert words in log.read_text()
        os.kill(bridge.child("proxy.dataplane.plane"), signal.SIGKILL)  # the next one starts with what holds, and not with what stands in the file
        os.kill(bridge.child("proxy.controlplane.plane"), signal.SIGKILL)
        assert bridge.post("/demo/v1/chat/completions", {"model": "m", "messages": [{"role": "user", "content": "x"}]})["choices"]
        with pytest.raises(urllib.error.HTTPError, match="404"):
            bridge.post("/new/v1/chat/completions", {"model": "m", "messages": []})
        caught.value.close()
        assert len(bridge.wait_for_calls(2)) == 2
