"""A client's process: started once, asked for one case after another."""

from __future__ import annotations

import json
import os
import re
import select
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

CASES = Path(__file__).parent / "cases"
ROOT = Path(__file__).parents[2]
_DEFINED = re.compile(r"^(?:export )?(?:async )?(?:def|function) case_(\w+)\(", re.MULTILINE)
_FAULTS = re.compile(r"^(?:const )?FAULTS = [(\[](.*?)[)\]]", re.MULTILINE | re.DOTALL)


def list_cases(script: str) -> list[str]:
    """The names of the cases that a script defines, read without running it."""
    text = (CASES / script).read_text()
    faults = _FAULTS.search(text)
    return _DEFINED.findall(text) + (re.findall(r'"([^"]+)"', faults[1]) if faults else [])


def make_environment(home: Path) -> dict[str, str]:
    """A bare environment: no keys or settings of whoever runs the tests, a home of its own, no way out but loopback."""
    home.mkdir(parents=True, exist_ok=True)
    dead = "http://127.0.0.1:9"  # the discard port: whatever honours proxies and wants to leave fails at once
    return {
        "PATH": os.environ["PATH"], "HOME": str(home), "TMPDIR": str(home), "LANG": "C.UTF-8", "PYTHONUNBUFFERED": "1",
        "HTTP_PROXY": dead, "HTTPS_PROXY": dead, "http_proxy": dead, "https_proxy": dead,
        "NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost",
        "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true",
        "SSL_CERT_FILE": os.environ["SSL_CERT_FILE"],
        "LITELLM_LOCAL_MODEL_COST_MAP": "True", "OPENAI_AGENTS_DISABLE_TRACING": "1", "LANGSMITH_TRACING": "false",
    }  # fmt: skip


class Client:
    """A running client. `ask` raises `AssertionError` if it dies or is silent for `patience_s` seconds."""

    def __init__(self, command: list[str], home: Path, patience_s: float = 30) -> None:
        self._log = home.with_suffix(".log")
        self._patience_s = patience_s
        environment = make_environment(home)
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, env=environment, cwd=home)
        self._rest = b""
        self._ready = False

    def ask(
        self, case: str, root: str, *, proxied: bool, before: str = "", on_hold: Callable[[int], None] = print, on_first: Callable[[], bool] = bool
    ) -> dict:
        """Run one case; its outcome. `on_hold` and `on_first` are called as the case says `hold` and `first`.

        `before` is put before the upstream's name, to lead to another one.
        """
        if not self._ready:
            assert self._read() == {"ready": True}
            self._ready = True
        self._write(json.dumps({"case": case, "root": root, "proxied": proxied, "before": before}))
        early = None
        while True:
            line = self._read()
            if "outcome" in line:
                return {**line["outcome"], **({"early": early} if early is not None else {})}
            if "hold" in line:
                on_hold(line["hold"])
                early = False
            elif "first" in line:
                early = on_first()
            self._write("go")

    def _write(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode() + b"\n")
        self._process.stdin.flush()

    def _read(self) -> dict:
        assert self._process.stdout is not None
        deadline = time.monotonic() + self._patience_s
        while b"\n" not in self._rest:
            ready, _, _ = select.select([self._process.stdout], [], [], max(0.0, deadline - time.monotonic()))
            piece = os.read(self._process.stdout.fileno(), 65536) if ready else b""
            assert piece, f"the client {'died' if ready else 'is silent'}:\n{self._log.read_text()[-4000:]}"
            self._rest += piece
        line, _, self._rest = self._rest.partition(b"\n")
        return json.loads(line)

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except BrokenPipeError:
                    continue


class Crew:
    """The clients of one environment, each started when it, or the one before it, is first asked."""

    def __init__(self, commands: dict[str, list[str]], folder: Path) -> None:
        self._commands = commands
        self._folder = folder
        self._running: dict[str, Client] = {}

    def get(self, name: str) -> Client:
        names = list(self._commands)
        position = names.index(name)
        for each in names[position : position + 2]:  # importing takes seconds: the next one does so meanwhile
            if each not in self._running:
                self._running[each] = Client(self._commands[each], self._folder / each)
        for each in names[:position]:
            if each in self._running:
                self._running.pop(each).close()
        return self._running[name]

    def close(self) -> None:
        for client in self._running.values():
            client.close()


def require(present: bool, what: str) -> None:
    """Skip on a machine that lacks something, but never in continuous integration."""
    if not present:
        assert not os.environ.get("CI"), f"{what}; in continuous integration nothing may be missing"
        pytest.skip(what)
