"""The ways to the upstreams: each with its connections, its key and its signature; swapped whole when the config changes.

A call takes its way once and keeps it to its end, so no key goes to a host that it is not for, and no reload ends a call.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from weakref import WeakSet

import msgspec

from proxy.config import Limits, Upstream
from proxy.dataplane.outbox import Outbox
from proxy.dataplane.sign import Signer
from proxy.dataplane.upstream import Pool


class Way(msgspec.Struct, frozen=True):
    """Where the calls to an upstream go, and with what."""

    upstream: Upstream
    key: str | None  # ours, in place of the caller's
    signer: Signer | None


class Ways:
    """All ways, by the names of their upstreams."""

    def __init__(self, outbox: Outbox) -> None:
        self.pools: dict[str, Pool] = {}
        self._outbox = outbox
        self._ways: dict[str, Way] = {}
        self._limits = Limits()
        self._retired: WeakSet[Pool] = WeakSet()  # of upstreams as they were: there as long as a call or a connection holds on to them

    def configure(self, upstreams: Mapping[str, Upstream], limits: Limits) -> None:
        """Take other upstreams. One that has not changed keeps its connections; of the others those in use end with their calls."""
        before = self._limits
        is_same = (before.connect_s, before.idle_connection_s) == (limits.connect_s, limits.idle_connection_s)
        ways: dict[str, Way] = {}
        pools: dict[str, Pool] = {}
        for name, upstream in upstreams.items():
            way = self._ways.get(name)
            if way is not None and is_same and way.upstream == upstream:
                ways[name], pools[name] = way, self.pools[name]
            else:
                ways[name], pools[name] = _make_way(name, upstream, way), Pool(upstream, limits, self._outbox)
        for name, pool in self.pools.items():
            if pool is not pools.get(name):
                pool.close()
                self._retired.add(pool)
        self._ways, self.pools, self._limits = ways, pools, limits

    @property
    def names(self) -> list[str]:
        return sorted(self._ways)

    def find(self, name: str) -> Way | None:
        """The way to an upstream; None where there is none of that name."""
        return self._ways.get(name)

    def reap(self) -> int:
        """Close the connections that have been idle for too long; how many there are still."""
        for pool in self.pools.values():
            pool.reap()
        for pool in self._retired:
            pool.close()
        return sum(len(pool.connections) for pool in (*self.pools.values(), *self._retired))

    def close(self) -> None:
        """Close all connections that are idle."""
        for pool in self.pools.values():
            pool.close()


def _make_way(name: str, upstream: Upstream, before: Way | None) -> Way:
    """Raises `SigningError`; not where it was signed in the same way before, for who signs looks long for its credentials."""
    key = os.environ[upstream.key[4:]] if upstream.key.startswith("env:") else None
    if before is not None and before.upstream.sign == upstream.sign:
        return Way(upstream, key, before.signer)
    return Way(upstream, key, Signer(name, upstream.sign.partition(":")[2]) if upstream.sign else None)
