"""What becomes of a call whose upstream fails: tried again, sent elsewhere, or held back; and the checks that no single field can do.

    retry      another attempt at the same upstream, before the first byte of an answer has been passed on
    hedge      a second attempt beside the first one, where that is slow; whichever answers well first is passed on
    fallbacks  other upstreams of the same dialect, in order
    breaker    while most calls of an upstream fail, none is sent there but one at a time to see whether it is back
    keys       several provider keys, the least loaded one first
    stall      an answer that has begun, and comes too slowly or not at all any more

What may go wrong has a closed set of names, `Condition`; none but `unreachable` leads to another attempt unless the operator says so,
because SDKs try again by themselves.
"""

from __future__ import annotations

import typing
from collections.abc import Mapping
from typing import Literal

import msgspec

from proxy.document import Faults

Condition = Literal[
    "unreachable",  # the connection was refused, or its TLS handshake failed: nothing was sent
    "timeout",  # no connection, or no answer, in time
    "rate_limited",  # 429
    "overloaded",  # 503, 529
    "server_error",  # any other 5xx
    "cut",  # sent, and the connection ended before an answer, or with one that is no HTTP
    "startup_error",  # an error as the first event of a stream, or in the place of a stream
    "empty",  # status 200 without any output
    "truncated",  # status 200 with a body that broke off or is no whole JSON
    "invalid_json",  # JSON was asked for, and the output is none
    "invalid_tools",  # the arguments of a tool call begin as a JSON object and are none, or go against the tool's schema at a glance
]
CONDITIONS: tuple[str, ...] = typing.get_args(Condition)
# Found in the body of an answer, which is held back for it.
JUDGED = frozenset({"startup_error", "empty", "truncated", "invalid_json", "invalid_tools"})
EVERY_MODEL = "*"
READS = "read"
HedgedKind = Literal[
    "read",  # GET and HEAD
    "embeddings",
    "rerank",
    "moderation",
    "count_tokens",
    "chat",  # this one and those below make text, and cost twice
    "text_completion",
    "generate_content",
]


def name_condition(status: int) -> str | None:
    """What the status of an answer says went wrong, in a word of `Condition`."""
    if status == 429:
        return "rate_limited"
    if status < 500:
        return None
    return "overloaded" if status in (503, 529) else "server_error"


class _Section(msgspec.Struct, frozen=True):
    pass


class Retry(_Section):
    """Further attempts at the same upstream. Times in seconds."""

    attempts: int = 2  # the first one included
    when: list[Condition] = msgspec.field(default_factory=lambda: ["unreachable"])
    backoff_s: float = 0.5  # the most that is waited before the second attempt; doubled for each further one, and drawn from 0 to that
    most_backoff_s: float = 8.0  # where the provider asks for a longer wait, there is no other attempt
    within_s: float = 60.0  # no attempt begins later than this after the call came
    share: float = 0.1  # of the calls of the last minute may be further attempts …
    least: int = 3  # … or so many a minute, where that is more
    unknown_fate: bool = False  # also a POST that was sent and had no answer, which the provider may have carried out, and billed


class Fallback(_Section):
    """Another upstream of the same dialect."""

    upstream: str
    model: dict[str, str] = {}  # model asked → model there; `*` stands for every other one; default: the same name
    when: list[Condition] = msgspec.field(default_factory=lambda: ["unreachable", "timeout", "rate_limited", "overloaded", "server_error"])


class Hedge(_Section):
    """A second attempt that is made while the first one runs, for calls that do not stream."""

    after_s: float = 0.0  # without the head of an answer; 0: never
    share: float = 0.1  # of the calls of the last minute that could be hedged, at most …
    least: int = 1  # … or so many a minute, where that is more
    kinds: list[HedgedKind] = msgspec.field(default_factory=lambda: ["read", "embeddings", "rerank", "moderation", "count_tokens"])


class Breaker(_Section):
    """When an upstream, or one of its keys, is left alone. A failure is no connection, no answer, or a 5xx."""

    share: float = 0.0  # of the calls of the window that must fail; 0: never
    least_calls: int = 10  # in the window
    window_s: int = 30
    open_s: float = 10.0  # how long nobody is sent; doubled each time that the call sent to see finds it still failing …
    most_open_s: float = 120.0  # … up to this


class Stall(_Section):
    """When an answer is given up. 0: as `limits` says, and at any speed."""

    first_byte_s: float = 0.0  # without an answer's beginning
    idle_s: float = 0.0  # without a byte, in the middle
    tokens_per_s: float = 0.0  # fewer than this, over a whole window
    window_s: float = 10.0


class Routed(typing.Protocol):
    """What an upstream's section says of all this, and of what is checked with it."""

    dialect: typing.Any
    key: str
    keys: list[str]
    retry: Retry
    hedge: Hedge
    fallbacks: list[Fallback]
    breaker: Breaker
    stall: Stall


def check_routes(routes: Mapping[str, typing.Any], environment: Mapping[str, str], faults: Faults) -> None:
    """Add what is wrong with the routes of the upstreams to `faults`. A value that was at fault may be None."""
    for name, route in routes.items():
        path = f"upstreams.{name}"
        _check_numbers(path, route, faults)
        _check_keys(path, route, environment, faults)
        for index, fallback in enumerate(route.fallbacks):
            where = f"{path}.fallbacks[{index}].upstream"
            other = routes.get(fallback.upstream)
            if other is None:
                faults.add(where, f"names no configured upstream; known: {', '.join(routes)}")
            elif fallback.upstream == name:
                faults.add(where, "is the upstream itself; its own further attempts are set by `retry`")
            elif other.dialect != route.dialect:
                faults.add(where, f"speaks the dialect {other.dialect}, and {name} speaks {route.dialect}: answers are not translated")


def _check_numbers(path: str, route: Routed, faults: Faults) -> None:
    if route.retry.attempts < 1:
        faults.add(f"{path}.retry.attempts", "must be 1 (none but the first) or more")
    for section, name in (("retry", "share"), ("hedge", "share"), ("breaker", "share")):
        if not 0 <= getattr(getattr(route, section), name) <= 1:
            faults.add(f"{path}.{section}.{name}", "a share is 0 to 1")
    for name in ("backoff_s", "most_backoff_s", "within_s", "least"):
        if getattr(route.retry, name) < 0:
            faults.add(f"{path}.retry.{name}", "must be 0 or more")
    for name in ("after_s", "least"):
        if getattr(route.hedge, name) < 0:
            faults.add(f"{path}.hedge.{name}", "must be 0 or more")
    for name in ("least_calls", "window_s", "open_s", "most_open_s"):
        if getattr(route.breaker, name) <= 0:
            faults.add(f"{path}.breaker.{name}", "must be greater than 0")
    if route.breaker.window_s > 3600:
        faults.add(f"{path}.breaker.window_s", "an hour (3600) at most")
    for name in ("first_byte_s", "idle_s", "tokens_per_s"):
        if getattr(route.stall, name) < 0:
            faults.add(f"{path}.stall.{name}", "must be 0 (no bound of its own) or more")
    if route.stall.window_s < 1:
        faults.add(f"{path}.stall.window_s", "must be 1 or more")


def _check_keys(path: str, route: Routed, environment: Mapping[str, str], faults: Faults) -> None:
    if route.keys and route.key != "client":
        faults.add(f"{path}.keys", "stands beside `key`; name all keys here, and remove `key`")
    seen: set[str] = set()
    for index, key in enumerate(route.keys):
        where, variable = f"{path}.keys[{index}]", key[4:] if key and key.startswith("env:") else ""
        if not variable:
            faults.add(where, "expected `env:NAME`; a secret itself never stands in this file")
        elif variable in seen:
            faults.add(where, "stands in the list twice")
        elif not environment.get(variable):
            faults.add(where, f"the environment variable {variable} is not set")
        seen.add(variable)
