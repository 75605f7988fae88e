"""`weighbridge serve` as an operator meets it: it starts, names what keeps it from starting, restarts what dies, loses nothing."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

SERVE = [sys.executable, "-m", "proxy.cli", "serve"]


def write_config(folder: Path, **settings: object) -> Path:
    """A config on free ports, with its state below `folder`."""
    path = folder / "weighbridge.yaml"
    path.write_text(json.dumps({"listen": {"port": 0}, "admin": {"port": 0}, "state_dir": str(folder / "state"), **settings}))
    return path


class Bridge:
    """A running `weighbridge serve`."""

    def __init__(self, process: subprocess.Popen, base: str, admin: str, folder: Path) -> None:
        self.process = process
        self.base = base
        self.admin = admin
        self.folder = folder

    def post(self, path: str, body: dict, headers: dict[str, str] | None = None) -> dict:
        request = urllib.request.Request(self.base + path, json.dumps(body).encode(), {"Content-Type": "application/json", **(headers or {})})
        with urllib.request.urlopen(request, timeout=20) as response:
            return json.load(response)

    def look(self, path: str) -> dict:
        with urllib.request.urlopen(self.admin + path, timeout=20) as response:
            return json.load(response)

    def wait_for_calls(self, number: int, seconds: float = 20) -> list[dict]:
        """The recorded calls, once the admin API knows `number` of them."""
        deadline = time.monotonic() + seconds
        calls: list[dict] = []
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError, urllib.error.HTTPError):
                calls = self.look(f"/api/calls?last={number + 10}")["rows"]
                if len(calls) >= number:
                    return calls
            time.sleep(0.1)
        raise AssertionError(f"{len(calls)} of {number} calls were recorded within {seconds} s")

    def child(self, module: str) -> int:
        """The process id of a running plane."""
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            for entry in Path("/proc").iterdir():
                if entry.name.isdigit():
                    with contextlib.suppress(OSError):
                        command = (entry / "cmdline").read_bytes().split(b"\0")
                        parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                        if module.encode() in command and parent == self.process.pid:
                            return int(entry.name)
            time.sleep(0.05)
        raise AssertionError(f"{module} does not run")

    def journal_calls(self) -> list[str]:
        """The ids of all calls in the journal."""
        found = []
        for path in sorted((self.folder / "state" / "journal").iterdir()):
            for line in path.read_bytes().split(b"\n")[:-1]:
                event = json.loads(line)
                if "call" in event:
                    found.append(event["call"]["id"])
        return found


@contextlib.contextmanager
def serve(folder: Path, **settings: object) -> Iterator[Bridge]:
    """Run `weighbridge serve` until the block ends; it must then stop in order."""
    path = write_config(folder, **settings)
    log = (folder / "log").open("ab")
    process = subprocess.Popen([*SERVE, "--config", str(path)], stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        assert process.stdout is not None
        greeting = ""
        while "Where to look" not in greeting:
            line = process.stdout.readline()
            assert line, f"it did not start:\n{greeting}{(folder / 'log').read_text()}"
            greeting += line
        base = re.search(r"ready on (\S+)", greeting)
        admin = re.search(r"Where to look: (\S+)/ ", greeting)
        assert base and admin
        yield Bridge(process, base[1], admin[1], folder)
        process.terminate()
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()
        log.close()


ASK = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Say hello."}]}


def test_the_first_call_is_recorded_with_who_what_tokens_and_money(tmp_path):
    with serve(tmp_path) as bridge:
        answer = bridge.post("/a/hello/t/first/demo/v1/chat/completions", ASK)
        (call,) = bridge.wait_for_calls(1)
    assert answer["choices"][0]["message"]["content"]
    assert (call["agent"], call["rung"], call["task"], call["upstream"], call["outcome"]) == ("hello", "path", "first", "demo", "ok")
    assert call["input_tokens"] == answer["usage"]["prompt_tokens"] and call["cost_nano_usd"] > 0 and call["price_version"]


def test_a_port_that_is_taken_is_named(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        path = write_config(tmp_path, listen={"port": port})
        done = subprocess.run([*SERVE, "--config", str(path)], capture_output=True, text=True, timeout=30)
    assert done.returncode == 1 and f"127.0.0.1:{port}" in done.stderr and "listen.port" in done.stderr and "Traceback" not in done.stderr


def test_a_faulty_config_is_told_whole_and_nothing_starts(tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_text("listn: {port: 1}\nupstreams: {openai: {url: 'ftp://x'}}\nlimits: {connect_s: -1}\n")
    done = subprocess.run([*SERVE, "--config", str(path)], capture_output=True, text=True, timeout=30)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    for part in ("listn", "upstreams.openai.url", "limits.connect_s"):
        assert part in done.stderr


def test_a_state_folder_serves_one_weighbridge_only(tmp_path):
    with serve(tmp_path):
        done = subprocess.run([*SERVE, "--config", str(tmp_path / "weighbridge.yaml")], capture_output=True, text=True, timeout=30)
    assert done.returncode == 1 and "another weighbridge is running" in done.stderr


def test_a_state_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "state").write_text("a file stands where the folder should be")
    done = subprocess.run([*SERVE, "--config", str(write_config(tmp_path))], capture_output=True, text=True, timeout=30)
    assert done.returncode == 1 and "state_dir" in done.stderr and "Traceback" not in done.stderr


def test_killing_the_control_plane_under_load_fails_no_call_and_loses_no_record(tmp_path):
    with serve(tmp_path) as bridge:
        for number in range(60):
            if number in (10, 25, 40):
                os.kill(bridge.child("proxy.controlplane.plane"), signal.SIGKILL)
            bridge.post("/a/steady/demo/v1/chat/completions", ASK)
        calls = bridge.wait_for_calls(60)
        assert sorted(call["id"] for call in calls) == sorted(bridge.journal_calls()) and len(calls) == 60


def test_killing_the_data_plane_loses_no_finished_call_and_doubles_none(tmp_path):
    finished = 0
    with serve(tmp_path) as bridge:
        for number in range(40):
            if number % 8 == 4:
                os.kill(bridge.child("proxy.dataplane.plane"), signal.SIGKILL)
            with contextlib.suppress(OSError):
                bridge.post("/a/steady/demo/v1/chat/completions", ASK)
                finished += 1
        journal = bridge.journal_calls()
        calls = bridge.wait_for_calls(len(journal))
    assert finished >= 35 and len(journal) == len(set(journal)) and len(journal) >= finished
    assert {call["id"] for call in calls if call["outcome"] != "weighbridge_crashed"} == set(journal)
    assert len({call["id"] for call in calls}) == len(calls)
