"""Memory of the data plane while it carries many slow streams at once: `slow_streams.py [STREAMS [PROMPT_BYTES [CHUNKS]]]`.

Unless told, these are 10 000 streams with 32 KiB of prompt and 12 chunks. An upstream sends each stream a chunk a second; every stream must
arrive whole. They begin over half of that time, so that all of them run at once. Both ends run in processes of their own. Prints the data
plane's memory idle and at its peak (VmRSS, VmHWM and Pss of /proc), what a stream takes of it, what 10 000 would take, and the longest pause
of its event loop. Fails where a stream is not whole, or these 10 000 take more than 600 MiB, or the loop stands still for more than 50 ms.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import sys
from functools import partial
from multiprocessing.connection import Connection

import uvloop
from rig import DATA, allow_files, memory_mib, open_bridge, read_pause_s

CHUNKS = 12
RAMP = 0.5  # of the time that a stream takes
PAUSE_S = 1.0
MOST_MIB = 600
MOST_PAUSE_S = 0.050
ALL = 10_000  # streams that must do with that
SPARE_FILES = 200
EVENT = (
    b'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","model":"gpt-4o-mini-2024-07-18",'
    b'"choices":[{"index":0,"delta":{"content":"%b"}}]}\n\n'
)


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, chunks: int) -> None:
    """One slow stream."""
    head = await reader.readuntil(b"\r\n\r\n")
    await reader.readexactly(int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0]))
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n")
    for number in range(chunks):
        chunk = EVENT % (b"word %d of a slow answer " % number)
        writer.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
        await asyncio.sleep(PAUSE_S)
    writer.write(b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n")
    writer.close()


def call(port: int, streams: int, prompt_bytes: int, chunks: int, pipe: Connection) -> None:
    """All clients; sends how many streams came whole."""
    ask = {"model": "gpt-4o-mini", "stream": True, "messages": [{"role": "user", "content": "slowly. " * (prompt_bytes // 8)}]}
    body = json.dumps(ask).encode()
    head = b"POST /a/slow/up/v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body)

    async def one(number: int) -> bool:
        await asyncio.sleep(number * chunks * PAUSE_S * RAMP / streams)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head + body)
        content = await reader.read()
        writer.close()
        return content.endswith(b"\r\n0\r\n\r\n") and content.count(b"slow answer") == chunks

    async def main() -> int:
        return sum(await asyncio.gather(*(one(number) for number in range(streams)), return_exceptions=False))

    pipe.send(uvloop.run(main()))


def main() -> int:
    streams = int(sys.argv[1]) if len(sys.argv) > 1 else ALL
    prompt_bytes = int(sys.argv[2]) if len(sys.argv) > 2 else 32 * 1024
    chunks = int(sys.argv[3]) if len(sys.argv) > 3 else CHUNKS
    hard = allow_files()
    if hard < streams * 2 + SPARE_FILES:
        asked, streams = streams, (hard - SPARE_FILES) // 2
        print(f"{asked} streams need {asked * 2 + SPARE_FILES} open files in the data plane; with {hard} it is {streams} streams")
    near, far = multiprocessing.Pipe()
    with open_bridge(partial(answer, chunks=chunks)) as bridge:
        plane = bridge.find(DATA)
        read_pause_s(bridge.admin)  # once it tells of itself, it has started
        idle = memory_mib(plane, "VmRSS")
        clients = multiprocessing.Process(target=call, args=(bridge.port, streams, prompt_bytes, chunks, far))
        clients.start()
        pss = 0.0
        while not near.poll(1):
            pss = max(pss, memory_mib(plane, "Pss", "smaps_rollup"))
        whole = near.recv()
        peak = memory_mib(plane, "VmHWM")
        pause = read_pause_s(bridge.admin)
    each = (peak - idle) / streams
    taken = f"{idle:.0f} MiB idle, {peak:.0f} MiB at its peak (PSS {pss:.0f} MiB), {each * 1024:.1f} KiB a stream"
    print(f"{whole} of {streams} streams of {prompt_bytes} bytes of prompt came whole; data plane {taken}, {idle + each * ALL:.0f} MiB with {ALL}")
    print(f"its event loop stood still for {pause * 1e3:.1f} ms at most")
    return 0 if whole == streams and idle + each * ALL <= MOST_MIB and pause <= MOST_PAUSE_S else 1


if __name__ == "__main__":
    sys.exit(main())
