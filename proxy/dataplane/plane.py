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
import sys
import time

import uvloop
from aiohttp import web

from proxy.config import Config, Upstream, load
from proxy.dataplane.edge import Edge, EdgeServer, Sent
from proxy.dataplane.journal import JournalWriter
from proxy.dataplane.path import Traffic
from proxy.dataplane.samples import SampleSender
from proxy.dataplane.settle import Settler
from proxy.pricing.providers import load_book
from proxy.record import Pulse

log = logging.getLogger("weighbridge.dataplane")
_BACKLOG = 4096
_FLUSHES_A_SECOND = 5  # of the samples


class DataPlane:
    """All parts of the data plane, wired; `tick` keeps them in order once a second."""

    def __init__(self, config: Config, demo_url: str | None) -> None:
        upstreams = dict(config.upstreams)
        if demo_url:
            upstreams["demo"] = Upstream(url=demo_url)
        keys = {name: os.environ[one.key[4:]] for name, one in upstreams.items() if one.key.startswith("env:")}
        self._config = config
        self._started_ns = time.time_ns()
        self._journal = JournalWriter(config.journal_dir, config.journal.segment_bytes)
        self._samples = SampleSender(config.sample_socket)
        self._settler = Settler(upstreams, load_book(config), self._journal, self._samples)
        self.traffic = Traffic(config, upstreams, keys, self._journal, self._settler)
        self._due = time.monotonic() + 1

    async def answer(self, request: web.BaseRequest) -> Sent:
        """A health question, or a call to carry."""
        if request.raw_path in ("/healthz", "/readyz"):
            return self._answer_health(request)
        return await self.traffic.carry(request)

    def _answer_health(self, request: web.BaseRequest) -> Sent:
        edge: Edge = request.protocol  # type: ignore[assignment]
        status = b"503 Service Unavailable" if self.traffic.stopping else b"200 OK"
        text = b"stopping\n" if self.traffic.stopping else b"ok\n"
        if edge.transport is not None:
            edge.transport.write(b"HTTP/1.1 %b\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%b" % (status, len(text), text))
        return Sent(keep_alive=request.keep_alive)

    def tick(self) -> None:
        """Once a second: retry the journal, end silent calls, close stale connections, send a pulse."""
        now = time.monotonic()
        lag_ns = max(0, int((now - self._due) * 1e9))
        self._due = now + 1
        self._journal.retry()
        limits = self._config.limits
        for relay in list(self.traffic.in_flight):
            relay.expire(now, limits.first_byte_s, limits.idle_s)
        for pool in self.traffic.pools.values():
            pool.reap()
        self._samples.pulse(
            Pulse(
                pid=os.getpid(), started_ns=self._started_ns, at_ns=time.time_ns(), in_flight=len(self.traffic.in_flight), opened=self.traffic.opened,
                settled=self._settler.settled, samples_sent=self._samples.sent, samples_dropped=self._samples.dropped,
                journal_lines=self._journal.lines, journal_bytes=self._journal.bytes, journal_waiting=self._journal.waiting,
                journal_lost=self._journal.lost, upstream_connections=sum(len(pool.connections) for pool in self.traffic.pools.values()),
                loop_lag_ns=lag_ns, estimates=self._settler.estimates, unread=self._settler.unread,
            )
        )  # fmt: skip

    def flush_samples(self) -> None:
        """Send the samples gathered so far."""
        self._samples.flush()

    def close(self) -> None:
        """End what is left and write the journal's last line."""
        for pool in self.traffic.pools.values():
            pool.close()
        self._journal.close()
        self._samples.close()


async def run(config: Config, listener: socket.socket, demo_url: str | None, lifeline: int | None) -> None:
    """Serve until SIGTERM, SIGINT or the end of the parent, then let running calls end within the grace."""
    loop = asyncio.get_running_loop()
    plane = DataPlane(config, demo_url)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if lifeline is not None:
        loop.add_reader(lifeline, stop.set)
    server = EdgeServer(plane.answer, header_bytes=config.limits.header_bytes)
    listening = await loop.create_server(server, sock=listener, backlog=_BACKLOG)
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)  # calls make little cyclic garbage; the default looks for it after every few of them
    while not stop.is_set():
        plane.tick()
        for _ in range(_FLUSHES_A_SECOND):
            plane.flush_samples()
            try:
                await asyncio.wait_for(stop.wait(), 1 / _FLUSHES_A_SECOND)
                break
            except TimeoutError:
                continue
    plane.traffic.stopping = True
    listening.close()
    deadline = time.monotonic() + config.limits.stop_grace_s
    while plane.traffic.in_flight and time.monotonic() < deadline:
        plane.tick()
        await asyncio.sleep(0.05)
    server.pre_shutdown()
    await server.shutdown(0.2)
    plane.close()


def main() -> None:
    parser = argparse.ArgumentParser(description="Weighbridge's data plane; started by `weighbridge serve`.")
    parser.add_argument("--config")
    parser.add_argument("--listener", type=int, required=True, help="file descriptor of the listening socket")
    parser.add_argument("--demo-url")
    parser.add_argument("--lifeline", type=int, help="file descriptor that ends with the parent")
    options = parser.parse_args()
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    config = load(options.config)
    listener = socket.socket(fileno=options.listener)
    uvloop.run(run(config, listener, options.demo_url, options.lifeline))


if __name__ == "__main__":
    main()
