"""A real control-plane process, killed again and again while its journal grows."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from tests.controlplane.conftest import Segments, add, call, opened


class Plane:
    """`python -m proxy.controlplane.plane` on a socket that outlives it."""

    def __init__(self, folder: Path, listener: socket.socket) -> None:
        self.config = folder / "weighbridge.yaml"
        self.config.write_text(json.dumps({"state_dir": str(folder / "state")}))
        self.listener = listener
        self.base = f"http://127.0.0.1:{listener.getsockname()[1]}"
        self.log = (folder / "log").open("ab")
        self.process: subprocess.Popen | None = None

    def start(self, *more: str, pass_fds: tuple[int, ...] = ()) -> None:
        arguments = [sys.executable, "-m", "proxy.controlplane.plane", "--admin", str(self.listener.fileno()), "--config", str(self.config), *more]
        self.process = subprocess.Popen(arguments, pass_fds=(self.listener.fileno(), *pass_fds), stderr=self.log)

    def look(self, path: str) -> dict:
        with urllib.request.urlopen(self.base + path, timeout=20) as response:
            return json.load(response)

    def wait_for(self, calls: int) -> dict:
        """The totals, once so many calls are loaded."""
        deadline = time.monotonic() + 60
        found: dict = {}
        while time.monotonic() < deadline:
            try:
                found = self.look("/api/report?by=")["rows"][0]
                if found["calls"] >= calls:
                    return found
            except urllib.error.HTTPError as error:
                assert error.code == 503, error.read()
                error.close()
            threading.Event().wait(0.05)
        raise AssertionError(f"{found} after a minute, {calls} calls were written")


@contextmanager
def make_plane(folder: Path) -> Iterator[Plane]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        plane = Plane(folder, listener)
        try:
            yield plane
        finally:
            if plane.process is not None:
                plane.process.kill()
                plane.process.wait()
            plane.log.close()


def test_kills_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    chance, segments, number = random.Random(5), Segments(tmp_path / "state" / "journal"), 0
    with make_plane(tmp_path) as plane:
        for round_ in range(6):
            path = segments.begin(round_, pid=os.getpid(), process_ns=1)
            plane.start()
            plane.wait_for(number)
            for _ in range(chance.randint(3, 10)):
                lines = b"".join(opened(one) + call(one) for one in range(number, number + 200))
                number += 200
                cut = chance.randint(0, len(lines))
                add(path, lines[:cut])
                threading.Event().wait(chance.random() * 0.05)
                add(path, lines[cut:])
            plane.process.send_signal(signal.SIGKILL)
            plane.process.wait()
        plane.start()
        found = plane.wait_for(number)
        expected = {
            "calls": number,
            "errors": 0,
            "input_tokens": sum(100 + one for one in range(number)),
            "cost_nano_usd": sum(1000 + one for one in range(number)),
        }
        assert {name: found[name] for name in expected} == expected
        plane.process.terminate()
        assert plane.process.wait(20) == 0
    with duckdb.connect(str(tmp_path / "state" / "weighbridge.duckdb"), read_only=True) as store:
        assert store.execute("SELECT count(*), count(DISTINCT id) FROM calls").fetchone() == (number, number)


def test_a_broken_database_is_made_again_from_the_journal(tmp_path: Path) -> None:
    segments = Segments(tmp_path / "state" / "journal")
    add(segments.begin(1, pid=os.getpid()), b"".join(call(one) for one in range(500)))
    database = tmp_path / "state" / "weighbridge.duckdb"
    with make_plane(tmp_path) as plane:
        plane.start()
        plane.wait_for(500)
        plane.process.kill()
        plane.process.wait()
        database.write_bytes(b"\x55" * 200_000)
        plane.start()
        assert plane.wait_for(500)["calls"] == 500
        with urllib.request.urlopen(plane.base + "/metrics", timeout=20) as response:
            assert b"weighbridge_database_rebuilds_total 1.0" in response.read()
    assert [one.name for one in database.parent.iterdir() if ".broken-" in one.name]


def test_it_ends_with_its_parent(tmp_path: Path) -> None:
    lifeline, life = os.pipe()
    with make_plane(tmp_path) as plane:
        plane.start("--lifeline", str(lifeline), pass_fds=(lifeline,))
        os.close(lifeline)
        assert plane.look("/healthz")["status"] == "ok"
        os.close(life)
        assert plane.process.wait(20) == 0
