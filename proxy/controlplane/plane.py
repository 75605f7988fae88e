"""The control plane's process: loads the journal, receives samples, answers on the admin port.

Started by `proxy.supervise` as `python -m proxy.controlplane.plane`. Its threads are listed in `ControlPlane.start`; the event loop only
serves HTTP. Ends on SIGTERM after loading what is left, or when its parent is gone; SIGHUP lets it read its config again. May be killed at
any moment: the journal holds everything.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from importlib import metadata
from pathlib import Path
from typing import Any

import uvloop
from aiohttp import web
from prometheus_client.core import Metric

from proxy.config import Config, load
from proxy.controlplane.api import Admin
from proxy.controlplane.balances import Balances
from proxy.controlplane.changes import list_keys, list_orders, make_changes
from proxy.controlplane.controls.steering import Steering
from proxy.controlplane.desk import Desk
from proxy.controlplane.door import Door, add_list
from proxy.controlplane.estimator import Estimator
from proxy.controlplane.fleet import Fleet
from proxy.controlplane.gauges import make_budget_gauges, make_gauges
from proxy.controlplane.inspection.events import Events
from proxy.controlplane.inspection.inspector import Inspector
from proxy.controlplane.journal_writer import JournalWriter
from proxy.controlplane.judges.bench import Bench
from proxy.controlplane.loader import Loader
from proxy.controlplane.metrics import Metrics
from proxy.controlplane.metrics.fleet import make_fleet_gauges
from proxy.controlplane.notices.notifier import Notifier
from proxy.controlplane.notices.trial import make_change as make_trial
from proxy.controlplane.quarantine import Quarantines
from proxy.controlplane.reloader import Reloader
from proxy.controlplane.review.desk import ReviewDesk
from proxy.controlplane.review.queue import Queue
from proxy.controlplane.samples import SampleReceiver
from proxy.controlplane.settlement import Precedence, Settlement, make_price
from proxy.controlplane.store import Store
from proxy.controlplane.streams.change import make_drift_change
from proxy.controlplane.streams.gauges import DriftGauges
from proxy.controlplane.streams.listing import list_drift
from proxy.controlplane.streams.streams import Streams
from proxy.hosts import make_check
from proxy.inspecting import DRIFT
from proxy.log import open_log, redact_log
from proxy.pricing.providers import Providers, load_book
from proxy.redact import Redactor
from proxy.samplesocket import bind
from proxy.token import make_token

log = logging.getLogger("weighbridge.controlplane")
_REPORT_THREADS = 3
_DRAIN_S = 8.0
MakeExporter = Callable[[Config, str, Callable[[], Iterable[Metric]]], Any]  # of traces: `proxy.controlplane.traced` has one


class ControlPlane:
    """All parts of the control plane, wired."""

    def __init__(
        self, config: Config, config_path: str | None, calls: str = "", samples: socket.socket | None = None, traces: MakeExporter | None = None
    ) -> None:
        config.journal_dir.mkdir(parents=True, exist_ok=True)
        self.stopping = threading.Event()
        self.metrics = Metrics(config.upstreams, find_version(), config.metrics)
        self.receiver = SampleReceiver(samples or bind(config.sample_socket))
        self.journal = JournalWriter(config.journal_dir, config.journal.segment_bytes)
        redact = make_redactor(config)
        book, precedence = load_book(config), Precedence()
        self.estimator = Estimator(config, book, self.journal, precedence, redact, Path(config.state_dir) / "token-ratios.json")
        self.fleet = Fleet(config.fleet)
        self.inspector = Inspector(config.evaluators)
        self.streams = Streams(config.evaluators.drift, config.drift, self.journal)
        self.inspector.listeners.append(self.inspector.thin(DRIFT, self.streams.watch))
        self.exporter = traces(config, find_version(), self.metrics.collect) if traces is not None else None
        self.desk = Desk(config.orders, self.journal, config.identity.keys)
        self.queue = Queue(config.review, self.journal, redact, decided=self.desk.list_ruled())
        self.inspector.listeners.append(self.queue.listen)
        observers = [self.metrics.observe, self.fleet.observe, self.estimator.observe, self.queue.observe]
        self.loader = Loader(
            config, observers, self.estimator.content, self.exporter, self._remember, self.inspector.rows,
            ready=lambda store: self.queue.restore(store.query),
        )  # fmt: skip
        self.settlement = Settlement(
            self._query,
            self.loader.catch_up,
            config.journal_dir,
            self.journal,
            precedence,
            make_price(book, Providers(book, config.upstreams)),
        )
        self.balances = Balances(config)
        self.reviews = ReviewDesk(self.queue, self.desk, self._query, lambda sent: self.inspector.judge(self.inspector.prepare(sent)))
        self.desk_thread = ThreadPoolExecutor(1, thread_name_prefix="desk")
        self.quarantines = Quarantines(self._query, self.loader.catch_up, self.journal)
        self.steering = Steering(
            config.controls, self.desk, lambda job: self.desk_thread.submit(job).result(), self.quarantines.impose, self.inspector.tally.drop
        )
        self.streams.hearers.append(self.steering.hear_alarm)
        self.bench = Bench(config, calls, self.inspector, redact)
        self.inspector.listeners += [self.steering.hear, self.bench.hear]
        self.reloader = Reloader(config_path, config, self.desk, self.take)
        instance = f"{config.admin.host}:{config.admin.port}"
        self.notifier = Notifier(config.notify, config.notices, instance, self.metrics.collect, os.environ)
        self._threads: dict[str, threading.Thread] = {}
        self._tell_metrics()
        if self.exporter is not None:
            self._tell_spans(Events(self.exporter.evaluation))

    def _tell_metrics(self) -> None:
        self.metrics.gauges += [
            make_gauges(self.loader, self.receiver, self.estimator),
            make_budget_gauges(self.balances),
            make_fleet_gauges(self.fleet, self.metrics.agents),
            self.quarantines.collect,
            self.inspector.tally.collect,
            DriftGauges(self.streams, self.metrics.agents).collect,
            self.queue.collect,
            self.steering.collect,
            self.notifier.collect,
        ]

    def _tell_spans(self, events: Events) -> None:
        self.metrics.gauges.append(self.exporter.collect)
        self.inspector.listeners.append(events.tell_verdicts)
        self.streams.hearers.append(events.tell_alarm)

    def _query(self, sql: str, values: Sequence[Any]) -> tuple[list[str], list[tuple]]:
        return self.loader.keeper.store.query(sql, values)

    def _remember(self, store: Store) -> None:
        """Take from the database which agents there are; those that were seen last have series of their own again."""
        for agent, team, last_s in self.fleet.restore(store.query):
            self.metrics.agents.seat(agent, team, int(last_s * 1e9))

    def _inspect(self) -> None:
        self.streams.restore()
        self.inspector.run(self.receiver.inspected, self.stopping)

    def start(self, ended: Callable[[], None]) -> None:
        """Start the threads. `ended` is called when one ends, also by a defect: then the process must end too."""

        def keep(work: Callable[[], None]) -> None:
            try:
                work()
            finally:
                ended()

        jobs = {
            "loader": self.loader.run,
            "samples": lambda: self.receiver.run(self.stopping),
            "estimator": lambda: self.estimator.run(self.receiver.samples, self.stopping),
            "inspector": self._inspect,
            "streams": lambda: self.streams.run(self.stopping),
            "judges": lambda: self.bench.run(self.stopping),
            "steering": lambda: self.steering.run(self.stopping),
            "guests": lambda: self.inspector.run_guests(self.stopping),
            "reviews": lambda: self.queue.run(self.receiver.held, self.stopping),
            "fleet": lambda: self.fleet.run(self._query, self.stopping),
            "quarantines": lambda: self.quarantines.run(self.stopping),
            "notices": lambda: self.notifier.run(self.stopping),
        }
        if self.exporter is not None:
            jobs["otlp"] = self.exporter.run
        for name, work in jobs.items():
            self._threads[name] = threading.Thread(target=keep, args=(work,), name=name, daemon=True)
            self._threads[name].start()

    def take(self, config: Config) -> None:
        """Go on with a changed config."""
        book, redact = load_book(config), make_redactor(config)
        self.metrics.configure(config.upstreams, config.metrics)
        self.balances.configure(config)
        self.fleet.configure(config.fleet)
        self.notifier.configure(config.notify)
        self.inspector.configure(config.evaluators)
        self.streams.configure(config.evaluators.drift)
        self.steering.configure(config.controls)
        self.bench.configure(config, redact)
        self.estimator.configure(config, book, redact)
        self.queue.configure(config.review, redact)
        self.loader.configure(config)
        if self.exporter is not None:
            self.exporter.know(config)
        self.settlement.configure(make_price(book, Providers(book, config.upstreams)))

    def add_routes(self, app: web.Application, door: Door, desk: Executor, threads: Executor) -> None:
        """Add what changes something: one at a time in the thread of the desk, but for what must wait for the database."""
        slow = [self.settlement.change, make_trial(self.notifier), make_drift_change(self.streams, self.journal)]
        door.add(app, desk, [*make_changes(self.desk), self.reloader.make_change(), *self.reviews.changes])
        door.add(app, threads, [*slow, *self.reviews.looks, *self.quarantines.changes])
        add_list(app, desk, "/api/orders", lambda: list_orders(self.desk))
        add_list(app, desk, "/api/keys", lambda: list_keys(self.desk))
        add_list(app, threads, "/api/alerts", self.notifier.list_alerts)
        add_list(app, threads, "/api/drift", lambda: list_drift(self.streams.describe()))

    def stop(self) -> None:
        """Let the estimator write what it has, then load what is left, then send what is left."""
        self.stopping.set()
        for name in ("samples", "estimator", "inspector", "guests", "reviews", "steering", "fleet", "notices", "streams", "quarantines"):
            self._threads[name].join(_DRAIN_S / 2)
        self.streams.save(_DRAIN_S / 2)
        self.journal.close()
        self.loader.stop()
        self._threads["loader"].join(_DRAIN_S)
        if self.exporter is not None:
            self.exporter.stop()
            self._threads["otlp"].join(self.exporter.drain_s)


def make_redactor(config: Config) -> Redactor:
    """What takes this process's secrets out of all that it keeps; from now on out of its log, too."""
    redact = Redactor([*config.secrets, make_token(config.admin_token)], config.capture.redact)
    redact_log(redact)
    return redact


def find_version() -> str:
    """The version of the installed package; empty where it runs from a folder."""
    try:
        return metadata.version("weighbridge")
    except metadata.PackageNotFoundError:
        return ""


async def run(config: Config, admin: socket.socket, lifeline: int | None, make_plane: Callable[[], ControlPlane]) -> None:
    """Serve until SIGTERM, SIGINT, the end of the parent or of a thread."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if lifeline is not None:
        loop.add_reader(lifeline, stop.set)
    plane = make_plane()
    threads, desk = ThreadPoolExecutor(_REPORT_THREADS, thread_name_prefix="report"), plane.desk_thread
    loop.add_signal_handler(signal.SIGHUP, lambda: loop.run_in_executor(desk, plane.reloader.reload_by_signal))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})  # one that came until now has waited
    plane.start(lambda: loop.call_soon_threadsafe(stop.set))
    door = Door(make_token(config.admin_token))
    may_name = make_check(config.admin.host, config.admin.hosts)
    parts = [lambda app: plane.add_routes(app, door, desk, threads)]
    admin_port = Admin(
        plane.loader.keeper,
        plane.loader.catch_up,
        plane.metrics,
        plane.balances,
        plane.receiver,
        threads,
        parts=parts,
        may_name=may_name,
        list_alerts=plane.notifier.list_alerts,
        find_agent=plane.fleet.find,
    )
    application = admin_port.build()
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    await web.SockSite(runner, admin).start()
    await stop.wait()
    await loop.run_in_executor(None, plane.stop)
    await runner.cleanup()
    desk.shutdown(wait=True)
    threads.shutdown(wait=False, cancel_futures=True)


def main(make_exporter: MakeExporter | None = None) -> None:
    """`make_exporter` where there is a collector to send traces to."""
    parser = argparse.ArgumentParser(description="Weighbridge's control plane; started by `weighbridge serve`.")
    parser.add_argument("--config")
    parser.add_argument("--source", help="what is read at a reload; --config where it is not given")
    parser.add_argument("--admin", type=int, required=True, help="file descriptor of the listening socket of the admin port")
    parser.add_argument("--calls", default="", help="the data plane's URL, for judges")
    parser.add_argument("--lifeline", type=int, help="file descriptor that ends with the parent")
    parser.add_argument("--samples", type=int, help="file descriptor of the sample socket; without it one is bound")
    options = parser.parse_args()
    open_log()
    os.set_inheritable(options.admin, False)
    config = load(options.config)
    is_there = options.samples is not None and config.sample_socket.is_socket()  # somebody may have removed it since
    admin, samples = socket.socket(fileno=options.admin), socket.socket(fileno=options.samples) if is_there else None
    source = options.source or options.config
    uvloop.run(run(config, admin, options.lifeline, lambda: ControlPlane(config, source, options.calls, samples, make_exporter)))


if __name__ == "__main__":
    main()
