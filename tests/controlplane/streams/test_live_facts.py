"""Through the running program: whatever changed on the wire when the answers did stands in the alarm, and whether the prompts did too."""

from __future__ import annotations

import json
import threading
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.controlplane.streams.conftest import say
from tests.test_supervise import Bridge, serve, wait_until

WARMUP, CHANGED, THIN = 50, 20, 7
USUAL = {
    "model": "asked-1", "answered": "answered-1", "fingerprint": "fp_1", "rules": "You know all mills.", "upstream": "first", "tools": ["look"],
    "finish": "stop", "prompt": "How is the mill?",
}  # fmt: skip
# Agent → what is other after the change, beside the answers; and what the alarm must say of it.
CASES: dict[str, tuple[dict[str, object], list[str]]] = {
    "asked": ({"model": "asked-2"}, ["model_asked", "asked-1", "asked-2"]),
    "answered": ({"answered": "answered-2"}, ["model_answered", "answered-1", "answered-2"]),
    "fingerprint": ({"fingerprint": "fp_2"}, ["system_fingerprint", "fp_1", "fp_2"]),
    "template": ({"rules": "You know no mills."}, ["prompt_digest"]),
    "upstream": ({"upstream": "second"}, ["upstream", "first", "second"]),
    "tools": ({"tools": ["look", "write"]}, ["tool_set", "look", "look, write"]),
    "finish": ({"finish": "length"}, ["finish_reason", "stop", "length"]),
    "prompts": ({"prompt": "\n".join(f"{number}. Tell us, of mill {number}, who built it?" for number in range(20))}, []),
    "nothing": ({}, []),
}
STREAMED = frozenset({"fingerprint", "finish", "answered"})


class Provider(BaseHTTPRequestHandler):
    """Says what the request's metadata tells it to."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        told = asked["metadata"]
        head = {"id": "c", "object": "chat.completion", "model": told["answered"], "system_fingerprint": told["fingerprint"]}
        choice = {"index": 0, "finish_reason": told["finish"]}
        usage = {"prompt_tokens": 20, "completion_tokens": len(told["text"]) // 4}
        if not asked.get("stream"):
            message = {"role": "assistant", "content": told["text"]}
            return self.send(json.dumps({**head, "choices": [{**choice, "message": message}], "usage": usage}).encode(), "application/json")
        half = len(told["text"]) // 2
        pieces = [{"index": 0, "delta": {"content": piece}} for piece in (told["text"][:half], told["text"][half:])]
        events = [{**head, "choices": [each]} for each in (*pieces, {**choice, "delta": {}})] + [{**head, "choices": [], "usage": usage}]
        self.send("".join(f"data: {each}\n\n" for each in (*map(json.dumps, events), "[DONE]")).encode(), "text/event-stream")

    def send(self, body: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def ask(bridge: Bridge, agent: str, text: str, **other: object) -> None:
    told = {**USUAL, **other}
    body = {
        "model": told["model"], "stream": agent in STREAMED,
        "messages": [{"role": "system", "content": told["rules"]}, {"role": "user", "content": told["prompt"]}],
        "tools": [{"type": "function", "function": {"name": name}} for name in told["tools"]],
        "metadata": {"text": text, **{name: told[name] for name in ("answered", "fingerprint", "finish")}},
    }  # fmt: skip
    request = urllib.request.Request(
        f"{bridge.base}/a/{agent}/{told['upstream']}/v1/chat/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=20) as response:
        response.read()


def read_streams(bridge: Bridge) -> dict[str, dict]:
    return {row["agent"]: row for row in bridge.look("/api/drift")["rows"]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("facts")


@pytest.fixture(scope="module")
def bridge(folder: Path) -> Iterator[Bridge]:
    """After the change: every agent of CASES is alarmed, and a thin one has hardly begun."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}"
    evaluators = {"per_second": 10_000, "drift": {"warmup": WARMUP, "by": ["agent"]}}
    with serve(folder, evaluators=evaluators, demo=False, upstreams={"first": {"url": url}, "second": {"url": url}}) as bridge:
        bridge.wait_for_both_planes()
        for number in range(WARMUP):
            for agent in CASES:
                ask(bridge, agent, say(number))
        wait_until(lambda: {row["missing"] for row in read_streams(bridge).values()} == {0}, 60)
        for number in range(CHANGED):
            for agent, (other, _) in CASES.items():
                ask(bridge, agent, f"- mill {number}\n- river\n- stone", **other)
        for number in range(THIN):
            ask(bridge, "thin", say(number))
        wait_until(lambda: all(read_streams(bridge).get(agent, {}).get("state") == "alarmed" for agent in CASES), 60)
        wait_until(lambda: read_streams(bridge).get("thin", {}).get("answers") == THIN)
        yield bridge
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("agent", CASES)
def test_what_changed_on_the_wire_stands_in_the_alarm(bridge: Bridge, agent: str) -> None:
    (alarm,) = [one for one in bridge.journal("alarm") if one["agent"] == agent]
    expected = CASES[agent][1]
    found = {name: [before, after] for name, before, after in alarm["wire"]}
    # The names of the tools are a part of what a template gives to every call.
    assert found.keys() == set(expected[:1]) | ({"prompt_digest"} if agent == "tools" else set())
    for name, *values in [expected] if expected else []:
        assert found[name] == values or (not values and found[name][0] != found[name][1])
        assert f"{name} {found[name][0]} -> {found[name][1]}" in read_streams(bridge)[agent]["cause"]


def test_input_drift_is_told_from_output_drift(bridge: Bridge) -> None:
    kinds = {alarm["agent"]: alarm["kind"] for alarm in bridge.journal("alarm")}
    assert kinds == {agent: "input" if agent == "prompts" else "output" for agent in CASES}
    streams = read_streams(bridge)
    assert "(the prompts changed too)" in streams["prompts"]["cause"] and "(the prompts did not)" in streams["nothing"]["cause"]


def test_too_little_traffic_says_so_instead_of_guessing(bridge: Bridge) -> None:
    thin = read_streams(bridge)["thin"]
    assert (thin["state"], thin["answers"], thin["missing"], thin["cause"]) == ("learning", THIN, WARMUP - THIN, None)


def test_the_fingerprint_of_the_backend_is_a_column_of_every_call(bridge: Bridge) -> None:
    calls = {call["agent"]: call for call in bridge.journal("call")}
    assert {agent: calls[agent]["system_fingerprint"] for agent in ("fingerprint", "asked")} == {"fingerprint": "fp_2", "asked": "fp_1"}
