"""The data plane's process: listens on the socket it is given, carries calls, and tells the control plane how it is.

Started by `proxy.supervise` as `python -m proxy.dataplane.plane`; ends on SIGTERM after a grace, or when its parent is gone.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import os
import resource
import signal
import socket
import time
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import uvloop

from proxy.config import Config, ConfigError, Upstream, load
from proxy.dataplane.admission import Admission
from proxy.dataplane.beat import Beat
from proxy.dataplane.drain import drain
from proxy.dataplane.edge import Edge, EdgeServer, Sent
from proxy.dataplane.estimate import ByteRatios
from proxy.dataplane.holding import Holding
from proxy.dataplane.journal import JournalWriter
from proxy.dataplane.obey import OrdersFile
from proxy.dataplane.path import Traffic
from proxy.dataplane.request import Request
from proxy.dataplane.samples import SampleSender
from proxy.dataplane.settle import Settler
from proxy.dataplane.till import Till
from proxy.dataplane.weigher import Weigher
from proxy.footprint import measure
from proxy.log import open_log, redact_log
from proxy.pricing.providers import Providers, load_book
from proxy.pulse import Pulse
from proxy.record import Extended
from proxy.redact import Redactor
from proxy.reload import compare
from proxy.toll.central import Central
from proxy.toll.follow import Follower
from proxy.toll.gate import Gate
from proxy.toll.ledger import Ledger

log = logging.getLogger("weighbridge.dataplane")
_BACKLOG = 4096
_UNSENT_BYTES = 128 * 1024  # that the kernel holds for a client that takes nothing; unset these are megabytes, and some 0.5 ms to free them
_COLLECT_AT = (10_000, 4, 20)  # calls make little cyclic garbage; of new objects never more than 50 000 are looked at in one go, some 15 ms
_QUIET = (4, 200)  # all objects are looked at after so many of these, while no more calls run than this, for that takes long with many
_LOOKS_A_SECOND = 5  # after orders; the samples are sent as often


class DataPlane:
    """All parts of the data plane, wired; `tick` keeps them in order once a second."""

    def __init__(self, config: Config, demo_url: str | None, config_path: str | None = None) -> None:
        upstreams = self._find_upstreams(config, demo_url)
        self.beat = Beat()
        self._config = config
        self._demo_url = demo_url
        self._config_path = config_path
        self._started_ns = time.time_ns()
        self._ledger = Ledger(config.budgets)
        self._follower = Follower(config.journal_dir, self._ledger)
        self._follower.recover()
        self._journal = JournalWriter(config.journal_dir, config.journal.segment_bytes, self._checkpoint)
        self._samples = SampleSender(config.sample_socket)
        self._orders = OrdersFile(config.orders)
        self._gate = Gate(config.rate_limits, config.headroom)
        book, ratios = load_book(config), ByteRatios()
        providers = Providers(book, upstreams)
        self._weigher = Weigher(book, providers, config.reservation, ratios)
        url = config.redis_url()
        self._central = None if url is None else self._make_central(url)
        till = Till(self._central or self._ledger, self._gate, self._weigher)
        self._redact = Redactor(config.secrets)
        redact_log(self._redact.redact_line)
        self._settler = Settler(book, providers, ratios, till, self._journal, self._samples, self._redact, config.capture.content)
        self._admission = Admission(config, self._orders, self._gate, self._ledger, self._weigher, self._journal, self._central)
        holding = Holding(config.review, self._samples.tell)
        self.traffic = Traffic(config, upstreams, self._journal, self._settler, self._admission, holding)
        self._generation = self._orders.orders.config_generation
        self._obey()

    @staticmethod
    def _find_upstreams(config: Config, demo_url: str | None) -> dict[str, Upstream]:
        return {**config.upstreams, "demo": Upstream(url=demo_url)} if demo_url else dict(config.upstreams)

    def _make_central(self, url: str) -> Central:
        """Where the journal is gone, what Redis knows of this plane is written into the new one."""

        def note(id: str, amounts: dict[str, int]) -> None:
            self._journal.extended(Extended(id=id, reserved=amounts))

        settings = self._config.ledger
        return Central(self._ledger, settings, url, name_plane(self._config), recalled=note if self._follower.is_blank else None)

    async def open(self) -> None:
        """Get in touch with the data planes that budgets are shared with, where there are any."""
        if self._central is not None:
            await self._central.start()

    def answer(self, request: Request) -> Awaitable[Sent]:
        """A health question, or a call to carry."""
        return self._answer_health(request) if request.raw_path in ("/healthz", "/readyz") else self.traffic.carry(request)

    async def _answer_health(self, request: Request) -> Sent:
        edge: Edge = request.edge
        status = b"503 Service Unavailable" if self.traffic.stopping else b"200 OK"
        text = b"stopping\n" if self.traffic.stopping else b"ok\n"
        if edge.transport is not None:
            edge.transport.write(b"HTTP/1.1 %b\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%b" % (status, len(text), text))
        return Sent(keep_alive=request.keep_alive)

    def _checkpoint(self) -> dict[str, Any]:
        """The ledger's state for a new segment, with all corrections up to now: what is pruned behind it must be in it."""
        self._follower.catch_up_corrections()
        return self._follower.checkpoint()

    def tick(self) -> None:
        """Once a second: retry the journal, end silent calls, close stale connections, send a pulse."""
        now = time.monotonic()
        self._collect()
        self._journal.retry()
        limits = self._config.limits
        for relay in list(self.traffic.in_flight):
            relay.expire(now, limits.first_byte_s, limits.idle_s)
        connections = self.traffic.lanes.reap()
        self._gate.tick(time.time_ns())
        self.traffic.holding.tick()
        self._follower.catch_up_corrections()
        taken = measure()
        in_flight, open_now = len(self.traffic.in_flight), self.traffic.opened - self._settler.closed
        self._samples.pulse(
            Pulse(
                pid=os.getpid(), started_ns=self._started_ns, at_ns=time.time_ns(), in_flight=in_flight, opened=self.traffic.opened,
                settled=self._settler.settled, gap=max(0, open_now - max(in_flight, self.traffic.carrying)), defects=self._settler.defects,
                samples_sent=self._samples.sent, samples_dropped=self._samples.dropped, prompts_dropped=self._samples.bare,
                journal_lines=self._journal.lines, journal_bytes=self._journal.bytes, journal_waiting=self._journal.waiting,
                journal_lost=self._journal.lost, upstream_connections=connections,
                loop_lag_ns=self.beat.take_worst_ns(), estimates=self._settler.estimates, unread=self._settler.unread,
                memory_bytes=taken.memory_bytes, cpu_ns=taken.cpu_ns,
                upstreams=self.traffic.lanes.states(now), limits=self._gate.counts(),
            )
        )  # fmt: skip

    def _collect(self) -> None:
        """Look for garbage among all objects while that is quick, so that it is not due when thousands of streams run."""
        due, most_calls = _QUIET
        if gc.get_count()[2] >= due and self.traffic.carrying <= most_calls:
            gc.collect()

    def look(self) -> None:
        """Several times a second: send the samples gathered so far, and see whether there are new orders."""
        self._samples.flush()
        if self._orders.refresh():
            self._obey()

    def _obey(self) -> None:
        """Take new orders: keys, the budgets of tasks, a changed config; and end the running calls that are to be ended."""
        orders = self._orders.orders
        self._ledger.set_keys([*self._config.identity.keys, *orders.keys])
        self._ledger.set_tasks(orders.tasks)
        if orders.config_generation != self._generation:
            self._generation = orders.config_generation
            self._reload()
        self.traffic.identifier.configure(self._config.identity, self._config.auth, orders)
        self.traffic.holding.rule(orders.reviews)
        self.traffic.end_running()

    def _reload(self) -> None:
        """Take the config anew; one at fault, or one that asks for a restart, changes nothing."""
        try:
            config = compare(self._config, load(self._config_path)).config
        except ConfigError as error:
            log.error("the changed config is not taken: %s", error)
            return
        self._config = config
        self._redact.configure(config.secrets)
        book = load_book(config)
        upstreams = self._find_upstreams(config, self._demo_url)
        providers = Providers(book, upstreams)
        self._settler.configure(book, providers, config.capture.content)
        self._weigher.configure(book, providers, config.reservation)
        self._ledger.set_keys([*config.identity.keys, *self._orders.orders.keys])
        self._admission.configure(config)
        self.traffic.configure(config, upstreams)
        log.info("the changed config is taken")

    async def leave(self) -> None:
        """Tell the other data planes what they do not know yet."""
        if self._central is not None:
            await self._central.stop()

    def close(self) -> None:
        """End what is left and write the journal's last line."""
        self.beat.end()
        self.traffic.lanes.close()
        self._journal.close()
        self._samples.close()


def name_plane(config: Config) -> str:
    """This data plane's name among those that share its budgets: the config's, or one that is made once and kept."""
    if config.ledger.plane is not None:
        return config.ledger.plane
    path = Path(config.state_dir) / "plane"
    if not path.exists():
        draft = path.with_suffix(".draft")
        draft.write_text(f"plane-{os.urandom(6).hex()}\n", encoding="utf-8")
        os.replace(draft, path)
    return path.read_text(encoding="utf-8").strip()


async def run(config: Config, config_path: str | None, listener: socket.socket, demo_url: str | None, lifeline: int | None) -> None:
    """Serve until SIGTERM, SIGINT or the end of the parent, then let running calls end within the grace."""
    loop = asyncio.get_running_loop()
    plane = DataPlane(config, demo_url, config_path)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if lifeline is not None:
        loop.add_reader(lifeline, stop.set)
    await plane.open()
    server = EdgeServer(plane.answer, config.limits)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _UNSENT_BYTES)  # what it accepts inherits it
    listening = await loop.create_server(server, sock=listener, backlog=_BACKLOG)
    gc.freeze()
    gc.set_threshold(*_COLLECT_AT)
    plane.beat.begin(loop)
    while not stop.is_set():
        plane.tick()
        server.sweep()
        for _ in range(_LOOKS_A_SECOND):
            plane.look()
            try:
                await asyncio.wait_for(stop.wait(), 1 / _LOOKS_A_SECOND)
                break
            except TimeoutError:
                continue
    plane.traffic.stopping = True
    listening.close()
    await drain(plane, server, config.limits.stop_grace_s)
    await plane.leave()
    plane.close()


def main() -> None:
    parser = argparse.ArgumentParser(description="Weighbridge's data plane; started by `weighbridge serve`.")
    parser.add_argument("--config")
    parser.add_argument("--listener", type=int, required=True, help="file descriptor of the listening socket")
    parser.add_argument("--demo-url")
    parser.add_argument("--lifeline", type=int, help="file descriptor that ends with the parent")
    options = parser.parse_args()
    open_log()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    config = load(options.config)
    listener = socket.socket(fileno=options.listener)
    uvloop.run(run(config, options.config, listener, options.demo_url, options.lifeline))


if __name__ == "__main__":
    main()
