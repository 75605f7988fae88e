"""Messages: whole and streamed say the same, and errors have Anthropic's shape."""

from __future__ import annotations

import json

import pytest

from tests.demo.client import Client

PATH = "/v1/messages"
TOOL = {"name": "get_weather", "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}}}


def ask(last: str = "Which invoices are overdue?", **fields: object) -> dict:
    return {"model": "claude-sonnet-4-5", "max_tokens": 500, "messages": [{"role": "user", "content": last}], **fields}


@pytest.mark.parametrize(
    "fields",
    [{}, {"tools": [TOOL], "messages": [{"role": "user", "content": "use get_weather"}]}, {"thinking": {"type": "enabled"}}, {"max_tokens": 4}],
)
def test_the_stream_says_what_the_whole_answer_says(provider: Client, fields: dict) -> None:
    headers = {"x-demo-seed": "1"}
    whole = provider.ask(PATH, ask(**fields), headers).document
    stream = provider.ask(PATH, ask(**fields, stream=True), headers)
    events = stream.events
    blocks = [dict(event["content_block"], pieces="") for event in events if event["type"] == "content_block_start"]
    for event in events:
        if event["type"] == "content_block_delta" and event["delta"]["type"] != "signature_delta":
            delta = event["delta"]
            blocks[event["index"]]["pieces"] += delta.get("text", "") + delta.get("thinking", "") + delta.get("partial_json", "")
    assert len(blocks) == len(whole["content"])
    for block, said in zip(blocks, whole["content"], strict=True):
        assert (json.loads(block["pieces"]) == said["input"]) if said["type"] == "tool_use" else (block["pieces"] == said.get(said["type"]))
    start, end = events[0]["message"], events[-2]
    assert start["usage"]["output_tokens"] == 1 and start["stop_reason"] is None and start["model"] == "claude-sonnet-4-5-20250929"
    assert end["delta"]["stop_reason"] == whole["stop_reason"] and end["usage"].items() <= whole["usage"].items()
    assert events[-1]["type"] == "message_stop" and b'event: ping\ndata: {"type": "ping"}\n\n' in stream.body and b" }\n\n" in stream.body


def test_caches_are_written_first_and_read_later(provider: Client) -> None:
    system = [{"type": "text", "text": "rules " * 100, "cache_control": {"type": "ephemeral", "ttl": "1h"}}]
    first = provider.ask(PATH, ask(system=system)).document["usage"]
    assert first["cache_creation_input_tokens"] == first["cache_creation"]["ephemeral_1h_input_tokens"] > 0 == first["cache_read_input_tokens"]
    later = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}]
    second = provider.ask(PATH, ask(system=system, messages=later)).document["usage"]
    assert second["cache_read_input_tokens"] > 0 == second["cache_creation_input_tokens"]


def test_tokens_are_counted_as_they_are_billed(provider: Client) -> None:
    counted = provider.ask("/v1/messages/count_tokens", {"model": "m", "messages": ask()["messages"]}).document["input_tokens"]
    assert counted == provider.ask(PATH, ask()).document["usage"]["input_tokens"]


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "invalid_request_error"),
        (401, "authentication_error"),
        (402, "billing_error"),
        (403, "permission_error"),
        (404, "not_found_error"),
        (429, "rate_limit_error"),
        (500, "api_error"),
        (529, "overloaded_error"),
    ],
)
def test_errors_have_the_providers_shape(provider: Client, status: int, kind: str) -> None:
    answer = provider.ask(PATH, ask(model=f"claude-status-{status}"))
    assert answer.status == status and answer.document["type"] == "error" and answer.document["error"]["type"] == kind
    assert answer.headers["request-id"] == answer.document["request_id"] and ("retry-after" in answer.headers) == (status == 429)
    assert answer.headers["x-should-retry"] == ("true" if status == 429 or status >= 500 else "false")


@pytest.mark.parametrize("missing", ["model", "messages", "max_tokens"])
def test_missing_fields_are_named(provider: Client, missing: str) -> None:
    document = ask()
    del document[missing]
    answer = provider.ask(PATH, document)
    assert answer.status == 400 and answer.document["error"]["message"] == f"{missing}: Field required"


def test_an_error_in_the_stream_is_an_event(provider: Client) -> None:
    stream = provider.ask(PATH, ask(stream=True), {"x-demo-fault": "error-in-stream"})
    assert b"event: error\n" in stream.body and stream.events[-1]["error"]["type"] == "overloaded_error"


def test_faults_of_the_answer(provider: Client) -> None:
    assert provider.ask(PATH, ask(), {"x-demo-fault": "empty"}).document["content"] == [{"type": "text", "text": ""}]
    assert "usage" not in provider.ask(PATH, ask(), {"x-demo-fault": "no-usage"}).document
    assert not any("usage" in event for event in provider.ask(PATH, ask(stream=True), {"x-demo-fault": "no-usage"}).events)


def test_models_are_listed_for_its_own_clients(provider: Client) -> None:
    headers = {"anthropic-version": "2023-06-01"}
    assert provider.ask("/v1/models", headers=headers).document["data"][0]["type"] == "model"
    assert provider.ask("/v1/models/claude-opus-4-5", headers=headers).document["id"] == "claude-opus-4-5-20251101"
