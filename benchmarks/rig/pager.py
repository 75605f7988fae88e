"""A pager: whoever is told of alerts here, by a real Prometheus and Alertmanager with the rules of this folder, and by Weighbridge itself."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from deploy.observe import fit_prometheus, read_config, start_alertmanager, start_prometheus

ALERTMANAGER, NOTIFIER = "/alertmanager", "/notifier"


class Pager(ThreadingHTTPServer):
    """A webhook on a free port of this machine; `told` are the alerts that came, by the path that they came to."""

    daemon_threads = True

    def __init__(self) -> None:
        self.told: dict[str, list[dict]] = {ALERTMANAGER: [], NOTIFIER: []}
        super().__init__(("127.0.0.1", 0), _Taker)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def find_url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}{path}"

    def list_drift(self, path: str) -> dict[str, str]:
        """Agent → what was told of its drift."""
        drifting = [one for one in self.told[path] if one["labels"]["alertname"] == "WeighbridgeQualityDrift"]
        return {one["labels"]["agent"]: one["annotations"]["description"] for one in drifting}

    def list_others(self, path: str) -> set[str]:
        """The names of all other alerts."""
        return {one["labels"]["alertname"] for one in self.told[path]} - {"WeighbridgeQualityDrift"}


class _Taker(BaseHTTPRequestHandler):
    server: Pager

    def do_POST(self) -> None:
        self.server.told[self.path] += json.loads(self.rfile.read(int(self.headers["Content-Length"])))["alerts"]
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def open_observers(folder: Path, admin: str, pager: Pager) -> Iterator[None]:
    """Prometheus and Alertmanager with the configs and rules of deploy/ and dashboards/, but for how often they look and how long they gather."""
    told = read_config("alertmanager.yml")
    told["receivers"][0]["webhook_configs"][0]["url"] = pager.find_url(ALERTMANAGER)
    for route in (told["route"], *told["route"]["routes"]):
        route |= {"group_wait": "1s", "group_interval": "1s"}
    alertmanager = start_alertmanager(folder, told)
    try:
        scraped = fit_prometheus(read_config("prometheus.yml"), admin, alertmanager.address)
        scraped["global"] |= {"scrape_interval": "2s", "evaluation_interval": "2s"}
        scraped["scrape_configs"][0]["scrape_timeout"] = "2s"
        prometheus = start_prometheus(folder, scraped)
        try:
            yield
        finally:
            prometheus.stop()
    finally:
        alertmanager.stop()
