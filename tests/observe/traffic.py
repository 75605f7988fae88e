"""A Weighbridge with all that the metrics tell of: several upstreams, budgets, limits and agents, and the calls that bring every series about."""

from __future__ import annotations

import contextlib
import http.client
import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.test_supervise import Bridge

SILENT = "quiet"
CHAT = "/v1/chat/completions"
_AT_ONCE = 4


@contextlib.contextmanager
def run_provider() -> Iterator[str]:
    """The address of a simulated provider."""
    process = subprocess.Popen([sys.executable, "-m", "proxy.demo.provider"], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def settings(provider: str) -> dict[str, Any]:
    """The config of it. The keys of `keyed` are taken from the environment."""
    asked_again = {"attempts": 3, "when": ["overloaded", "server_error"], "backoff_s": 0.01, "share": 0.01, "least": 3}
    return {
        "upstreams": {
            "steady": {"url": provider},
            "shaky": {"url": provider, "retry": asked_again, "breaker": {"share": 0.5, "least_calls": 5}, "fallbacks": [{"upstream": "steady"}]},
            "hedged": {"url": provider, "hedge": {"after_s": 0.02, "share": 1.0, "least": 100, "kinds": ["chat"]}},
            "keyed": {"url": provider, "keys": ["env:OBSERVED_KEY_1", "env:OBSERVED_KEY_2"]},
        },
        "identity": {"teams": {"reader": "core"}},
        "budgets": [
            {"name": "all", "usd": 5, "tokens": 10_000_000, "calls": 100_000, "per": "30m", "mode": "observe"},
            {"name": "small", "calls": 2, "match": {"agent": "poor"}},
        ],
        "rate_limits": [{"name": "one-by-one", "match": {"agent": "queued"}, "concurrent": 1, "queue": {"length": 10, "wait_s": 10}}],
        # One that judges nothing, a collector that is none, and a receiver that takes nothing: what fails has series, too.
        "evaluators": {"own": [{"name": "broken", "path": "json:loads"}]},
        "otlp": {"endpoint": provider, "protocol": "http"},
        "notify": {"channels": [{"name": "ops", "kind": "webhook", "url": f"{provider}/hook"}], "every_s": 1.0},
        "fleet": {"silence": {SILENT: 1, "*": 900}},
    }


def list_calls() -> list[tuple[str, str, str, dict[str, Any]]]:
    """(agent, upstream, fault, what is asked beyond a usual call) of one round of traffic."""
    calls: list[tuple[str, str, str, dict[str, Any]]] = []
    for streamed in (False, True):
        calls += [("reader", "steady", "", {"stream": streamed})] * 3
    calls += [("reader", "steady", "", {"stream": True, "stream_options": {"include_usage": True}})] * 2
    calls += [("writer", "steady", fault, {}) for fault in ("status-400", "status-500", "no-usage", "cut", "empty")]
    calls += [("writer", "steady", "", {"model": "of-no-price"})]
    calls += [("retrier", "shaky", "status-529", {})] * 4 + [("retrier", "hedged", "", {}), ("retrier", "hedged", "slow", {})]
    calls += [("keeper", "keyed", fault, {}) for fault in ("", "status-429")]
    calls += [("poor", "steady", "", {})] * 3 + [("queued", "steady", "slow", {})] * 3
    calls += [("lost", "nowhere", "", {})]
    return calls


def make_call(bridge: Bridge, agent: str, upstream: str, fault: str, more: dict[str, Any]) -> None:
    headers = {"Content-Type": "application/json", "x-demo-chunk-delay-ms": "1", "Authorization": "Bearer sk-observed-0123456789abcdef"}
    if upstream == "keyed":
        del headers["Authorization"]
    if fault == "slow":
        headers["x-demo-first-byte-delay-ms"] = "150"
    elif fault:
        headers["x-demo-fault"] = fault
    body = {"model": "gpt-4o-mini", "max_tokens": 20, "messages": [{"role": "user", "content": "Say hello."}], **more}
    request = urllib.request.Request(f"{bridge.base}/a/{agent}/t/{agent}-task/{upstream}{CHAT}", json.dumps(body).encode(), headers)
    # What was refused or cut is what was asked for.
    with contextlib.suppress(OSError, http.client.HTTPException), urllib.request.urlopen(request, timeout=20) as response:
        response.read()


def make_round(bridge: Bridge) -> None:
    """One round of all calls, a few at once."""
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        list(threads.map(lambda call: make_call(bridge, *call), list_calls()))
