"""The stage: the simulated provider, a tap in front of it, the data plane in front of that, and a tap in front of all."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web

from proxy.demo.desk import DESK
from proxy.demo.provider import start
from proxy.orders import Order, Orders, Ruling, write_orders
from proxy.reviewed import Held
from tests.clients.tap import Exchange, Tap
from tests.simulated.provider import make_app

DIALECTS = ("openai", "anthropic", "gemini", "mistral", "cohere", "bedrock", "ollama")
# Rules for tasks of their own: one that may spend nothing, one that may come every other second, one that is paused, two whose answers are held.
RULES = {
    "budgets": [{"name": "nothing", "match": {"task": "broke"}, "calls": 0}],
    "rate_limits": [{"name": "slow", "match": {"task": "slow-*"}, "each": ["task"], "requests_per_minute": 30, "burst_s": 0}],
    "review": {
        "gates": [
            {"name": "read", "match": {"task": "held-*"}, "wait_s": 120},
            {"name": "unread", "match": {"task": "unread-*"}, "wait_s": 1},
        ]
    },
}
PAUSED = Order(verb="pause", dimension="task", value="paused", reason="it loops", by="an operator", at_ns=1_790_000_000_000_000_000)
_OWN_DIALECT = {"mistral": "openai"}


class Stage:
    """All of it, running until `close`. The provider and the taps share a thread; the data plane is a process of its own."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._state = folder / "state"
        self._journal = self._state / "journal"
        self._offsets: dict[Path, int] = {}
        self._records: list[dict] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="stage", daemon=True)
        self._thread.start()
        self._runner, provider_port = self._run(self._open_provider())
        self.far: Tap = self._run(Tap(provider_port).open())
        self._plane, plane_port = self._start_plane(folder)
        self.near: Tap = self._run(Tap(plane_port).open())

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    async def _open_provider(self) -> tuple[web.AppRunner, int]:
        self._app = make_app(seed="clients")
        runner = await start(app=self._app)
        return runner, runner.addresses[0][1]

    def _start_plane(self, folder: Path) -> tuple[subprocess.Popen, int]:
        upstreams = {name: {"url": f"http://127.0.0.1:{self.far.port}", "dialect": _OWN_DIALECT.get(name, name)} for name in DIALECTS}
        with socket.create_server(("127.0.0.1", 0)) as closed:  # nobody listens there from now on
            nowhere = f"http://127.0.0.1:{closed.getsockname()[1]}"
        upstreams |= {f"dead-{name}": {**upstream, "url": nowhere} for name, upstream in upstreams.items()}
        config = folder / "weighbridge.yaml"
        config.write_text(json.dumps({"state_dir": str(folder / "state"), "demo": False, "upstreams": upstreams, **RULES}))
        self._journal.mkdir(parents=True)
        write_orders(self._state / "orders.json", Orders(orders=[PAUSED]))
        self._samples = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._samples.bind(str(self._state / "samples.sock"))
        self._samples.settimeout(120)
        with socket.socket() as listener, (folder / "plane.log").open("ab") as log:
            listener.bind(("127.0.0.1", 0))
            listener.listen(512)
            command = [sys.executable, "-m", "proxy.dataplane.plane", "--config", str(config), "--listener", str(listener.fileno())]
            plane = subprocess.Popen(command, pass_fds=[listener.fileno()], stdout=log, stderr=log)
            return plane, listener.getsockname()[1]

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Run a plain function of the taps on their loop."""

        async def run() -> Any:
            return function(*arguments)

        return self._run(run())

    def begin(self) -> None:
        """Let the provider forget everything, so that it gives the same answers again, and the taps too."""
        self.call(self._app[DESK].reset)
        self.take()
        self._read_journal()
        self._records.clear()

    def hold(self, after: int) -> None:
        """Hold the provider's next answers back behind `after` chunks."""
        self.far.hold_after = after

    def release(self) -> bool:
        """Let held answers go on; whether the provider's answer was still unfinished."""
        return self.call(self.far.release)

    def take(self) -> tuple[list[Exchange], list[Exchange]]:
        """What passed the near and the far tap since the last time."""
        return self.call(lambda: (self.near.take(), self.far.take()))

    def rule(self, task: str, state: str, note: str = "") -> Held:
        """Wait until an answer of a task is held, and decide on it as the control plane would. What is held."""
        while True:
            datagram = self._samples.recv(256 * 1024)
            if datagram[:1] == b"H" and (held := msgspec.msgpack.decode(datagram[1:], type=Held)).task == task:
                write_orders(self._state / "orders.json", Orders(orders=[PAUSED], reviews={held.id: Ruling(state=state, at_ns=1, note=note)}))
                return held

    def records(self, number: int, task: str | None = None, seconds: float = 10) -> list[dict]:
        """The records written since `begin`, only a task's if one is named, once there are `number` of them; in the order of their beginning."""
        deadline = time.monotonic() + seconds
        while True:
            self._read_journal()
            found = [record for record in self._records if task is None or record.get("task") == task]
            if len(found) >= number or time.monotonic() > deadline:
                return sorted(found, key=lambda record: record["started_ns"])
            time.sleep(0.005)

    def _read_journal(self) -> None:
        for path in sorted(self._journal.iterdir()):
            with path.open("rb") as segment:
                segment.seek(self._offsets.get(path, 0))
                whole = segment.read().rpartition(b"\n")[0]
            self._offsets[path] = self._offsets.get(path, 0) + (len(whole) + 1 if whole else 0)
            self._records += [event["call"] for event in map(json.loads, whole.splitlines()) if "call" in event]

    def close(self) -> None:
        self._plane.terminate()
        self._plane.wait(20)
        self.call(self.near.close)
        self.call(self.far.close)
        self._run(self._runner.cleanup())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()
        self._samples.close()
