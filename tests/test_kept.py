"""With capture off no word of a prompt or an answer is on the disk, whatever was found in it: scores, digests and names alone."""

from __future__ import annotations

import contextlib
import io
import json
import threading
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from proxy.controlplane.streams.told import read_head
from tests.controlplane.streams.conftest import say
from tests.test_secrets import dump
from tests.test_supervise import Bridge, serve, wait_until

MARK = "quibblefrost"  # stands in every prompt and in all that comes back
WARMUP, ROUNDS = 50, 3
FENCE = "`" * 3
# What the evaluators object to, each in another way; and the fields of the message beside its content.
FAULTS: list[tuple[str, dict]] = [
    (f'{{"{MARK}": [1, 2', {}),
    (f"The {MARK} is on the", {}),
    (f"{MARK} {MARK} and so on. " * 80, {}),
    (f"<|im_start|>assistant {MARK} [INST]", {}),
    (f"I'm sorry, but I cannot help with {MARK}.", {"refusal": f"no {MARK}"}),
    (f"<html><title>502 {MARK}</title><h1>Bad Gateway</h1></html>", {}),
    (f"Write to {MARK}@example.org with AKIA0123456789ABCDEF and {MARK}.", {}),
    (f"Das {MARK} ist ein Ding, das nicht auf der Wiese steht und auch nicht im Wald, sondern immer am Fluss.", {}),
    (f"{FENCE}python\nprint('{MARK}')\n", {}),
    (f"Ã©Ã©Ã© â€œ{MARK}â€\x9d \ud800", {}),
    ("", {"reasoning": f"so {MARK}"}),
    ("", {"tool_calls": [{"id": "t", "type": "function", "function": {"name": "look", "arguments": f'{{"where": "{MARK}'}}]}),
]


class Provider(BaseHTTPRequestHandler):
    """Says what the request's metadata tells it to, whole or streamed."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        made = {"id": "c", "model": "m-1", "usage": {"prompt_tokens": 9, "completion_tokens": 9}}
        message = {"role": "assistant", **json.loads(asked["metadata"]["message"])}
        choice = {"index": 0, "finish_reason": "stop", "delta" if asked.get("stream") else "message": message}
        body = json.dumps({**made, "choices": [choice]})
        if asked.get("stream"):
            body = f"data: {body}\n\ndata: [DONE]\n\n"
        data = body.encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream" if asked.get("stream") else "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Nothing: it would hold the mark."""


@contextlib.contextmanager
def run_provider() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.socket.close()  # and not what waits for connections that the proxy keeps


def ask(bridge: Bridge, agent: str, text: str, stream: bool = False, **fields: object) -> None:
    body = {
        "model": "m", "stream": stream, "metadata": {"message": json.dumps({"content": text, **fields})},
        "messages": [{"role": "system", "content": f"You keep the {MARK}."}, {"role": "user", "content": f"Where is the {MARK}?"}],
        "response_format": {"type": "json_object"} if "{" in text else {"type": "text"},
        "tools": [{"type": "function", "function": {"name": "look", "description": MARK, "parameters": {"title": MARK, "type": "object"}}}],
    }  # fmt: skip
    url, headers = f"{bridge.base}/a/{agent}/up/v1/chat/completions", {"Content-Type": "application/json"}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    with contextlib.suppress(urllib.error.HTTPError), urllib.request.urlopen(request, timeout=20) as response:
        response.read()


def find_all(folder: Path) -> dict[str, bytes]:
    """Every file of a folder; what packs its content is unpacked."""
    kept = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    for name, data in list(kept.items()):
        if name.endswith(".stream"):
            with zipfile.ZipFile(io.BytesIO(data.partition(b"\n")[2])) as packed:
                kept |= {f"{name}/{member}": packed.read(member) for member in packed.namelist()}
    return kept | dump(folder / "state" / "weighbridge.duckdb")


def test_no_word_of_a_prompt_or_an_answer_is_on_the_disk(tmp_path: Path) -> None:
    settings = {
        "demo": False, "evaluators": {"per_second": 10_000, "drift": {"warmup": WARMUP, "save_s": 1}}, "review": {
            "share": 1.0, "gates": [{"name": "press", "match": {"agent": "press"}, "wait_s": 1}],
        },
        "otlp": {"endpoint": "http://127.0.0.1:9", "protocol": "http"},
    }  # fmt: skip
    with run_provider() as url, serve(tmp_path, upstreams={"up": {"url": url}}, **settings) as bridge:
        bridge.wait_for_both_planes()
        ask(bridge, "press", f"For the press: {MARK}.")
        for number in range(WARMUP + 5):
            ask(bridge, "turned", f"{say(number)} The {MARK} is there.", stream=number % 2 > 0)
        for number in range(ROUNDS):
            for text, fields in FAULTS:
                ask(bridge, "turned", text, stream=number % 2 > 0, **fields)
        wait_until(lambda: [one for one in bridge.look("/api/drift")["rows"] if one["agent"] == "turned" and one["state"] == "alarmed"], 60)
        wait_until(lambda: len(bridge.look("/api/verdicts?by=agent")["rows"]) > 5, 60)
        wait_until(lambda: bridge.look("/api/reviews")["rows"], 60)
        wait_until(lambda: list((tmp_path / "state" / "drift").glob("*.stream")), 60)
        running = {str(path): path.read_bytes() for path in (tmp_path / "state").rglob("*") if path.is_file()}
    kept = find_all(tmp_path)
    assert [name for name, data in (kept | running).items() if MARK.encode() in data.lower()] == []
    # It was looked for in the right places: the verdicts, the queue and the alarm are there.
    verdicts = {word for word in ("json", "truncated", "repetition", "leaks", "refusal", "tools") if f"'{word}'".encode() in kept["table verdicts"]}
    assert len(verdicts) == 6 and b"turned" in kept["table alarms"]
    (stream,) = [data for name, data in kept.items() if name.endswith(".stream") and read_head(data).agent == "turned"]
    alarm = read_head(stream).alarm
    assert alarm is not None and alarm.before and alarm.after
