"""Memory of the data plane while it carries many slow streams at once: `slow_streams.py [STREAMS [PROMPT_BYTES]]`, 10 000 of 32 KiB unless told.

An upstream sends each stream a chunk a second for 12 s; every stream must arrive whole. They begin over 6 s, so that all of them run at
once. Both ends run in processes of their own. Prints the data plane's memory idle and at its peak (VmRSS, VmHWM and Pss of /proc), what a
stream takes of it, what 10 000 would take, and the longest pause of its event loop. Fails where a stream is not whole, or these 10 000 take
more than 600 MiB, or the loop stands still for more than 50 ms.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import multiprocessing
import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from multiprocessing.connection import Connection
from pathlib import Path

import uvloop

CHUNKS = 12
RAMP_S = 6
PAUSE_S = 1.0
MOST_MIB = 600
MOST_PAUSE_S = 0.050
ALL = 10_000  # streams that must do with that
SPARE_FILES = 200
EVENT = (
    b'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","model":"gpt-4o-mini-2024-07-18",'
    b'"choices":[{"index":0,"delta":{"content":"%b"}}]}\n\n'
)


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One slow stream."""
    head = await reader.readuntil(b"\r\n\r\n")
    await reader.readexactly(int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0]))
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n")
    for number in range(CHUNKS):
        chunk = EVENT % (b"word %d of a slow answer " % number)
        writer.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
        await asyncio.sleep(PAUSE_S)
    writer.write(b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n")
    writer.close()


def serve_upstream(pipe: Connection) -> None:
    async def main() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=4096)
        pipe.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    uvloop.run(main())


def call(port: int, streams: int, prompt_bytes: int, pipe: Connection) -> None:
    """All clients; sends how many streams came whole."""
    ask = {"model": "gpt-4o-mini", "stream": True, "messages": [{"role": "user", "content": "slowly. " * (prompt_bytes // 8)}]}
    body = json.dumps(ask).encode()
    head = b"POST /a/slow/up/v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body)

    async def one(number: int) -> bool:
        await asyncio.sleep(number * RAMP_S / streams)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head + body)
        content = await reader.read()
        writer.close()
        return content.endswith(b"\r\n0\r\n\r\n") and content.count(b"slow answer") == CHUNKS

    async def main() -> int:
        return sum(await asyncio.gather(*(one(number) for number in range(streams)), return_exceptions=False))

    pipe.send(uvloop.run(main()))


def memory_mib(pid: int, field: str, file: str = "status") -> float:
    for line in Path(f"/proc/{pid}/{file}").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) / 1024
    raise ValueError(field)


def find_data_plane(parent: int) -> int:
    for _ in range(200):
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError, ValueError):
                command = (entry / "cmdline").read_bytes().split(b"\0")
                if b"proxy.dataplane.plane" in command and int((entry / "stat").read_text().rpartition(")")[2].split()[1]) == parent:
                    return int(entry.name)
        time.sleep(0.05)
    raise SystemExit("the data plane did not start")


def read_pause_s(admin: str) -> float:
    """The longest pause of the data plane's event loop in the last minute."""
    time.sleep(2)  # for the pulse, and for whoever reads it
    with urllib.request.urlopen(f"{admin}metrics") as page:
        found = re.search(r"^weighbridge_loop_lag_seconds (\S+)", page.read().decode(), re.MULTILINE)
    return float(found[1]) if found else float("nan")


def main() -> int:
    streams = int(sys.argv[1]) if len(sys.argv) > 1 else ALL
    prompt_bytes = int(sys.argv[2]) if len(sys.argv) > 2 else 32 * 1024
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hard < streams * 2 + SPARE_FILES:
        asked, streams = streams, (hard - SPARE_FILES) // 2
        print(f"{asked} streams need {asked * 2 + SPARE_FILES} open files in the data plane; with {hard} it is {streams} streams")
    near, far = multiprocessing.Pipe()
    upstream = multiprocessing.Process(target=serve_upstream, args=(far,), daemon=True)
    upstream.start()
    upstream_port = near.recv()
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "weighbridge.yaml")
        settings = {"listen": {"port": 0}, "admin": {"port": 0}, "state_dir": f"{folder}/state", "demo": False}
        config.write_text(json.dumps({**settings, "upstreams": {"up": {"url": f"http://127.0.0.1:{upstream_port}", "prices": "openai"}}}))
        bridge = subprocess.Popen([sys.executable, "-m", "proxy.cli", "serve", "--config", str(config)], stdout=subprocess.PIPE, text=True)
        try:
            assert bridge.stdout is not None
            said = ""
            while not (admin := re.search(r"Where to look: (\S+)", said)):
                said += bridge.stdout.readline()
            port = int(said.partition("\n")[0].rsplit(":", 1)[1])
            plane = find_data_plane(bridge.pid)
            time.sleep(2)
            idle = memory_mib(plane, "VmRSS")
            clients = multiprocessing.Process(target=call, args=(port, streams, prompt_bytes, far))
            clients.start()
            pss = 0.0
            while not near.poll(1):
                pss = max(pss, memory_mib(plane, "Pss", "smaps_rollup"))
            whole = near.recv()
            peak = memory_mib(plane, "VmHWM")
            pause = read_pause_s(admin[1])
        finally:
            os.kill(bridge.pid, signal.SIGTERM)
            bridge.wait(20)
            upstream.kill()
    each = (peak - idle) / streams
    taken = f"{idle:.0f} MiB idle, {peak:.0f} MiB at its peak (PSS {pss:.0f} MiB), {each * 1024:.1f} KiB a stream"
    print(f"{whole} of {streams} streams of {prompt_bytes} bytes of prompt came whole; data plane {taken}, {idle + each * ALL:.0f} MiB with {ALL}")
    print(f"its event loop stood still for {pause * 1e3:.1f} ms at most")
    return 0 if whole == streams and idle + each * ALL <= MOST_MIB and pause <= MOST_PAUSE_S else 1


if __name__ == "__main__":
    sys.exit(main())
