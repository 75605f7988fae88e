"""Drift to the pager: two agents change, each in a way of its own, over a restart, and a real Prometheus and Alertmanager tell of them alone."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from deploy.observe import fit_prometheus, read_config, start_alertmanager, start_prometheus
from tests.controlplane.streams.conftest import say
from tests.observe.test_end_to_end import copy_rules, hurry, make_webhook
from tests.test_supervise import Bridge, serve, wait_until

WARMUP, CHANGED = 50, 30
AGENTS = ("switched", "cut", "sound")


class Provider(BaseHTTPRequestHandler):
    """Says what the request's metadata tells it to."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        told = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["metadata"]
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": told["text"]}}
        usage = {"prompt_tokens": 9, "completion_tokens": len(told["text"]) // 4}
        data = json.dumps({"id": "c", "model": "m-1", "system_fingerprint": told["fingerprint"], "choices": [choice], "usage": usage}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def run_provider() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.socket.close()


def ask(bridge: Bridge, agent: str, text: str, fingerprint: str = "fp_1") -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "How is the mill?"}], "metadata": {"text": text, "fingerprint": fingerprint}}
    bridge.post(f"/a/{agent}/up/v1/chat/completions", body)


def change(bridge: Bridge, number: int) -> None:
    """One answer of each agent, two of which are no longer what they were."""
    ask(bridge, "sound", say(number))
    ask(bridge, "cut", say(number)[: 40 if number % 2 else None])
    ask(bridge, "switched", "- " + say(number).replace(" and ", "\n- ").upper(), "fp_2")


def wait_for_answers(bridge: Bridge, number: int) -> None:
    wait_until(lambda: [row["answers"] for row in bridge.look("/api/drift")["rows"]] == [number] * len(AGENTS), 60)


def read_drift(received: list[dict]) -> dict[str, str]:
    """Agent → what was told of its drift."""
    drifting = [one for one in received if one["labels"]["alertname"] == "WeighbridgeQualityDrift" and one["status"] == "firing"]
    return {one["labels"]["agent"]: one["annotations"]["description"] for one in drifting}


def test_the_pager_is_told_who_changed_and_how_over_a_restart(tmp_path: Path) -> None:
    received: list[dict] = []
    webhook = make_webhook(received)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    copy_rules(tmp_path / "rules")
    alertmanager = start_alertmanager(tmp_path, hurry(read_config("alertmanager.yml"), webhook.server_address[1]))
    config = fit_prometheus(read_config("prometheus.yml"), f"127.0.0.1:{port}", alertmanager.address, tmp_path / "rules")
    config["global"] |= {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["scrape_configs"][0]["scrape_timeout"] = "1s"
    prometheus = start_prometheus(tmp_path, config)
    settings = {"demo": False, "admin": {"port": port}, "evaluators": {"per_second": 10_000, "drift": {"warmup": WARMUP}}}
    try:
        with run_provider() as url:
            settings["upstreams"] = {"up": {"url": url}}
            with serve(tmp_path, **settings) as bridge:
                bridge.wait_for_both_planes()
                for number in range(WARMUP - 10):
                    for agent in AGENTS:
                        ask(bridge, agent, say(number))
                wait_for_answers(bridge, WARMUP - 10)
            with serve(tmp_path, **settings) as bridge:  # what was learned is not learned again
                bridge.wait_for_both_planes()
                for number in range(WARMUP - 10, WARMUP):
                    for agent in AGENTS:
                        ask(bridge, agent, say(number))
                wait_for_answers(bridge, WARMUP)
                for number in range(WARMUP, WARMUP + CHANGED):
                    change(bridge, number)
                wait_until(lambda: read_drift(received).keys() >= {"switched", "cut"}, 60)
                sound = next(row for row in bridge.look("/api/drift")["rows"] if row["agent"] == "sound")
                assert (sound["state"], sound["cause"]) == ("watching", None)
    finally:
        prometheus.stop()
        alertmanager.stop()
        webhook.shutdown()
        webhook.server_close()
    told = read_drift(received)
    assert told.keys() == {"switched", "cut"}
    assert "cut short 0 -> " in told["cut"] and "on the wire" not in told["cut"]
    assert any(name in told["switched"] for name in ("lines ", "line length ")) and "system_fingerprint fp_1 -> fp_2" in told["switched"]
