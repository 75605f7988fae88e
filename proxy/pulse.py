"""The data plane's own state, as it tells the control plane of it once a second."""

from __future__ import annotations

import msgspec


class KeyState(msgspec.Struct, frozen=True, kw_only=True):
    """How one provider key of an upstream stands."""

    name: str  # of its environment variable; empty where callers bring their own
    breaker: int  # 0 closed, 1 half open, 2 open
    opened: int  # how often the breaker has opened
    is_parked: bool


class UpstreamState(msgspec.Struct, frozen=True, kw_only=True):
    """How one upstream stands."""

    name: str
    quota_refused: int  # further attempts that were not made for want of quota
    keys: list[KeyState]


class LimitState(msgspec.Struct, frozen=True, kw_only=True):
    """How many calls a limit counts and holds back; a provider's own has the name `headroom/UPSTREAM`."""

    name: str
    running: int
    waiting: int


class Pulse(msgspec.Struct, frozen=True, kw_only=True):
    """The data plane's own state, sent once a second over the sample socket."""

    pid: int
    started_ns: int
    at_ns: int
    in_flight: int
    opened: int
    settled: int
    gap: int  # opened calls that have no record, and that nothing carries: must stay 0
    defects: int
    samples_sent: int
    samples_dropped: int
    prompts_dropped: int  # samples sent without theirs, because too many calls ran
    journal_lines: int
    journal_bytes: int
    journal_waiting: int  # records held in memory because the disk refused them
    journal_lost: int  # records given up: the only counter that must stay 0
    upstream_connections: int
    loop_lag_ns: int  # the longest pause of the event loop since the pulse before
    estimates: int
    unread: int
    memory_bytes: int
    cpu_ns: int
    upstreams: list[UpstreamState] = []
    limits: list[LimitState] = []
