"""A lane: what is kept of one upstream over all calls, its keys, their breakers, and its quotas of further attempts."""

from __future__ import annotations

from collections.abc import Mapping

from proxy.config import Upstream
from proxy.dataplane.keyring import Keyring, ProviderKey
from proxy.dataplane.quota import Quota
from proxy.dataplane.sign import Signer
from proxy.routes import JUDGED


class Lane:
    """What is kept of one upstream over all calls."""

    def __init__(self, name: str, upstream: Upstream, environment: Mapping[str, str], signer: Signer | None = None) -> None:
        self.name = name
        self.upstream = upstream
        self.signer = signer
        self.retry = upstream.retry
        self.quota = Quota(upstream.retry.share, upstream.retry.least)
        self.hedges = Quota(upstream.hedge.share, upstream.hedge.least) if upstream.hedge.after_s else None
        names = [variable for variable in upstream.key_names if environment.get(variable)]
        keys = [ProviderKey(variable, environment[variable], upstream.breaker) for variable in names]
        self.keyring = Keyring(keys or [ProviderKey(None, None, upstream.breaker)])
        stall = upstream.stall
        conditions = {*upstream.retry.when, *(word for fallback in upstream.fallbacks for word in fallback.when)}
        self.judged = frozenset(conditions & JUDGED)
        # Whether its answers need no look before they are passed on.
        is_guarded = upstream.hedge.after_s or upstream.breaker.share or stall.first_byte_s or stall.idle_s or stall.tokens_per_s
        self.is_plain = not (conditions - {"unreachable"} or self.keyring.is_pool or is_guarded)
