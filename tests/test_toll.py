"""Budgets hold, measured at the provider: what it bills against what was allowed, under concurrency, hang-ups and kills."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import random
import re
import signal
import threading
import time
import urllib.request
from pathlib import Path

import aiohttp
import pytest

from tests.test_supervise import Bridge, serve, wait_until

# Prices of our own, so that a bill is simple arithmetic: US dollars per million tokens, whatever the model.
INPUT_USD, OUTPUT_USD = 2.0, 10.0
MODELS = (
    "gpt-4o-mini", "gpt-4o-mini-2024-07-18", "gpt-4.1", "gpt-4.1-2025-04-14", "claude-haiku-4-5", "claude-haiku-4-5-20251001", "gemini-2.5-flash",
)  # fmt: skip
PRICES = [{"model": model, "input": INPUT_USD, "output": OUTPUT_USD} for model in MODELS]
TEXT = "Tell me a story of the sea, of ships and of those who wait at home."
MOST = 120  # output tokens asked


def make_call(number: int) -> tuple[str, dict, bool]:
    """(path, body, whether it streams) of one of a mix of calls over four dialects."""
    messages = [{"role": "user", "content": f"{TEXT} ({number})"}]
    stream = number % 8 >= 4
    if number % 4 == 0:
        return "/v1/chat/completions", {"model": "gpt-4o-mini", "max_tokens": MOST, "messages": messages, "stream": stream}, stream
    if number % 4 == 1:
        return "/v1/responses", {"model": "gpt-4.1", "max_output_tokens": MOST, "input": messages[0]["content"], "stream": stream}, stream
    if number % 4 == 2:
        return "/v1/messages", {"model": "claude-haiku-4-5", "max_tokens": MOST, "messages": messages, "stream": stream}, stream
    method = "streamGenerateContent?alt=sse" if stream else "generateContent"
    body = {"contents": [{"role": "user", "parts": [{"text": messages[0]["content"]}]}], "generationConfig": {"maxOutputTokens": MOST}}
    return f"/v1beta/models/gemini-2.5-flash:{method}", body, stream


def bill_of(bridge: Bridge) -> int:
    """What the provider wants, in nano-USD."""
    with urllib.request.urlopen(bridge.base + "/demo/__demo/bill", timeout=10) as response:
        bill = json.load(response)
    return sum(round(owed["input_tokens"] * INPUT_USD * 1000 + owed["output_tokens"] * OUTPUT_USD * 1000) for owed in bill.values())


async def drive(
    bridge: Bridge, calls: int, at_once: int, leaving: float = 0.0, stop: threading.Event | None = None, whole: list[str] | None = None
) -> dict[int, int]:
    """Make so many calls, or until told to stop; how many ended with which status.

    `leaving`: the share of callers that hang up in the middle of a stream. `whole` takes the ids of the calls whose answers came whole.
    """
    dice = random.Random(7)
    numbers = itertools.count()
    statuses: dict[int, int] = {}

    async def work(session: aiohttp.ClientSession) -> None:
        while (number := next(numbers)) < calls and not (stop is not None and stop.is_set()):
            path, body, stream = make_call(number)
            headers = {"anthropic-version": "2023-06-01", "x-demo-chunk-delay-ms": "1"}
            leaves = stream and dice.random() < leaving
            with contextlib.suppress(aiohttp.ClientError):
                url = f"{bridge.base}/a/agent-{number % 10}/t/task-{number % 50}/demo{path}"
                async with session.post(url, json=body, headers=headers) as response:
                    statuses[response.status] = statuses.get(response.status, 0) + 1
                    if leaves:
                        await response.content.readany()
                        response.close()
                    else:
                        await response.read()
                        if whole is not None:
                            whole.append(response.headers["x-weighbridge-call"])

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=120)) as session:
        await asyncio.gather(*(work(session) for _ in range(at_once)))
    return statuses


def budgets_of(bridge: Bridge) -> list[dict]:
    return bridge.look("/api/budgets")["rows"]


def wait_for_rest(bridge: Bridge) -> list[dict]:
    """The budgets, once nothing is reserved any more: within a second of the last call, and the moment that the journal takes to be read."""
    deadline = time.monotonic() + 5.0
    while True:
        rows = budgets_of(bridge)
        if not any(row["reserved_amount"] for row in rows):
            return rows
        assert time.monotonic() < deadline, f"something stays reserved: {rows}"
        time.sleep(0.05)


def worth_of(calls: int) -> float:
    """US dollars that so many of the calls cost at most, by a prompt of 25 tokens and the maximum of output."""
    return calls * (25 * INPUT_USD + MOST * OUTPUT_USD) / 1e6


def spent_of(rows: list[dict], budget: str) -> int:
    return next(row["spent_amount"] for row in rows if row["budget"] == budget)


def count_overshoot(bridge: Bridge) -> int:
    """Sum of max(0, actual - reserved) over all calls, in nano-USD: what `enforce` may go over its limit."""
    return sum(max(0, (call.get("cost_nano_usd") or 0) - call["reserved_nano_usd"]) for call in bridge.journal("call") if "reserved_nano_usd" in call)


@pytest.mark.parametrize("mode", ["enforce", "strict"])
def test_a_thousand_calls_at_once_against_a_budget_worth_a_hundred(tmp_path: Path, mode: str) -> None:
    limit_usd = worth_of(100)
    budgets = [{"name": "all", "usd": limit_usd, "mode": mode}, {"name": "agents", "each": ["agent"], "usd": limit_usd}]
    with serve(tmp_path, prices=PRICES, budgets=budgets) as bridge:
        statuses = asyncio.run(drive(bridge, 1000, 250, leaving=0.2))
        rows = wait_for_rest(bridge)
        billed, limit = bill_of(bridge), round(limit_usd * 1e9)
        calls = bridge.wait_for_calls(1000)
        over = count_overshoot(bridge)
    assert statuses[200] >= 60 and statuses.get(402, 0) + statuses.get(429, 0) >= 500
    assert set(statuses) <= {200, 402, 429}
    assert billed <= limit + (over if mode == "enforce" else 0)
    assert spent_of(rows, "all") == sum(call["cost_nano_usd"] or 0 for call in calls)


def test_small_calls_one_after_the_other_use_the_budget_up(tmp_path: Path) -> None:
    limit_usd = worth_of(100)
    with serve(tmp_path, prices=PRICES, budgets=[{"name": "all", "usd": limit_usd}]) as bridge:
        for _ in range(400):
            statuses = asyncio.run(drive(bridge, 1, 1))
            if statuses != {200: 1}:
                break
        rows = wait_for_rest(bridge)
        billed = bill_of(bridge)
    assert statuses == {402: 1}
    assert billed == spent_of(rows, "all")
    assert 0.99 * limit_usd * 1e9 <= billed <= limit_usd * 1e9


@pytest.mark.parametrize(("mode", "kills", "seed"), [("enforce", 30, 3), ("enforce", 30, 4), ("strict", 20, 5), ("strict", 20, 6)])
def test_budgets_hold_over_a_hundred_kills_of_the_data_plane(tmp_path: Path, mode: str, kills: int, seed: int) -> None:
    limit_usd = worth_of(4000)
    with serve(tmp_path, prices=PRICES, budgets=[{"name": "all", "usd": limit_usd, "mode": mode}]) as bridge:
        stop = threading.Event()
        whole: list[str] = []
        load = threading.Thread(target=lambda: asyncio.run(drive(bridge, 100_000, 8, leaving=0.1, stop=stop, whole=whole)))
        load.start()
        dice = random.Random(seed)
        killed: set[int] = set()
        while len(killed) < kills:
            plane = bridge.child("proxy.dataplane.plane", killed)
            before = len(bridge.journal("opened"))
            wait_until(lambda before=before: len(bridge.journal("opened")) > before)
            time.sleep(dice.random() * 0.05)
            os.kill(plane, signal.SIGKILL)
            killed.add(plane)
        stop.set()
        load.join()
        asyncio.run(drive(bridge, 8, 1))  # it works again
        rows = wait_for_rest(bridge)
        opened = {call["id"] for call in bridge.journal("opened")}
        wait_until(lambda: opened <= {call["id"] for call in bridge.look("/api/calls?last=100000")["rows"]})
        calls, journal = bridge.look("/api/calls?last=100000")["rows"], bridge.journal_calls()
        billed, over, spent = bill_of(bridge), count_overshoot(bridge), spent_of(rows, "all")
        ends = re.findall(r"the data plane ended with status (\S+);", (tmp_path / "log").read_text())
    assert set(ends) == {"-9"} and len(ends) == kills, "it ended otherwise than by our hand"
    assert len(journal) == len(set(journal)) and set(whole) <= set(journal), "an answer that came whole has its record, and one only"
    assert sorted(call["id"] for call in calls if call["outcome"] != "weighbridge_crashed") == sorted(journal)
    assert any(call["outcome"] == "weighbridge_crashed" for call in calls), "no call was running when its data plane was killed"
    assert billed <= spent + over and spent <= limit_usd * 1e9 + over
    assert spent == sum(call["cost_nano_usd"] or 0 for call in calls)
