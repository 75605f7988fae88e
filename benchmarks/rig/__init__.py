"""What benchmarks of a running Weighbridge share: an upstream in a process of its own, `weighbridge serve` before it, its figures in /proc."""

from __future__ import annotations

import asyncio
import contextlib
import json
import multiprocessing
import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import uvloop

DATA, CONTROL, TRACED = "proxy.dataplane.plane", "proxy.controlplane.plane", "proxy.controlplane.traced"  # the control plane, without and with traces
PULSE_S = 10.0  # one comes each second
LOOK_S = 0.2
Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass(frozen=True)
class Bridge:
    """A running Weighbridge. `admin` is the URL of its admin port."""

    pid: int
    port: int
    admin: str
    state: Path

    def find(self, *modules: str) -> int:
        """The process id of one of its planes, whichever of these modules it runs. Raises SystemExit where it does not start within 10 s."""
        for _ in range(200):
            for entry in Path("/proc").iterdir():
                with contextlib.suppress(OSError, ValueError):
                    command = (entry / "cmdline").read_bytes().split(b"\0")
                    is_ours = int((entry / "stat").read_text().rpartition(")")[2].split()[1]) == self.pid
                    if is_ours and any(module.encode() in command for module in modules):
                        return int(entry.name)
            time.sleep(0.05)
        raise SystemExit(f"{' or '.join(modules)} did not start")


def cpu_s(pid: int) -> float:
    """User and system time of a process, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_mib(pid: int, field: str, file: str = "status") -> float:
    """VmRSS or VmHWM of a process, or Pss of its `smaps_rollup`."""
    for line in Path(f"/proc/{pid}/{file}").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) / 1024
    raise ValueError(field)


def allow_files() -> int:
    """Open as many files as this machine lets us; how many they are."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def read_pause_s(admin: str) -> float:
    """The longest pause of the data plane's event loop in the last minute, until now."""
    asked = time.monotonic()
    while time.monotonic() < asked + PULSE_S:
        with urllib.request.urlopen(f"{admin}/metrics") as page:
            text = page.read().decode()
        age, lag = (re.search(rf"^weighbridge_{name}_seconds (\S+)", text, re.MULTILINE) for name in ("pulse_age", "loop_lag"))
        if age is not None and lag is not None and time.monotonic() - float(age[1]) > asked:  # it came since
            return float(lag[1])
        time.sleep(LOOK_S)
    return float("nan")


def _serve(answer: Answer, pipe: Connection) -> None:
    async def main() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=4096)
        pipe.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    uvloop.run(main())


@contextlib.contextmanager
def open_bridge(answer: Answer, settings: dict[str, object] | None = None) -> Iterator[Bridge]:
    """Weighbridge in front of one upstream, `up`, whose every connection runs `answer`."""
    near, far = multiprocessing.Pipe()
    upstream = multiprocessing.Process(target=_serve, args=(answer, far), daemon=True)
    upstream.start()
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "weighbridge.yaml")
        up = {"url": f"http://127.0.0.1:{near.recv()}", "prices": "openai"}
        own = {"listen": {"port": 0}, "admin": {"port": 0}, "state_dir": f"{folder}/state", "demo": False, "upstreams": {"up": up}}
        config.write_text(json.dumps(own | (settings or {})))
        command = [sys.executable, "-m", "proxy.cli", "serve", "--config", str(config)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout is not None
            said = ""
            while "Where to look" not in said:
                line = process.stdout.readline()
                if not line:
                    raise SystemExit("weighbridge did not start")
                said += line
            ready, look = re.search(r"ready on \S+:(\d+)", said), re.search(r"Where to look: (\S+)/ ", said)
            assert ready is not None and look is not None
            yield Bridge(process.pid, int(ready[1]), look[1], Path(folder, "state"))
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)
            upstream.kill()
