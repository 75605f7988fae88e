"""Faults by header, by query and by the end of a model's name; and what each does on the wire."""

from __future__ import annotations

import http.client

import pytest
from aiohttp.test_utils import make_mocked_request

from proxy.demo.faults import Fault, read_fault, split_model
from tests.demo.client import Client

CHAT = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Which invoices are overdue?"}]}


@pytest.mark.parametrize(
    ("model", "parts"),
    [
        ("gpt-4o-mini", ("gpt-4o-mini", "")),
        ("gpt-4o-mini-cut", ("gpt-4o-mini", "cut")),
        ("status-429", ("status-429", "status-429")),
        ("a-status-503", ("a", "status-503")),
        ("a-status-200", ("a-status-200", "")),
        ("uncut", ("uncut", "")),
        ("a-slow-first-byte", ("a", "slow-first-byte")),
    ],
)
def test_a_model_name_may_end_with_a_fault(model: str, parts: tuple[str, str]) -> None:
    assert split_model(model) == parts


def test_the_header_wins_over_the_query_and_both_over_the_model() -> None:
    request = make_mocked_request("POST", "/?demo-fault=empty&demo-chunk-delay-ms=7", headers={"x-demo-fault": "stall", "x-demo-fault-after": "9"})
    assert read_fault(request, "m-cut") == Fault("stall", 9, 7.0)
    assert read_fault(make_mocked_request("POST", "/?demo-fault=empty"), "m-cut").name == "empty"
    assert read_fault(make_mocked_request("POST", "/", headers={"x-demo-fault": "nonsense"}), "m-cut").name == "cut"


def test_numbers_that_are_none_are_ignored() -> None:
    request = make_mocked_request("POST", "/", headers={"x-demo-chunk-delay-ms": "-1", "x-demo-fault-after": "many"})
    assert read_fault(request, "m") == Fault()


def test_slow_first_byte_waits() -> None:
    assert read_fault(make_mocked_request("POST", "/"), "m-slow-first-byte").first_byte_delay_ms == 2000


@pytest.mark.parametrize("stream", [False, True])
def test_cut_never_ends_cleanly(provider: Client, stream: bool) -> None:
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        provider.ask("/v1/chat/completions", {**CHAT, "stream": stream}, {"x-demo-fault": "cut"})


def test_hold_sends_the_beginning_and_waits_for_release(provider: Client) -> None:
    headers = {"x-demo-fault": "hold", "x-demo-fault-after": "1", "x-demo-chunk-delay-ms": "0"}
    response = provider.open("/v1/chat/completions", {**CHAT, "stream": True}, headers)
    assert b'"role":"assistant"' in response.readline()
    assert [provider.state()["running"] for _ in range(40)] == [1] * 40  # in this many turns the whole stream would have been sent
    assert provider.ask("/__demo/release", b"").status == 204
    assert response.read().endswith(b"data: [DONE]\n\n")


def test_a_client_that_leaves_is_noticed_while_the_answer_stalls(provider: Client) -> None:
    response = provider.open("/v1/chat/completions", {**CHAT, "stream": True}, {"x-demo-fault": "stall"})
    assert response.readline() and provider.state()["running"] == 1
    response.close()
    while provider.state()["running"]:
        pass
    assert provider.state()["left"] == 1


def test_garbage_is_no_json(provider: Client) -> None:
    answer = provider.ask("/v1/chat/completions", CHAT, {"x-demo-fault": "garbage"})
    with pytest.raises(ValueError):
        _ = answer.document
    assert answer.status == 200
