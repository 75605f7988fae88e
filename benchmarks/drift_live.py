"""Drift through a running Weighbridge, on recorded answers of real models: two agents that change, beside ten that do not.

    .venv/bin/python benchmarks/drift_live.py PACK [ANSWERS]     ANSWERS of each agent, 1,000 unless told

PACK is the folder that `drift.py` takes. Each agent gets one model's answers, drawn with replacement. After CHANGE answers `switched` gets those of
another model under the same name, and of `cut` one in five breaks off without a word. Weighbridge is stopped and started again before that.
What the alarms and the webhook's notices say is printed. Fails where a change is not found or told of, or where more than one agent that has not
changed raises an alarm: one in 10,000 answers is permitted.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import http.client
import json
import math
import random
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from rig import Bridge, open_bridge

SEED = 1
HEALTHY, ANSWERS = 10, 1000
RESTART, CHANGE = 350, 400
SHARE_CUT = 0.2
MOST_ALARMED = 3
ALIKE = ("deepseek-chat", "deepseek-coder")  # the model of `switched`, before and after
MIDDLE_S, SPREAD = 0.06, 0.4  # how long an answer takes: a log-normal time
NOTICE_S = 120.0
MISSED = ("weighbridge_drift_skipped_answers_total", "weighbridge_samples_uninspected_total", "weighbridge_samples_dropped_total")
Turn = tuple[str, str]  # prompt, answer


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """An upstream that says what its request tells it to, after a time."""
    draw = random.Random(SEED)
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            size = int(next(line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")))
            body = json.loads(await reader.readexactly(size))
            await asyncio.sleep(MIDDLE_S * math.exp(draw.gauss(0, SPREAD)))
            text = body["metadata"]["answer"]
            made = {
                "id": "chatcmpl-1", "object": "chat.completion", "model": body["model"],
                "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}],
                "usage": {"prompt_tokens": len(body["messages"][0]["content"]) // 4, "completion_tokens": len(text) // 4},
            }  # fmt: skip
            data = json.dumps(made).encode()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(data) + data)
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


def read_rows(path: Path) -> Iterator[dict]:
    with gzip.open(path, "rt", encoding="utf-8") as rows:
        yield from map(json.loads, rows)


def make_scripts(pack: Path, answers: int) -> dict[str, list[Turn]]:
    """Agent → what it asks and gets."""
    prompts = {(row["task"], row["id"]): row["prompt"] for row in read_rows(pack / "prompts.jsonl.gz")}
    pools: dict[str, list[Turn]] = {}
    for row in read_rows(pack / "outputs.jsonl.gz"):
        pools.setdefault(row["model"], []).append((prompts[row["task"], row["id"]], row["output"]))
    draw = random.Random(SEED)
    models = draw.sample([model for model in sorted(pools) if model not in ALIKE], HEALTHY)
    scripts = {f"sound-{number}": draw.choices(pools[model], k=answers) for number, model in enumerate(models)}
    before, after = ALIKE
    scripts["switched"] = draw.choices(pools[before], k=CHANGE) + draw.choices(pools[after], k=answers - CHANGE)
    scripts["cut"] = [
        (prompt, text if number < CHANGE or draw.random() >= SHARE_CUT else text[: int(len(text) * draw.uniform(0.15, 0.85))])
        for number, (prompt, text) in enumerate(draw.choices(pools[models[0]], k=answers))
    ]
    return scripts


def play(port: int, agent: str, turns: list[Turn]) -> None:
    line = http.client.HTTPConnection("127.0.0.1", port)
    for prompt, text in turns:
        body = {"model": "assistant-1", "messages": [{"role": "user", "content": prompt}], "metadata": {"answer": text}}
        line.request("POST", f"/a/{agent}/up/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json"})
        if line.getresponse().read() and line.sock is None:
            line.connect()
    line.close()


def wait_for_both_planes(bridge: Bridge) -> None:
    """Until the control plane has heard of the data plane: what is sent to it before that is lost."""
    while True:
        with contextlib.suppress(OSError):
            if json.loads(look(bridge, "/readyz"))["status"] == "ready":
                return
        time.sleep(0.05)


def play_all(bridge: Bridge, scripts: dict[str, list[Turn]]) -> None:
    wait_for_both_planes(bridge)
    with ThreadPoolExecutor(len(scripts)) as threads:
        for done in [threads.submit(play, bridge.port, agent, turns) for agent, turns in scripts.items()]:
            done.result()


def look(bridge: Bridge, path: str) -> bytes:
    with urllib.request.urlopen(bridge.admin + path, timeout=60) as response:
        return response.read()


def read_streams(bridge: Bridge) -> dict[str, dict]:
    return {row["agent"]: row for row in json.loads(look(bridge, "/api/drift"))["rows"]}


def open_webhook(received: list[dict]) -> ThreadingHTTPServer:
    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.extend(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["alerts"])
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def wait_for_notices(received: list[dict]) -> dict[str, str]:
    """Agent → what the webhook was told of its drift."""
    until = time.monotonic() + NOTICE_S
    while True:
        drifting = [one for one in received if one["labels"]["alertname"] == "WeighbridgeQualityDrift"]
        told = {one["labels"]["agent"]: one["annotations"]["description"] for one in drifting}
        if {"switched", "cut"} <= told.keys() or time.monotonic() > until:
            return told
        time.sleep(0.5)


def main(pack: Path, answers: int) -> int:
    scripts = make_scripts(pack, answers)
    received: list[dict] = []
    webhook = open_webhook(received)
    channel = {"name": "desk", "kind": "webhook", "url": f"http://127.0.0.1:{webhook.server_address[1]}/"}
    with tempfile.TemporaryDirectory() as state:
        settings = {"state_dir": state, "evaluators": {"per_second": 100_000}, "notify": {"channels": [channel], "every_s": 1.0, "gather_s": 1.0}}
        with open_bridge(answer, settings) as bridge:
            play_all(bridge, {agent: turns[:RESTART] for agent, turns in scripts.items()})
            time.sleep(2)  # for the samples that are under way
        with open_bridge(answer, settings) as bridge:
            play_all(bridge, {agent: turns[RESTART:] for agent, turns in scripts.items()})
            told = wait_for_notices(received)
            streams = read_streams(bridge)
            figures = look(bridge, "/metrics").decode().splitlines()
    webhook.shutdown()
    print("| agent | state | answers seen | cause |\n|---|---|---|---|")
    for agent in scripts:
        row = streams[agent]
        print(f"| {agent} | {row['state']} | {row['answers']} | {row['cause'] or ''} |")
    print(f"\nThe changes began at answer {CHANGE + 1}.", *(line for line in figures if line.startswith(MISSED)))
    for agent, description in told.items():
        print(f"The webhook was told of {agent}: {description}")
    alarmed = {agent for agent, row in streams.items() if row["state"] == "alarmed"}
    return 0 if {"switched", "cut"} <= alarmed & told.keys() and len(alarmed) <= MOST_ALARMED else 1


if __name__ == "__main__":
    if len(sys.argv) < 2:
        print(f"{HEALTHY} agents that stay and 2 that change, {ANSWERS} answers each: name a PACK of recorded answers")
    else:
        sys.exit(main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else ANSWERS))
