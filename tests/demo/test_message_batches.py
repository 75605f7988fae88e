"""Message Batches: made, ended, read."""

from __future__ import annotations

import json

from tests.demo.client import Client

PATH = "/v1/messages/batches"
GOOD = {"model": "claude-haiku-4-5", "max_tokens": 50, "messages": [{"role": "user", "content": "hi"}]}


def test_a_batch_from_beginning_to_end(provider: Client) -> None:
    made = provider.ask(PATH, {"requests": [{"custom_id": "a", "params": GOOD}, {"custom_id": "b", "params": {"model": "m"}}]}).document
    assert made["processing_status"] == "in_progress" and made["request_counts"]["processing"] == 2
    ended = provider.ask(f"{PATH}/{made['id']}").document
    assert ended["processing_status"] == "ended" and (ended["request_counts"]["succeeded"], ended["request_counts"]["errored"]) == (1, 1)
    results = provider.ask(ended["results_url"].removeprefix(provider.url))
    first, second = map(json.loads, results.body.splitlines())
    assert first["custom_id"] == "a" and first["result"]["message"]["usage"]["service_tier"] == "batch"
    assert second["result"]["type"] == "errored" and results.headers["content-type"] == "application/x-jsonl"
    assert [batch["id"] for batch in provider.ask(PATH).document["data"]] == [made["id"]]
    assert provider.ask(f"{PATH}/{made['id']}/cancel", b"").document["id"] == made["id"]


def test_what_is_not_there(provider: Client) -> None:
    assert provider.ask(f"{PATH}/msgbatch_x").status == 404 and provider.ask(PATH, {"requests": []}).status == 400
