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
import multiprocessing
import socket
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from multiprocessing.connection import Connection

import uvloop
from rig import DATA, Bridge, allow_files, cpu_s, open_bridge, read_pause_s
from rig.ordinary import ANSWER, CALL, HEAD, Ordinary, answer, percentiles_ms

ROUND_S = 12.0
ATTACK_S = 40.0  # longer than limits.head_s, body_s and write_idle_s, so that attackers are cut off meanwhile
WARM_S = 1.0
UNREAD_S = 32.0
MOST_P99_MS = 10.0
MOST_PAUSE_S = 0.050
BIG = b"x" * 4_000_000  # what an attacker asks for that never reads


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


def measure(name: str, clients: Ordinary, bridge: Bridge, round_s: float) -> tuple[float, float]:
    """One round: its p99 in milliseconds and the longest pause in seconds; prints them."""
    plane = bridge.find(DATA)
    before = cpu_s(plane)
    clients.start(round_s)
    taken, failed = clients.finish()
    if failed:
        raise SystemExit(f"{failed} ordinary calls failed")
    cpu_us = (cpu_s(plane) - before) / len(taken) * 1e6
    (p50, p99), pause = percentiles_ms(taken), read_pause_s(bridge.admin)
    figures = f"median {p50:.2f} ms, p99 {p99:.2f} ms, worst {max(taken) * 1e3:.1f} ms"
    print(f"{name:>24}: {len(taken)} calls, {figures}; {cpu_us:.0f} us of CPU a call; longest pause so far {pause * 1e3:.1f} ms", flush=True)
    return p99, pause


def run(attackers: int, idle: int, bridge: Bridge) -> bool:
    """The three rounds; whether the attackers cost no more than they may."""
    share = min(1.0, attackers / 200)
    near, far = multiprocessing.Pipe()
    crowd = multiprocessing.Process(target=attack, args=(bridge.port, attackers, idle, far), daemon=True)
    clients = Ordinary(bridge.port)
    try:
        clients.start(WARM_S)
        clients.finish()
        alone, _ = measure("nobody else", clients, bridge, ROUND_S * share)
        crowd.start()
        near.recv()
        measure(f"{idle} idle", clients, bridge, ROUND_S * share)
        near.send(True)
        beside, pause = measure(f"and {attackers} attackers", clients, bridge, ATTACK_S * share)
    finally:
        clients.close()
        if crowd.pid is not None:
            crowd.kill()
    print(f"p99 is {max(0.0, beside - alone):.2f} ms more beside them; the event loop stood still for {pause * 1e3:.1f} ms at most")
    return beside - alone <= MOST_P99_MS and pause <= MOST_PAUSE_S


def main() -> int:
    attackers, idle = (int(word) for word in (sys.argv[1:] + ["200", "2000"][len(sys.argv) - 1 :])[:2])
    allow_files()
    with open_bridge(partial(answer, big=BIG)) as bridge:
        return 0 if run(attackers, idle, bridge) else 1


if __name__ == "__main__":
    sys.exit(main())
