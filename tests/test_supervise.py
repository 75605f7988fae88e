"""`weighbridge serve` as an operator meets it: it starts, names what keeps it from starting, restarts what dies, loses nothing."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from proxy.config import parse
from proxy.supervise import greet, prepare_state
from tests.starting import WITHOUT_EXTRAS, give_book

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
        self._read: dict[Path, int] = {}  # journal segment → bytes
        self._events: dict[str, list[dict]] = {}  # by their kind

    def post(self, path: str, body: dict, headers: dict[str, str] | None = None) -> dict:
        request = urllib.request.Request(self.base + path, json.dumps(body).encode(), {"Content-Type": "application/json", **(headers or {})})
        with urllib.request.urlopen(request, timeout=20) as response:
            return json.load(response)

    def look(self, path: str) -> dict:
        with urllib.request.urlopen(self.admin + path, timeout=20) as response:
            return json.load(response)

    def wait_for_both_planes(self) -> None:
        """Until the control plane has heard of the data plane: what the data plane sends it before that is lost."""

        def are_there() -> bool:
            try:
                return self.look("/readyz")["status"] == "ready"
            except OSError:  # not served yet, or a 503
                return False

        wait_until(are_there)

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

    def child(self, module: str, past: Collection[int] = ()) -> int:
        """The process id of a running plane; `past` are those that are being buried."""
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            for entry in Path("/proc").iterdir():
                if entry.name.isdigit() and int(entry.name) not in past:
                    with contextlib.suppress(OSError):
                        command = (entry / "cmdline").read_bytes().split(b"\0")
                        parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                        if module.encode() in command and parent == self.process.pid:
                            return int(entry.name)
            time.sleep(0.05)
        raise AssertionError(f"{module} does not run")

    def journal(self, kind: str) -> list[dict]:
        """All events of one kind in the journal; of its segments only what is new is read, for it is asked for again and again."""
        for path in sorted((self.folder / "state" / "journal").iterdir()):
            with path.open("rb") as segment:
                segment.seek(self._read.get(path, 0))
                whole = segment.read().rpartition(b"\n")[0] + b"\n"
            if len(whole) > 1:
                self._read[path] = self._read.get(path, 0) + len(whole)
                for event in map(json.loads, whole.splitlines()):
                    for name, body in event.items():
                        self._events.setdefault(name, []).append(body)
        return list(self._events.get(kind, ()))

    def journal_calls(self) -> list[str]:
        """The ids of all calls in the journal."""
        return [call["id"] for call in self.journal("call")]

    def journal_tokens(self) -> int:
        """Input tokens of all calls in the journal, as the tokenizer has corrected them."""
        tokens = {call["id"]: call.get("input_tokens") or 0 for call in self.journal("call")}
        tokens |= {one["id"]: one["input_tokens"] for one in self.journal("correction") if one["id"] in tokens and "input_tokens" in one}
        return sum(tokens.values())

    def unsettled(self) -> set[str]:
        """Calls that the journal saw opened and that neither it nor the store has an end of."""
        known = {call["id"] for call in self.look("/api/calls?last=100000")["rows"]}
        return {call["id"] for call in self.journal("opened")} - known


def wait_until(condition: Callable[[], object], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass in time"
        time.sleep(0.01)


@contextlib.contextmanager
def serve(folder: Path, stdin: int | None = None, has_book: bool = True, **settings: object) -> Iterator[Bridge]:
    """Run `weighbridge serve` until the block ends; it must then stop in order. `has_book`: its price book need not be compiled any more.

    The extras are there only for who asks for a ledger in Redis.
    """
    path = write_config(folder, **settings)
    if has_book:
        give_book(folder)
    log = (folder / "log").open("ab")
    environment = {**os.environ, "PYTHONPATH": WITHOUT_EXTRAS} if "ledger" not in settings else None
    process = subprocess.Popen([*SERVE, "--config", str(path)], env=environment, stdin=stdin, stdout=subprocess.PIPE, stderr=log, text=True)
    assert process.stdout is not None
    try:
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
        process.stdout.close()
        log.close()


ASK = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Say hello."}]}


def test_the_first_call_is_recorded_with_who_what_tokens_and_money(tmp_path):
    with serve(tmp_path, has_book=False) as bridge:
        answer = bridge.post("/a/hello/t/first/demo/v1/chat/completions", ASK)
        (call,) = bridge.wait_for_calls(1)
    assert answer["choices"][0]["message"]["content"]
    assert (call["agent"], call["rung"], call["task"], call["upstream"], call["outcome"]) == ("hello", "path", "first", "demo", "ok")
    assert call["input_tokens"] == answer["usage"]["prompt_tokens"] and call["cost_nano_usd"] > 0 and call["price_version"]


def test_the_state_folder_is_its_owners_only(tmp_path):
    config = parse(json.dumps({"state_dir": str(tmp_path / "deep" / "state")}), environment={})
    os.close(prepare_state(config))
    assert (tmp_path / "deep" / "state").stat().st_mode & 0o777 == 0o700


def test_the_greeting_can_be_copied_as_it_is(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [".venv/bin/weighbridge", "serve"])
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_server(("127.0.0.1", 0)) as admin:
        greet("mine.yaml", parse("demo: true", environment={}), listener, admin)
        said = capsys.readouterr().out
        assert f"http://127.0.0.1:{listener.getsockname()[1]}/a/my-agent/demo" in said
        assert f"http://127.0.0.1:{admin.getsockname()[1]}/ " in said
    assert ".venv/bin/weighbridge calls --config mine.yaml ·" in said


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


def test_a_token_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "state" / "admin-token").mkdir(parents=True)
    done = subprocess.run([*SERVE, "--config", str(write_config(tmp_path))], capture_output=True, text=True, timeout=30)
    assert done.returncode == 1 and "admin-token cannot be read or made" in done.stderr and "Traceback" not in done.stderr


class Load:
    """Callers in threads, each on a new connection per call; `finished` holds the ids of calls whose answers came whole."""

    def __init__(self, bridge: Bridge, callers: int) -> None:
        self.finished: list[str] = []
        self.failed = 0
        self._bridge = bridge
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._call, args=(number,)) for number in range(callers)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _call(self, number: int) -> None:
        path = f"{self._bridge.base}/a/caller-{number}/demo/v1/chat/completions"
        while not self._stop.is_set():
            body = json.dumps({**ASK, "stream": bool(len(self.finished) % 2)}).encode()
            request = urllib.request.Request(path, body, {"Content-Type": "application/json", "x-demo-chunk-delay-ms": "0"})
            try:
                with urllib.request.urlopen(request, timeout=20) as response:
                    response.read()
                self.finished.append(response.headers["x-weighbridge-call"])
            except (OSError, http.client.HTTPException):
                self.failed += 1


def test_killing_the_control_plane_under_load_fails_no_call_and_loses_no_record(tmp_path):
    with serve(tmp_path) as bridge:
        with Load(bridge, 3) as load:
            for kill in range(1, 6):
                wait_until(lambda kill=kill: len(load.finished) >= kill * 40)
                os.kill(bridge.child("proxy.controlplane.plane"), signal.SIGKILL)
        journal = bridge.journal_calls()
        calls = bridge.wait_for_calls(len(journal))
    assert load.failed == 0 and sorted(load.finished) == sorted(journal)
    assert sorted(call["id"] for call in calls) == sorted(journal)


def test_killing_the_data_plane_loses_no_finished_call_and_doubles_none(tmp_path):
    """As `tests/test_toll.py` has it a hundred times under a budget, here without one, and with callers that wait for each answer."""
    chance = random.Random(7)
    with serve(tmp_path) as bridge:
        with Load(bridge, 3) as load:
            for _ in range(10):
                goal = len(load.finished) + chance.randint(1, 12)
                wait_until(lambda goal=goal: len(load.finished) >= goal)
                os.kill(bridge.child("proxy.dataplane.plane"), signal.SIGKILL)
        journal = bridge.journal_calls()
        calls = bridge.wait_for_calls(len(journal))
        wait_until(lambda: not bridge.unsettled())
        calls = bridge.look("/api/calls?last=100000")["rows"]
        journal = bridge.journal_calls()  # with those whose callers left before their ends
        wait_until(lambda: sum(call["input_tokens"] or 0 for call in bridge.look("/api/calls?last=100000")["rows"]) == bridge.journal_tokens())
    assert len(journal) == len(set(journal)) and set(load.finished) <= set(journal)
    recorded = [call["id"] for call in calls]
    assert len(recorded) == len(set(recorded))
    assert {call["id"] for call in calls if call["outcome"] != "weighbridge_crashed"} == set(journal)
