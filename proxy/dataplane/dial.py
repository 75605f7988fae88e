"""How a connection to an upstream is made: find its addresses, race them, pass a proxy, greet with TLS; all within one deadline.

Where an upstream's url names an address, that is the one; where it names a host, only what `addresses.permitted` allows is
connected to, and it is the very address that was judged: nothing resolves the name a second time. Several addresses are tried as RFC 8305 says,
families in turn, 250 ms apart, and the first that answers is used; uvloop's create_connection cannot, so the race is run here.
Through a proxy every upstream goes by CONNECT, http:// too, so that the proxy sees no more than host and port of those with TLS; then the
proxy resolves the name, and its rules hold.
What is told of a failure names the remedy, never an address or a credential.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from itertools import chain, zip_longest
from typing import TypeVar
from urllib.parse import urlsplit

from proxy.dataplane.addresses import is_literal, permitted
from proxy.dataplane.connect import ask_proxy
from proxy.dataplane.names import Names, Place, Resolve, resolve
from proxy.errors import Refusal
from proxy.upstream import Upstream, find_proxy, load_certificates

Spoken = TypeVar("Spoken", bound=asyncio.BaseProtocol)
HEAD_START_S = 0.25  # RFC 8305, section 8: Connection Attempt Delay


class Context(ssl.SSLContext):
    """A client's TLS context that offers the newest session again, which spares both sides the certificates (RFC 8446, section 2.2)."""

    session: ssl.SSLSession | None = None

    def wrap_bio(self, incoming, outgoing, server_side=False, server_hostname=None, session=None):  # type: ignore[no-untyped-def, override]
        return super().wrap_bio(incoming, outgoing, server_side, server_hostname, session or self.session)


def make_context(upstream: Upstream) -> Context:
    """The TLS of an upstream: at least 1.2, its name and certificate verified. Raises OSError for a file that cannot be used."""
    context = Context(ssl.PROTOCOL_TLS_CLIENT)  # verifies the certificate and the name
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    load_certificates(context, upstream)
    context.set_alpn_protocols(["http/1.1"])
    return context


class Dialer:
    """Makes connections to one upstream."""

    def __init__(
        self, upstream: Upstream, resolve: Resolve = resolve, clock: Callable[[], float] = time.monotonic, environment: Mapping[str, str] = os.environ
    ) -> None:
        url = urlsplit(upstream.url)
        self.secure = url.scheme == "https"
        self.host = url.hostname or ""
        self.port = url.port or (443 if self.secure else 80)
        self._context = make_context(upstream) if self.secure else None
        self._proxy = None if upstream.proxy is None else find_proxy(upstream.proxy, environment)
        if upstream.proxy is not None and self._proxy is None:
            raise ValueError("an upstream's proxy that is none")  # the config was checked; in no case go around a proxy
        # The operator wrote the proxy as the way to go, so it may stand anywhere in the own network.
        first, port, private = (self._proxy.host, self._proxy.port, True) if self._proxy else (self.host, self.port, upstream.private)
        self._place = place_of(first, port) if is_literal(first) else None
        self._names = Names(first, port, permitted(first, private), resolve, clock)

    async def dial(self, make: Callable[[], Spoken], within_s: float) -> Spoken:
        """A connection, spoken by what `make` returns. Raises `Refusal` upstream_unreachable or upstream_timeout."""
        stage = ["find the upstream's address"]
        try:
            async with asyncio.timeout(within_s):
                return await self._dial(make, stage)
        except TimeoutError:
            self._names.doubt()
            raise Refusal("upstream_timeout", f"No connection to the provider within {within_s:g} s: it took too long to {stage[-1]}.") from None

    async def _dial(self, make: Callable[[], Spoken], stage: list[str]) -> Spoken:
        places = [self._place] if self._place else await self._names.find()
        stage.append("reach the proxy" if self._proxy else "reach the provider")
        try:
            if len(places) == 1 and self._proxy is None and self._context is None:  # nothing to race nor to greet: less than half the CPU
                _, spoken = await asyncio.get_running_loop().create_connection(make, *places[0][1][:2])
                return spoken
            reached = await race(places)
        except OSError:
            self._names.doubt()
            where = "the upstream's proxy: check `proxy`" if self._proxy else "the provider: check the upstream's url"
            raise Refusal("upstream_unreachable", f"No connection to {where} and that it is up.") from None
        try:
            if self._proxy is not None:
                stage.append("get an answer of the proxy")
                await ask_proxy(reached, self._proxy, self.host, self.port)
            stage.append("greet with TLS")
            return await self._greet(reached, make)
        except BaseException:
            reached.close()
            raise

    async def _greet(self, reached: socket.socket, make: Callable[[], Spoken]) -> Spoken:
        loop = asyncio.get_running_loop()
        try:
            name = self.host.rstrip(".") if self._context else None
            _, spoken = await loop.create_connection(make, sock=reached, ssl=self._context, server_hostname=name)
        except OSError as error:  # ssl.SSLError is one
            if self._context is not None:
                self._context.session = None
            wrong = "The TLS handshake with the provider failed; check its certificate and ca_file."
            if isinstance(error, ssl.SSLCertVerificationError):
                wrong = "The provider's certificate is not valid for the upstream's url, or of no trusted authority: check ca_file."
            raise Refusal("upstream_unreachable", wrong) from None
        return spoken

    def keep_session(self, transport: asyncio.BaseTransport) -> None:
        """Remember the TLS session of a connection that has carried an answer: by then the server has sent its ticket."""
        if self._context is not None:
            session = transport.get_extra_info("ssl_object").session
            if session is not None and session.has_ticket:
                self._context.session = session


def is_end_told(transport: asyncio.BaseTransport) -> bool:
    """Whether who was connected has ended the connection itself. TLS tells it, and nobody on the way can forge it (RFC 8446, section 6.1)."""
    spoken = transport.get_extra_info("ssl_object")
    try:
        return spoken is None or not spoken.read(1)
    except ssl.SSLZeroReturnError:  # it was told, and had been read
        return True
    except ssl.SSLError:
        return False


def place_of(literal: str, port: int) -> Place:
    """The place of an address in numbers."""
    return (socket.AF_INET6, (literal, port, 0, 0)) if ":" in literal else (socket.AF_INET, (literal, port))


def interleave(places: list[Place]) -> list[Place]:
    """Families in turn, beginning with that of the first place; the order within each family stays."""
    first = [place for place in places if place[0] == places[0][0]]
    other = [place for place in places if place[0] != places[0][0]]
    return [place for place in chain.from_iterable(zip_longest(first, other)) if place is not None]


async def race(places: list[Place], head_start_s: float = HEAD_START_S) -> socket.socket:
    """A socket that is connected to the first place that answers. Raises the OSError of the last that failed."""
    if len(places) == 1:
        return await _connect(places[0])
    waiting = interleave(places)[::-1]
    running: set[asyncio.Task[socket.socket]] = set()
    failure: BaseException = OSError("no address")
    try:
        while running or waiting:
            if waiting:
                place = waiting.pop()
                running.add(asyncio.create_task(_connect(place), name="connect"))
            done, _ = await asyncio.wait(running, timeout=head_start_s if waiting else None, return_when=asyncio.FIRST_COMPLETED)
            for attempt in done:
                running.discard(attempt)
                error = attempt.exception()
                if error is None:
                    return attempt.result()  # one that came in at the same moment is closed with the rest
                failure = error
        raise failure
    finally:
        for attempt in running:
            attempt.add_done_callback(_close_late)
            attempt.cancel()


def _close_late(attempt: asyncio.Task[socket.socket]) -> None:
    """Close what an attempt reached that nobody waits for."""
    if not attempt.cancelled() and attempt.exception() is None:
        attempt.result().close()


async def _connect(place: Place) -> socket.socket:
    family, address = place
    reached = socket.socket(family, socket.SOCK_STREAM)
    try:
        reached.setblocking(False)
        reached.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.get_running_loop().sock_connect(reached, address)
    except BaseException:
        reached.close()
        raise
    return reached
