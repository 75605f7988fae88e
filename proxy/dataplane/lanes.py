"""The lanes to the upstreams, each with its connections, its keys and its signature; swapped whole when the config changes.

A call takes the lanes as they are when it comes, and keeps them to its end, so no key goes to a host that it is not for, and no reload
ends a call.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from weakref import WeakSet

from proxy.config import Limits, Upstream
from proxy.dataplane.lane import Lane
from proxy.dataplane.outbox import Outbox
from proxy.dataplane.sign import Signer
from proxy.dataplane.upstream import Pool
from proxy.pulse import KeyState, UpstreamState


class Lanes:
    """All lanes, by the names of their upstreams."""

    def __init__(self, outbox: Outbox) -> None:
        self.pools: dict[str, Pool] = {}
        self.generation = 0  # how often there were others
        self._outbox = outbox
        self.by_name: dict[str, Lane] = {}
        self._limits = Limits()
        self._retired: WeakSet[Pool] = WeakSet()  # of upstreams as they were: there as long as a call or a connection holds on to them

    def configure(self, upstreams: Mapping[str, Upstream], limits: Limits) -> None:
        """Take other upstreams. One that has not changed keeps its connections; of the others those in use end with their calls."""
        before = self._limits
        is_same = (before.connect_s, before.idle_connection_s) == (limits.connect_s, limits.idle_connection_s)
        lanes: dict[str, Lane] = {}
        pools: dict[str, Pool] = {}
        for name, upstream in upstreams.items():
            before_it = self.by_name.get(name)
            is_kept = before_it is not None and before_it.upstream == upstream
            lanes[name] = before_it if is_kept else _make_lane(name, upstream, before_it)
            pools[name] = self.pools[name] if is_kept and is_same else Pool(upstream, limits, self._outbox)
        for name, pool in self.pools.items():
            if pool is not pools.get(name):
                pool.close()
                self._retired.add(pool)
        self.by_name, self.pools, self._limits = lanes, pools, limits
        self.generation += 1

    @property
    def names(self) -> list[str]:
        return sorted(self.by_name)

    def reap(self) -> int:
        """Close the connections that have been idle for too long; how many there are still."""
        for pool in self.pools.values():
            pool.reap()
        for pool in self._retired:
            pool.close()
        return sum(len(pool.connections) for pool in (*self.pools.values(), *self._retired))

    def states(self, now_s: float) -> list[UpstreamState]:
        """How all upstreams and their keys stand."""
        return [_describe(lane, now_s) for lane in self.by_name.values()]

    def close(self) -> None:
        """Close all connections that are idle."""
        for pool in self.pools.values():
            pool.close()


def _describe(lane: Lane, now_s: float) -> UpstreamState:
    keys = [
        KeyState(name=key.name or "", breaker=key.breaker.state(now_s), opened=key.breaker.opened, is_parked=now_s < key.parked_until_s)
        for key in lane.keyring.keys
    ]
    return UpstreamState(name=lane.name, quota_refused=lane.quota.refused, keys=keys)


def _make_lane(name: str, upstream: Upstream, before: Lane | None) -> Lane:
    """Raises `SigningError`; not where it was signed in the same way before, for who signs looks long for its credentials."""
    if before is not None and before.upstream.sign == upstream.sign:
        return Lane(name, upstream, os.environ, before.signer)
    return Lane(name, upstream, os.environ, Signer(name, upstream.sign.partition(":")[2]) if upstream.sign else None)
