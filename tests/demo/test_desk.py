"""What the provider keeps of what it gets, within bounds."""

from __future__ import annotations

import hashlib
import http.client

import pytest
from aiohttp.test_utils import make_mocked_request

from proxy.demo.desk import Desk, record
from tests.demo.client import Client


def test_requests_are_kept_as_they_came(provider: Client) -> None:
    body = b'{"model":"m",  "messages":[{"role":"user","content":"\xc3\xa4"}]}'
    provider.ask("/v1/chat/completions?a=%2F&b", body, {"X-Odd-Name": "caf\xe9", "User-Agent": "me"})
    (kept,) = provider.received()
    assert (kept["method"], kept["path"], kept["body"]) == ("POST", "/v1/chat/completions?a=%2F&b", body)
    assert ["X-Odd-Name", "caf\xe9"] in kept["headers"] and kept["body_sha256"] == hashlib.sha256(body).hexdigest()


def test_reset_forgets(provider: Client) -> None:
    provider.ask("/v1/models")
    assert provider.state()["arrived"] == 1
    provider.reset()
    assert provider.state()["arrived"] == 0 and provider.received() == []


def test_the_bill_is_what_was_answered(provider: Client) -> None:
    chat = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Tell me of the sea."}], "n": 2}
    gemini = {"contents": [{"parts": [{"text": "Tell me of the sea."}]}]}
    asked = [
        provider.ask("/v1/chat/completions", chat).document["usage"],
        provider.ask("/v1/chat/completions", {**chat, "stream": True, "stream_options": {"include_usage": True}}).events[-1]["usage"],
    ]
    bill = provider.ask("/__demo/bill").document
    (owed,) = bill.values()
    assert (owed["calls"], owed["input_tokens"]) == (2, sum(each["prompt_tokens"] for each in asked))
    assert owed["output_tokens"] == sum(each["completion_tokens"] for each in asked)
    usage = provider.ask("/v1beta/models/gemini-2.5-flash:generateContent", gemini).document["usageMetadata"]
    message = {"model": "claude-haiku-4-5", "max_tokens": 50, "messages": chat["messages"]}
    counted = provider.ask("/v1/messages", message, {"anthropic-version": "2023-06-01"}).document["usage"]
    response = provider.ask("/v1/responses", {"model": "gpt-4.1", "input": "Tell me of the sea."}).document["usage"]
    provider.ask("/v1/chat/completions", {"model": "gpt-4o-mini"})  # a mistake costs nothing
    bill = provider.ask("/__demo/bill").document
    assert bill["gemini-2.5-flash"]["output_tokens"] == usage["totalTokenCount"] - usage["promptTokenCount"]
    assert [owed["output_tokens"] for name, owed in bill.items() if name.startswith("claude")] == [counted["output_tokens"]]
    assert [owed["input_tokens"] for name, owed in bill.items() if name.startswith("gpt-4.1")] == [response["input_tokens"]]
    assert sum(owed["calls"] for owed in bill.values()) == 5


def test_who_leaves_pays_for_what_was_sent(provider: Client) -> None:
    chat = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Tell me of the sea."}], "stream": True}
    with pytest.raises(http.client.IncompleteRead):
        provider.ask("/v1/chat/completions", chat, {"x-demo-fault": "cut"})
    (cut,) = provider.ask("/__demo/bill").document.values()
    provider.reset()
    provider.ask("/v1/chat/completions", chat)
    (whole,) = provider.ask("/__demo/bill").document.values()
    assert cut["input_tokens"] == whole["input_tokens"] and 0 < cut["output_tokens"] < whole["output_tokens"]


def test_what_is_kept_is_bounded() -> None:
    desk, request = Desk(), make_mocked_request("POST", "/")
    for _ in range(60):
        record(desk, request, bytes(1024 * 1024 + 5))
    assert desk.kept_bytes == sum(len(each.body_base64) for each in desk.received) <= 32 * 1024 * 1024
    assert desk.arrived == 60 and desk.received[0].body_bytes == 1024 * 1024 + 5
    for _ in range(3000):
        record(desk, request, b"")
    assert len(desk.received) == 1024 and desk.kept_bytes == 0


def test_the_shelf_is_bounded() -> None:
    desk = Desk()
    for number in range(700):
        desk.keep(str(number), number)
    assert len(desk.shelf) == 500 and "699" in desk.shelf and "0" not in desk.shelf


def test_nothing_is_kept_when_not_asked_for() -> None:
    desk = Desk(record=False)
    record(desk, make_mocked_request("POST", "/"), b"secret")
    assert not desk.received and desk.arrived == 1
