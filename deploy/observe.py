"""`make observe`: Prometheus and Alertmanager, as Debian packages them, against a running Weighbridge, with the rules of this folder.

Their configs are those of deploy/, with other addresses put in; their data and logs stand in a folder of their own.
"""

from __future__ import annotations

import argparse
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

import yaml

DEPLOY = Path(__file__).resolve().parent
RULES = DEPLOY.parent / "dashboards" / "rules"
PACKAGES = {"prometheus": "prometheus", "prometheus-alertmanager": "prometheus-alertmanager"}  # command → Debian package
_STARTS_WITHIN_S = 30.0
_LISTENING = re.compile(r'msg="Listening on" address=(\S+)')


class CannotStart(Exception):
    """What is in the way, and what to do about it."""


class Program:
    """A running program that logs the address it listens on."""

    def __init__(self, command: list[str], log: Path) -> None:
        self._log = log.open("wb")
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self._log, stderr=subprocess.STDOUT)
        until = time.monotonic() + _STARTS_WITHIN_S
        while not ((found := _LISTENING.search(log.read_text(encoding="utf-8"))) and _is_ready(found[1])):
            if self.process.poll() is not None or time.monotonic() > until:
                self.stop()
                raise CannotStart(f"{command[0]} did not start; its last words are in {log}:\n{log.read_text(encoding='utf-8')[-500:]}")
            time.sleep(0.05)
        self.address = found[1]

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()
        self._log.close()


def _is_ready(address: str) -> bool:
    """Whether it has read its config; a program with a bad one listens first and ends then."""
    try:
        with urllib.request.urlopen(f"http://{address}/-/ready", timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


def read_config(name: str) -> dict[str, Any]:
    """A config of deploy/ as it stands there."""
    return yaml.safe_load((DEPLOY / name).read_text(encoding="utf-8"))


def fit_prometheus(config: dict[str, Any], admin: str, alertmanager: str, rules: Path = RULES) -> dict[str, Any]:
    """deploy/prometheus.yml for an admin address and an Alertmanager, both host:port, and the rules of a folder."""
    config["rule_files"] = [str(rules / Path(pattern).relative_to("/etc/weighbridge/rules")) for pattern in config["rule_files"]]
    config["alerting"]["alertmanagers"][0]["static_configs"] = [{"targets": [alertmanager]}]
    config["scrape_configs"][0]["static_configs"] = [{"targets": [admin]}]
    return config


def start_alertmanager(folder: Path, config: dict[str, Any], address: str = "127.0.0.1:0") -> Program:
    path = folder / "alertmanager.yml"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    options = [f"--config.file={path}", f"--storage.path={folder / 'alertmanager'}", f"--web.listen-address={address}", "--cluster.listen-address="]
    return Program(["prometheus-alertmanager", *options], folder / "alertmanager.log")


def start_prometheus(folder: Path, config: dict[str, Any], address: str = "127.0.0.1:0") -> Program:
    path = folder / "prometheus.yml"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    options = [f"--config.file={path}", f"--storage.tsdb.path={folder / 'prometheus'}", f"--web.listen-address={address}"]
    return Program(["prometheus", *options, "--enable-feature=exemplar-storage"], folder / "prometheus.log")


def observe(admin: str, folder: Path, prometheus_address: str, alertmanager_address: str, webhook: str | None) -> None:
    """Run both until told to stop. Raises `CannotStart`."""
    absent = [package for command, package in PACKAGES.items() if shutil.which(command) is None]
    if absent:
        raise CannotStart(f"{' and '.join(absent)} not found: apt-get install --no-install-recommends {' '.join(absent)}")
    try:
        urllib.request.urlopen(f"http://{admin}/healthz", timeout=10).close()
    except OSError:
        raise CannotStart(f"no Weighbridge answers at http://{admin}: start it with `make run`, or say where: make observe ADMIN=host:port") from None
    folder.mkdir(parents=True, exist_ok=True)
    config = read_config("alertmanager.yml")
    if webhook:
        config["receivers"][0]["webhook_configs"][0]["url"] = webhook
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    alertmanager = start_alertmanager(folder, config, alertmanager_address)
    try:
        prometheus = start_prometheus(folder, fit_prometheus(read_config("prometheus.yml"), admin, alertmanager.address), prometheus_address)
        try:
            print(f"Prometheus    http://{prometheus.address}/alerts   scrapes http://{admin}/metrics")
            print(f"Alertmanager  http://{alertmanager.address}   Data and logs: {folder}. Ctrl-C stops both.", flush=True)
            while not stop.wait(1.0):
                if prometheus.process.poll() is not None or alertmanager.process.poll() is not None:
                    raise CannotStart(f"one of them has ended; see the logs in {folder}")
        finally:
            prometheus.stop()
    finally:
        alertmanager.stop()


def main() -> int:
    parser = argparse.ArgumentParser(description="Prometheus and Alertmanager against a running Weighbridge.")
    parser.add_argument("--admin", default="127.0.0.1:8788", help="the admin address, host:port")
    parser.add_argument("--folder", type=Path, default=Path(".cache/observe"))
    parser.add_argument("--prometheus", default="127.0.0.1:9090", help="where Prometheus listens; port 0 takes any")
    parser.add_argument("--alertmanager", default="127.0.0.1:9093")
    parser.add_argument("--webhook", help="where alerts are sent; default: as deploy/alertmanager.yml says")
    options = parser.parse_args()
    try:
        observe(options.admin, options.folder, options.prometheus, options.alertmanager, options.webhook)
    except CannotStart as reason:
        print(f"observe: {reason}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
