"""`make observe`: it starts both against a running Weighbridge, says where they are, and stops both; what is in the way is named."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from deploy.observe import DEPLOY, CannotStart, Program, start_prometheus
from tests.observe.check import ask
from tests.test_supervise import serve, wait_until

ROOT = DEPLOY.parent
OBSERVE = [sys.executable, str(DEPLOY / "observe.py")]
ANY = "127.0.0.1:0"


def run(command: list[str], env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60, check=False)


def test_it_scrapes_a_running_weighbridge_and_stops_when_told(tmp_path: Path) -> None:
    with serve(tmp_path) as bridge:
        where = ["--admin", bridge.admin.removeprefix("http://"), "--folder", str(tmp_path / "observe"), "--prometheus", ANY, "--alertmanager", ANY]
        process = subprocess.Popen([*OBSERVE, *where], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        with process.stdout as said:
            prometheus = re.fullmatch(rf"Prometheus    http://(\S+)/alerts   scrapes {bridge.admin}/metrics\n", said.readline())
            alertmanager = re.match(r"Alertmanager  http://(\S+) ", said.readline())
            assert prometheus and alertmanager
            wait_until(lambda: [one for one in ask(prometheus[1], "targets")["activeTargets"] if one["health"] == "up"])
            assert ask(prometheus[1], "alertmanagers")["activeAlertmanagers"] == [{"url": f"http://{alertmanager[1]}/api/v2/alerts"}]
            assert [rule for group in ask(prometheus[1], "rules")["groups"] for rule in group["rules"] if rule["name"] == "WeighbridgeDown"]
            process.terminate()
            assert process.wait(20) == 0
    for address in (prometheus[1], alertmanager[1]):
        with pytest.raises(OSError, match="refused"):
            urllib.request.urlopen(f"http://{address}/-/ready", timeout=5)


def test_packages_that_are_not_there_are_named(tmp_path: Path) -> None:
    bare = {**os.environ, "PATH": str(tmp_path)}
    done = run([*OBSERVE, "--folder", str(tmp_path)], env=bare)
    assert done.returncode == 1
    assert done.stderr == (
        "observe: prometheus and prometheus-alertmanager not found: apt-get install --no-install-recommends prometheus prometheus-alertmanager\n"
    )


def test_a_weighbridge_that_does_not_answer_is_named(tmp_path: Path) -> None:
    done = run([*OBSERVE, "--folder", str(tmp_path), "--admin", "127.0.0.1:1"])
    assert done.returncode == 1 and "no Weighbridge answers at http://127.0.0.1:1" in done.stderr and "Traceback" not in done.stderr


def test_a_program_that_ends_at_once_leaves_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(CannotStart, match="parsing YAML|field nonsense not found"):
        start_prometheus(tmp_path, {"nonsense": True})
    with pytest.raises(CannotStart, match="good-bye"):
        Program(["sh", "-c", "echo good-bye"], tmp_path / "log")


def test_the_makefile_starts_it() -> None:
    done = run(["make", "--dry-run", "observe", "ADMIN=h:1", "OBSERVE=--x y"])
    assert "bin/python deploy/observe.py --admin h:1 --x y" in done.stdout
