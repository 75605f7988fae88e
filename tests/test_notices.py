"""From calls to a receiver: an agent's calls all fail, a webhook is told, and then that it is over.

Alerts must hold for minutes before anybody is told, so the figures of a running Weighbridge are judged by a notifier whose clock the test
moves; that the running one tells as well is shown with an alert that waits for nothing.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families

from proxy.controlplane.notices.conditions import FIGURES
from proxy.controlplane.notices.conditions.quality import FIGURES as OF_EVALUATORS
from proxy.controlplane.notices.notifier import Notifier
from proxy.notify import Channel, Notify, Thresholds
from tests.controlplane.notices.channels.conftest import Receiver, run_receiver
from tests.controlplane.notices.conftest import START_S
from tests.test_supervise import ASK, Bridge, serve, wait_until


class Provider(BaseHTTPRequestHandler):
    """Fails every call until it is told to be well."""

    protocol_version = "HTTP/1.1"
    is_well = threading.Event()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        status = 200 if self.is_well.is_set() else 500
        message = {"choices": [{"message": {"content": "hello"}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 3, "completion_tokens": 1}}
        body = json.dumps({"model": "m", **message} if status == 200 else {"error": {"message": "out of order"}}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            super().handle()

    def log_message(self, *_: object) -> None:
        """Nothing."""


@contextlib.contextmanager
def run_provider() -> Iterator[str]:
    Provider.is_well.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Provider) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def call(bridge: Bridge, agent: str, upstream: str, times: int) -> None:
    for _ in range(times):
        try:
            bridge.post(f"/a/{agent}/{upstream}/v1/chat/completions", ASK)
        except urllib.error.HTTPError as error:
            error.read()  # who leaves before the end of an answer is at fault himself
            error.close()


def told(receiver: Receiver, name: str) -> list[tuple[str, str]]:
    """(status, agent) of what was told under this name."""
    alerts = [alert for _, body in list(receiver.got) for alert in json.loads(body)["alerts"]]
    return [(one["status"], one["labels"].get("agent", "")) for one in alerts if one["labels"]["alertname"] == name]


def scrape(bridge: Bridge) -> list[Metric]:
    with urllib.request.urlopen(f"{bridge.admin}/metrics", timeout=20) as response:
        return list(text_string_to_metric_families(response.read().decode()))


def count(bridge: Bridge, result: str) -> float:
    """The calls of the unlucky agent that ended so, as /metrics has them."""
    return sum(
        sample.value
        for family in scrape(bridge)
        for sample in family.samples
        if sample.name == "weighbridge_agent_calls_total" and (sample.labels["agent"], sample.labels["result"]) == ("unlucky", result)
    )


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Bridge, Receiver]]:
    """A Weighbridge that tells a receiver, whose provider fails every call, and whose ledger is away where agent `broke` asks for it."""
    with run_provider() as url, run_receiver() as receiver, socket.create_server(("127.0.0.1", 0)) as listener:
        redis = f"redis://127.0.0.1:{listener.getsockname()[1]}"
        listener.close()
        settings = {
            "upstreams": {"provider": {"url": url}},
            "budgets": [{"name": "all", "usd": 5, "match": {"agent": "broke"}}],
            "ledger": {"redis": redis},
            "notify": {"channels": [{"name": "ops", "kind": "webhook", "url": receiver.url}], "every_s": 1},
        }
        with serve(tmp_path_factory.mktemp("running"), **settings) as bridge:
            yield bridge, receiver


def test_an_agent_whose_calls_all_fail_is_told_of_and_then_that_it_is_over(running: tuple[Bridge, Receiver], tmp_path: Path) -> None:
    (bridge, _), now_s = running, [START_S]
    with run_receiver() as receiver:
        notify = Notify([Channel("ops", "webhook", url=receiver.url)], conditions=Thresholds(least_calls=5))
        notifier = Notifier(notify, tmp_path / "notices.json", "here", lambda: scrape(bridge), {}, lambda: now_s[0])

        def look(seconds: float) -> None:
            now_s[0] += seconds
            notifier.look()

        notifier.look()
        call(bridge, "unlucky", "provider", 6)
        wait_until(lambda: count(bridge, "upstream") == 6)
        look(30)
        look(30)
        assert receiver.got == []
        look(30)
        wait_until(lambda: told(receiver, "WeighbridgeAgentFailingFast") == [("firing", "unlucky")])
        Provider.is_well.set()
        call(bridge, "unlucky", "provider", 2)
        wait_until(lambda: count(bridge, "ok") == 2)
        look(30)
        look(300)
        wait_until(lambda: told(receiver, "WeighbridgeAgentFailingFast") == [("firing", "unlucky"), ("resolved", "unlucky")])
        wait_until(lambda: told(receiver, "WeighbridgeUpstreamFailingFast") == [("firing", ""), ("resolved", "")])
        notifier.close()


def test_what_the_conditions_ask_for_is_shown_by_a_running_weighbridge(running: tuple[Bridge, Receiver]) -> None:
    bridge, _ = running
    call(bridge, "unlucky", "provider", 1)
    asked = {figure.name.removesuffix("_total") for figure in FIGURES} - {figure.name.removesuffix("_total") for figure in OF_EVALUATORS}
    wait_until(lambda: asked <= {family.name for family in scrape(bridge)})


def test_a_running_weighbridge_tells_by_itself_and_shows_what_it_told(running: tuple[Bridge, Receiver]) -> None:
    bridge, receiver = running
    call(bridge, "broke", "demo", 4)
    wait_until(lambda: told(receiver, "WeighbridgeOwnErrors") == [("firing", "")])
    (row,) = [one for one in bridge.look("/api/alerts")["rows"] if one["alert"] == "WeighbridgeOwnErrors"]
    assert (row["state"], row["severity"], row["value"]) == ("firing", "critical", 4)
    with urllib.request.urlopen(f"{bridge.admin}/", timeout=20) as response:
        page = response.read().decode()
    assert "What is wrong now" in page and "itself fails calls" in page
