"""A place to give orders in: a config, its state folder, and, where a test wants it, an admin port that serves it."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from aiohttp import web

from proxy.cli import main
from proxy.config import Config, load
from proxy.controlplane.api import answer_errors
from proxy.controlplane.changes import list_keys, list_orders, make_changes
from proxy.controlplane.desk import Desk
from proxy.controlplane.door import Door, add_list
from proxy.controlplane.journal_writer import JournalWriter
from proxy.controlplane.notices.notifier import Notifier
from proxy.controlplane.notices.trial import make_change as make_trial
from proxy.controlplane.reloader import Reloader
from proxy.controlplane.streams.change import make_drift_change
from proxy.controlplane.streams.listing import list_drift
from proxy.controlplane.streams.streams import Streams
from proxy.orders import Orders, read_orders
from proxy.token import make_token


class Office:
    """A config file with a state folder."""

    def __init__(self, folder: Path, port: int) -> None:
        self.path = folder / "weighbridge.yaml"
        self.settings: dict = {"admin": {"port": port}, "state_dir": str(folder / "state")}
        self.write()

    def write(self, **settings: object) -> None:
        """Write the config, with these settings changed."""
        self.settings |= settings
        self.path.write_text(json.dumps(self.settings))

    @property
    def config(self) -> Config:
        return load(str(self.path), {})

    @property
    def orders(self) -> Orders:
        return read_orders(self.config.orders)

    def run(self, *arguments: str) -> int:
        """The exit status of a command."""
        return main([*arguments, "--config", str(self.path)])

    def noted(self, kind: str) -> list[dict]:
        """The journal's lines of one kind."""
        lines = [json.loads(line) for path in sorted(self.config.journal_dir.iterdir()) for line in path.read_bytes().splitlines()]
        return [line[kind] for line in lines if kind in line]

    @contextmanager
    def open(self) -> Iterator[None]:
        """Serve the admin port, as far as it concerns the desk, in a thread."""
        self.config.journal_dir.mkdir(parents=True, exist_ok=True)
        loop, ready, stop = asyncio.new_event_loop(), threading.Event(), asyncio.Event()
        thread = threading.Thread(target=lambda: loop.run_until_complete(self._serve(ready, stop)))
        thread.start()
        assert ready.wait(20)
        try:
            yield
        finally:
            loop.call_soon_threadsafe(stop.set)
            thread.join()
            loop.close()

    async def _serve(self, ready: threading.Event, stop: asyncio.Event) -> None:
        config = self.config
        journal = JournalWriter(config.journal_dir, 10**6)
        desk = Desk(config.orders, journal, config.identity.keys)
        reloader = Reloader(str(self.path), config, desk, lambda _: None)
        notifier = Notifier(config.notify, config.notices, "here", list, {})
        streams = Streams(config.evaluators.drift, config.drift, journal)
        streams.restore()
        with ThreadPoolExecutor(1) as thread:
            app = web.Application(middlewares=[answer_errors])
            Door(make_token(config.admin_token)).add(app, thread, [*make_changes(desk), reloader.make_change(), make_trial(notifier)])
            Door(make_token(config.admin_token)).add(app, thread, [make_drift_change(streams, journal)])
            add_list(app, thread, "/api/drift", lambda: list_drift(streams.describe()))
            add_list(app, thread, "/api/orders", lambda: list_orders(desk))
            add_list(app, thread, "/api/keys", lambda: list_keys(desk))
            runner = web.AppRunner(app, access_log=None)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", config.admin.port).start()
            ready.set()
            await stop.wait()
            await runner.cleanup()
        notifier.close()
        journal.close()


@pytest.fixture
def office(tmp_path: Path) -> Office:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    return Office(tmp_path, port)


@pytest.fixture(params=["running", "stopped"])
def desk_office(office: Office, request: pytest.FixtureRequest) -> Iterator[Office]:
    """An office whose admin port serves, and one whose Weighbridge does not run: commands of the desk do the same in both."""
    if request.param == "stopped":
        Path(office.config.state_dir).mkdir()
        yield office
        return
    with office.open():
        yield office
