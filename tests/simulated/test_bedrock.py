"""Bedrock's own answers: caches, model ids in the path, counts in headers, and its exceptions."""

from __future__ import annotations

import base64
import json

import pytest
from botocore.eventstream import EventStreamBuffer

from tests.demo.client import Client

ASKED = {"messages": [{"role": "user", "content": [{"text": "Which invoices?"}]}]}


def test_a_model_id_may_hold_anything(provider: Client) -> None:
    arn = "arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Ainference-profile%2Fmi1"
    assert provider.ask(f"/model/{arn}/converse", ASKED).document["stopReason"] == "end_turn"
    assert provider.received()[-1]["path"] == f"/model/{arn}/converse"


def test_caches_stand_beside_the_input(provider: Client) -> None:
    cached = {**ASKED, "system": [{"text": "rules " * 50}, {"cachePoint": {"type": "default"}}]}
    usage = provider.ask("/model/m/converse", cached).document["usage"]
    assert usage["cacheReadInputTokens"] > usage["inputTokens"] > 0
    assert usage["totalTokens"] == usage["inputTokens"] + usage["cacheReadInputTokens"] + usage["outputTokens"]


def test_invoke_counts_in_headers(provider: Client) -> None:
    asked = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 50, "messages": [{"role": "user", "content": "hi"}]}
    answer = provider.ask("/model/anthropic.claude-haiku-4-5/invoke", asked)
    assert answer.headers["x-amzn-bedrock-output-token-count"] == str(answer.document["usage"]["output_tokens"])
    assert provider.ask("/model/anthropic.claude-haiku-4-5/invoke", {"messages": []}).status == 400
    assert len(provider.ask("/model/amazon.titan-embed-text-v2%3A0/invoke", {"inputText": "a"}).document["embedding"]) == 256


def test_an_invoked_stream_ends_with_its_metrics(provider: Client) -> None:
    asked = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 50, "messages": [{"role": "user", "content": "hi"}]}
    buffer = EventStreamBuffer()
    buffer.add_data(provider.ask("/model/anthropic.claude-haiku-4-5/invoke-with-response-stream", asked).body)
    *_, last = (json.loads(base64.b64decode(json.loads(message.payload)["bytes"])) for message in buffer)
    assert last["type"] == "message_stop" and last["amazon-bedrock-invocationMetrics"]["outputTokenCount"] > 0


@pytest.mark.parametrize(("status", "kind"), [(400, "ValidationException"), (403, "AccessDeniedException"), (429, "ThrottlingException")])
def test_exceptions_are_named_in_a_header(provider: Client, status: int, kind: str) -> None:
    answer = provider.ask(f"/model/m-status-{status}/converse", ASKED)
    assert (answer.status, answer.headers["x-amzn-errortype"]) == (status, kind) and answer.document["message"]


def test_tokens_are_counted_for_both_kinds(provider: Client) -> None:
    invoked = {"invokeModel": {"body": base64.b64encode(json.dumps(ASKED).encode()).decode()}}
    counts = [provider.ask("/model/m/count-tokens", {"input": given}).document["inputTokens"] for given in ({"converse": ASKED}, invoked)]
    assert counts[0] == counts[1] > 0
