"""Recorded answers of real models as the traffic of agents: most stay as they are, two change; through a Weighbridge, or without one."""

from __future__ import annotations

import asyncio
import gzip
import http.client
import itertools
import json
import math
import random
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from proxy.controlplane.inspection.inspector import Inspector
from proxy.controlplane.journal_writer import JournalWriter
from proxy.controlplane.streams.allowance import Allowance
from proxy.controlplane.streams.streams import Streams
from proxy.controlplane.streams.told import Told
from proxy.inspecting import Evaluators
from proxy.record import Sample

SWITCHED, CUT = "switched", "cut"
CHANGE = 400  # answers before it
HEALTHY = 10
SHARE_CUT, LEAST_LEFT, MOST_LEFT = 0.2, 0.15, 0.85
ALIKE = ("deepseek-chat", "deepseek-coder")  # the model of `switched`, before and after
MODEL = "assistant-1"  # the name that everybody asks for
MIDDLE_S, SPREAD = 0.15, 0.4  # how long an answer takes: a log-normal time; so slow that on a busy machine none is passed over
BYTES_A_TOKEN = 4
Turn = tuple[str, str]  # prompt, answer


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """An upstream that says what its request tells it to, after a time."""
    draw = random.Random(0)
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            size = int(next(line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")))
            body = json.loads(await reader.readexactly(size))
            await asyncio.sleep(MIDDLE_S * math.exp(draw.gauss(0, SPREAD)))
            text = body["metadata"]["answer"]
            made = {
                "id": "chatcmpl-1", "object": "chat.completion", "model": body["model"],
                "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}],
                "usage": dict(zip(("prompt_tokens", "completion_tokens"), count_tokens((body["messages"][0]["content"], text)), strict=True)),
            }  # fmt: skip
            data = json.dumps(made).encode()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(data) + data)
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


def count_tokens(turn: Turn) -> tuple[int, int]:
    return len(turn[0]) // BYTES_A_TOKEN, len(turn[1]) // BYTES_A_TOKEN


def write_request(turn: Turn) -> bytes:
    prompt, text = turn
    return json.dumps({"model": MODEL, "messages": [{"role": "user", "content": prompt}], "metadata": {"answer": text}}).encode()


def _read_rows(path: Path) -> Iterator[dict]:
    with gzip.open(path, "rt", encoding="utf-8") as rows:
        yield from map(json.loads, rows)


def read_pack(pack: Path) -> dict[str, list[Turn]]:
    """Model → what it was asked and said."""
    prompts = {(row["task"], row["id"]): row["prompt"] for row in _read_rows(pack / "prompts.jsonl.gz")}
    pools: dict[str, list[Turn]] = {}
    for row in _read_rows(pack / "outputs.jsonl.gz"):
        pools.setdefault(row["model"], []).append((prompts[row["task"], row["id"]], row["output"]))
    return pools


def write_scripts(pools: dict[str, list[Turn]], answers: int, seed: int) -> dict[str, list[Turn]]:
    """Agent → what it asks and gets, drawn with replacement."""
    draw = random.Random(seed)
    models = draw.sample([model for model in sorted(pools) if model not in ALIKE], HEALTHY)
    scripts = {f"sound-{number}": draw.choices(pools[model], k=answers) for number, model in enumerate(models)}
    before, after = ALIKE
    scripts[SWITCHED] = draw.choices(pools[before], k=CHANGE) + draw.choices(pools[after], k=answers - CHANGE)
    scripts[CUT] = [
        (prompt, text if number < CHANGE or draw.random() >= SHARE_CUT else text[: int(len(text) * draw.uniform(LEAST_LEFT, MOST_LEFT))])
        for number, (prompt, text) in enumerate(draw.choices(pools[models[0]], k=answers))
    ]
    return scripts


def _play(port: int, agent: str, turns: list[Turn]) -> None:
    line = http.client.HTTPConnection("127.0.0.1", port)
    for turn in turns:
        line.request("POST", f"/a/{agent}/up/v1/chat/completions", write_request(turn), {"Content-Type": "application/json"})
        if line.getresponse().read() and line.sock is None:
            line.connect()
    line.close()


def play(port: int, scripts: dict[str, list[Turn]]) -> None:
    """All agents at once, each one call after the other."""
    with ThreadPoolExecutor(len(scripts)) as threads:
        for done in [threads.submit(_play, port, agent, turns) for agent, turns in scripts.items()]:
            done.result()


def watch(scripts: dict[str, list[Turn]]) -> dict[str, Told]:
    """How the streams stand after the same answers, one agent after the other in this process: no proxy, no socket, no restart."""
    with tempfile.TemporaryDirectory() as folder:
        journal = JournalWriter(Path(folder), 1 << 30)
        inspector = Inspector(Evaluators())
        allowance, ages_ns = Allowance(lambda: 0.0, lambda: 0.0), itertools.count(1, 10**15)  # so that whatever waits has waited long enough
        streams = Streams(Evaluators().drift, Path(folder, "drift"), journal, clock_ns=lambda: next(ages_ns), allowance=allowance)
        inspector.listeners.append(streams.watch)
        for agent, turns in scripts.items():
            for turn in turns:
                taken, given = count_tokens(turn)
                inspector.inspect(
                    Sample(
                        id="call", agent=agent, model=MODEL, model_asked=MODEL, upstream="up", format="openai.chat", usage_source="reported",
                        finish="stop", text=turn[1], request=write_request(turn), input_tokens=taken, output_tokens=given, reasoning_tokens=0,
                    )
                )  # fmt: skip
            inspector.rows.clear()
        streams.judge_waiting()
        journal.close()
        return {told.agent: told for told in streams.describe()}
