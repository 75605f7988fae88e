"""Through the running program: hostile answers pass as they came, whole and streamed, and are judged or known to be too large for it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import threading
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.test_supervise import Bridge, serve, wait_until

USAGE = b'"usage":{"prompt_tokens":9,"completion_tokens":7}'
LONG = 10_000_000


def make_body(content: bytes) -> bytes:
    return b'{"id":"c","model":"m","choices":[{"index":0,"finish_reason":"stop","message":{"content":' + content + b"}}]," + USAGE + b"}"


def make_stream(*deltas: bytes) -> bytes:
    events = [b'{"id":"c","model":"m","choices":[{"index":0,"delta":' + delta + b"}]}" for delta in deltas]
    last = b'{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],' + USAGE + b"}"
    return b"".join(b"data: " + event + b"\n\n" for event in (*events, last, b"[DONE]"))


def say(text: bytes) -> tuple[bytes, bytes]:
    """The same as a body and as a stream; `text` is what stands between the quotes."""
    return make_body(b'"' + text + b'"'), make_stream(*(b'{"content":"' + text[at : at + 60_000] + b'"}' for at in range(0, len(text), 60_000)))


_CALL = b'{"index":%d,"id":"c%d","function":{"name":"f","arguments":"{}"}}'
_CALLS = [_CALL % (number, number) for number in range(100_000)]
ANSWERS: dict[str, tuple[bytes, bytes]] = {
    "long": say(b"All is well, and more is to come. " * (LONG // 34)),
    "one event": (make_body(b'"' + b"x" * LONG + b'"'), make_stream(b'{"content":"' + b"x" * LONG + b'"}')),
    "one word": say(b"a" * 1_000_000),
    "no UTF-8": say(b"\xff\xc3" * 20_000),
    "lone surrogates": say(b"\\ud800" * 10_000),
    "brackets": say(b"[" * 1_000_000),
    "period": say(b"ab" * 500_000),
    "deep": (make_body(b"[" * 500_000 + b"]" * 500_000), make_stream(b"[" * 100_000 + b"]" * 100_000)),
    "another shape": (
        b'{"choices":"none","other":[' + b"[]," * 2_000_000 + b"[]]," + USAGE + b"}",
        b'data: {"choices":"none","other":[' + b"[]," * 200_000 + b"[]]}\n\n" + make_stream(),
    ),
    "tool calls": (
        make_body(b'null,"tool_calls":[' + b",".join(_CALLS) + b"]"),
        make_stream(*(b'{"tool_calls":[' + b",".join(_CALLS[at : at + 500]) + b"]}" for at in range(0, len(_CALLS), 500))),
    ),
    "empty lines": (make_body(b'""'), b"\n" * 1_000_000 + make_stream(b'{"content":"x"}')),
}


class Provider(BaseHTTPRequestHandler):
    """Gives the answer that the request's model names."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        body, stream = ANSWERS[asked["model"]] if asked["model"] in ANSWERS else say(b"All is well.")
        data = stream if asked["stream"] else body
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream" if asked["stream"] else "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def ask(bridge: Bridge, name: str, stream: bool) -> bytes:
    body = {"model": name, "stream": stream, "messages": [{"role": "user", "content": "Why?"}], "response_format": {"type": "json_object"}}
    url = f"{bridge.base}/a/{'streamed' if stream else 'whole'}/up/v1/chat/completions"
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as response:
        return response.read()


def read_figures(bridge: Bridge) -> dict[str, float]:
    """The sums of the families of /metrics."""
    sums: dict[str, float] = {}
    with urllib.request.urlopen(bridge.admin + "/metrics", timeout=20) as response:
        for name, value in re.findall(r"^(\w+)(?:\{.*\})? (\S+)", response.read().decode(), re.MULTILINE):
            sums[name] = sums.get(name, 0.0) + float(value)
    return sums


@pytest.fixture(scope="module")
def bridge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bridge]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    upstreams = {"up": {"url": f"http://127.0.0.1:{server.server_address[1]}"}}
    folder: Path = tmp_path_factory.mktemp("hostile")
    with contextlib.closing(server.socket), serve(folder, demo=False, evaluators={"per_second": 10_000}, upstreams=upstreams) as bridge:
        bridge.wait_for_both_planes()
        yield bridge
        server.shutdown()


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("name", ANSWERS)
def test_it_passes_as_it_came(bridge: Bridge, name: str, stream: bool) -> None:
    received = ask(bridge, name, stream)
    assert hashlib.sha256(received).digest() == hashlib.sha256(ANSWERS[name][stream]).digest()


def test_each_was_judged_or_was_too_large_and_nothing_failed(bridge: Bridge) -> None:
    asked = {(agent, name) for name in (*ANSWERS, "ordinary") for agent in ("whole", "streamed")}
    for agent, name in sorted(asked, key=lambda one: one[1] == "ordinary"):
        ask(bridge, name, agent == "streamed")
    wait_until(lambda: {row["model"] for row in bridge.look("/api/drift")["rows"]} >= {"ordinary"}, 60)
    wait_until(lambda: {(call["agent"], call["model_asked"]) for call in bridge.journal("call")} == asked, 60)
    figures = read_figures(bridge)
    assert (figures["weighbridge_samples_dropped_total"], figures["weighbridge_samples_uninspected_total"]) == (0, 0)
    assert figures.get("weighbridge_evaluator_failures_total", 0) == 0 and figures["weighbridge_settling_defects_total"] == 0
    judged = {(row["agent"], row["model"]) for row in bridge.look("/api/drift")["rows"]}
    # Of these not all was read, so nothing is said of them: that there is no text is no fault of theirs.
    assert {("whole", "long"), ("whole", "one event"), ("streamed", "one event")}.isdisjoint(judged)
    assert {("streamed", "long"), ("streamed", "tool calls"), ("whole", "brackets"), ("streamed", "lone surrogates")} <= judged
    calls = {(call["agent"], call["model_asked"]): call for call in bridge.journal("call")}
    assert all((calls[agent, "long"]["input_tokens"], calls[agent, "long"]["output_tokens"]) == (9, 7) for agent in ("whole", "streamed"))
