"""What ordinary clients notice of attackers and of idle connections: `attackers.py [ATTACKERS [IDLE]]`, 200 and 2 000 unless told.

Three rounds in one run, each with the same ordinary clients beside it: nobody else, IDLE kept connections, and these with ATTACKERS, of which
a third sends heads byte by byte, a third sends bodies byte by byte and a third never reads its answer; whoever is cut off comes again at
once. Ordinary clients, attackers and upstream run in processes of their own. Prints the ordinary clients' latency (median, p99) and the CPU
of the data plane per ordinary call in each round, and the longest pause of its event loop. Fails where p99 grows by more than 10 ms, or the
loop stands still for more than 50 ms.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import multiprocessing
import os
import random
import re
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Awaitable, Callable
from multiprocessing.connection import Connection
from pathlib import Path

import uvloop

ROUND_S = 12.0
ATTACK_S = 40.0  # longer than limits.head_s, body_s and write_idle_s, so that attackers are cut off meanwhile
WARM_S = 1.0
UNREAD_S = 32.0
LANES = 8  # ordinary clients, …
PAUSE_S = 0.02  # … each of which waits so long between two calls, on average
MOST_P99_S = 0.010
MOST_PAUSE_S = 0.050
BIG = b"x" * 4_000_000  # what an attacker asks for that never reads
ASK = json.dumps({"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "How far is it? " * 60}]}).encode()
ANSWER = json.dumps({
    "id": "chatcmpl-1", "object": "chat.completion", "model": "gpt-4o-mini",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Not far. " * 60}}],
    "usage": {"prompt_tokens": 300, "completion_tokens": 180, "total_tokens": 480},
}).encode()  # fmt: skip
HEAD = b"POST /a/%b/up/v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
CALL = HEAD % (b"ordinary", len(ASK)) + ASK


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """The upstream: an ordinary answer, or a big one to whoever says so in the path."""
    with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", head.lower())
            await reader.readexactly(int(length[1]) if length else 0)
            body = BIG if b"/big" in head.split(b" ", 2)[1] else ANSWER
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body))
            writer.write(body)
            await writer.drain()
    writer.close()


def serve_upstream(pipe: Connection) -> None:
    async def main() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=4096)
        pipe.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    uvloop.run(main())


def call_ordinarily(port: int, pipe: Connection) -> None:
    """The ordinary clients: at each word of the pipe they call for a round, and send back how long each call took."""

    async def lane(until: float) -> list[float]:
        taken = []
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while time.monotonic() < until:
            began = time.perf_counter()
            writer.write(CALL)
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200 "):
                raise SystemExit(f"an ordinary call failed: {head!r}")
            await reader.readexactly(len(ANSWER))
            taken.append(time.perf_counter() - began)
            await asyncio.sleep(random.uniform(0, 2 * PAUSE_S))
        writer.close()
        return taken

    async def main(round_s: float) -> list[float]:
        return sum(await asyncio.gather(*(lane(time.monotonic() + round_s) for _ in range(LANES))), [])

    while round_s := pipe.recv():
        pipe.send(uvloop.run(main(round_s)))


async def send_slowly(port: int, data: bytes) -> None:
    """A head, or a body, a byte at a time; what it gets for it is thrown away."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        first = data.find(b"\r\n\r\n") + 4 if data.endswith(b"}") else 0
        writer.write(data[:first])
        for byte in data[first:]:
            if writer.transport.is_closing():
                return
            writer.write(bytes((byte,)))
            await writer.drain()
            await asyncio.sleep(0.25)
    finally:
        writer.close()


async def never_read(port: int) -> None:
    """Ask for a big answer and take nothing of it, until it is cut off."""
    loop = asyncio.get_running_loop()
    with socket.socket() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        one.setblocking(False)
        await loop.sock_connect(one, ("127.0.0.1", port))
        await loop.sock_sendall(one, (HEAD % (b"slow", 2) + b"{}").replace(b"/chat/completions", b"/big"))
        await asyncio.sleep(UNREAD_S)


def attack(port: int, attackers: int, idle: int, pipe: Connection) -> None:
    """Opens the idle connections, says so, and at a word of the pipe attacks until it is ended."""
    ways: tuple[Callable[[], Awaitable[None]], ...] = (
        lambda: send_slowly(port, CALL[: CALL.find(b"\r\n\r\n")]),
        lambda: send_slowly(port, CALL),
        lambda: never_read(port),
    )

    async def attacker(number: int) -> None:
        await asyncio.sleep(number / attackers)
        while True:
            with contextlib.suppress(OSError):
                await ways[number % len(ways)]()

    async def main() -> None:
        kept = []
        for _ in range(idle):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(CALL)
            await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(len(ANSWER))
            kept.append(writer)
        pipe.send(len(kept))
        await asyncio.get_running_loop().run_in_executor(None, pipe.recv)
        await asyncio.gather(*(attacker(number) for number in range(attackers)))

    uvloop.run(main())


def find_data_plane(parent: int) -> int:
    for _ in range(200):
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError, ValueError):
                command = (entry / "cmdline").read_bytes().split(b"\0")
                if b"proxy.dataplane.plane" in command and int((entry / "stat").read_text().rpartition(")")[2].split()[1]) == parent:
                    return int(entry.name)
        time.sleep(0.05)
    raise SystemExit("the data plane did not start")


def cpu_s(pid: int) -> float:
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def read_pause_s(admin: str) -> float:
    """The longest pause of the data plane's event loop in the last minute."""
    time.sleep(2)  # for the pulse, and for whoever reads it
    with urllib.request.urlopen(f"{admin}metrics") as page:
        found = re.search(r"^weighbridge_loop_lag_seconds (\S+)", page.read().decode(), re.MULTILINE)
    return float(found[1]) if found else float("nan")


def measure(name: str, ordinary: Connection, plane: int, admin: str, round_s: float) -> tuple[float, float]:
    """One round: its p99 and the longest pause, both in seconds; prints them."""
    before = cpu_s(plane)
    ordinary.send(round_s)
    taken = sorted(ordinary.recv())
    cpu_us = (cpu_s(plane) - before) / len(taken) * 1e6
    p50, p99, pause = taken[len(taken) // 2], taken[len(taken) * 99 // 100], read_pause_s(admin)
    figures = f"median {p50 * 1e3:.2f} ms, p99 {p99 * 1e3:.2f} ms, worst {taken[-1] * 1e3:.1f} ms"
    print(f"{name:>24}: {len(taken)} calls, {figures}; {cpu_us:.0f} us of CPU a call; longest pause so far {pause * 1e3:.1f} ms", flush=True)
    return p99, pause


def run(attackers: int, idle: int, port: int, admin: str, plane: int) -> bool:
    """The three rounds; whether the attackers cost no more than they may."""
    share = min(1.0, attackers / 200)
    near, far = multiprocessing.Pipe()
    ordinary = multiprocessing.Process(target=call_ordinarily, args=(port, far), daemon=True)
    attack_near, attack_far = multiprocessing.Pipe()
    crowd = multiprocessing.Process(target=attack, args=(port, attackers, idle, attack_far), daemon=True)
    try:
        ordinary.start()
        near.send(WARM_S)
        near.recv()
        alone, _ = measure("nobody else", near, plane, admin, ROUND_S * share)
        crowd.start()
        attack_near.recv()
        measure(f"{idle} idle", near, plane, admin, ROUND_S * share)
        attack_near.send(True)
        beside, pause = measure(f"and {attackers} attackers", near, plane, admin, ATTACK_S * share)
        near.send(0)
        ordinary.join(10)
    finally:
        for process in (ordinary, crowd):
            process.kill()
    print(f"p99 is {max(0.0, beside - alone) * 1e3:.2f} ms more beside them; the event loop stood still for {pause * 1e3:.1f} ms at most")
    return beside - alone <= MOST_P99_S and pause <= MOST_PAUSE_S


def main() -> int:
    attackers, idle = (int(word) for word in (sys.argv[1:] + ["200", "2000"][len(sys.argv) - 1 :])[:2])
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    near, far = multiprocessing.Pipe()
    upstream = multiprocessing.Process(target=serve_upstream, args=(far,), daemon=True)
    upstream.start()
    upstream_url = f"http://127.0.0.1:{near.recv()}"
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "weighbridge.yaml")
        settings = {"listen": {"port": 0}, "admin": {"port": 0}, "state_dir": f"{folder}/state", "demo": False}
        config.write_text(json.dumps({**settings, "upstreams": {"up": {"url": upstream_url, "prices": "openai"}}}))
        command = [sys.executable, "-m", "proxy.cli", "serve", "--config", str(config)]
        bridge = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            assert bridge.stdout is not None
            said = ""
            while not (admin := re.search(r"Where to look: (\S+)", said)):
                said += bridge.stdout.readline()
            ready = re.search(r"ready on \S+:(\d+)", said)
            assert ready is not None, said
            with urllib.request.urlopen(f"http://127.0.0.1:{ready[1]}/readyz") as page:
                page.read()
            fine = run(attackers, idle, int(ready[1]), admin[1], find_data_plane(bridge.pid))
        finally:
            os.kill(bridge.pid, signal.SIGTERM)
            bridge.wait(30)
            upstream.kill()
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
