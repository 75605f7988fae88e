"""Files and batches: up, run, down."""

from __future__ import annotations

import json

from tests.demo.client import Client
from tests.simulated.test_media import form

GOOD = {"custom_id": "a", "body": {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}]}}
BAD = {"custom_id": "b", "body": {}}


def test_a_batch_from_beginning_to_end(provider: Client) -> None:
    lines = "\n".join(map(json.dumps, (GOOD, BAD))).encode()
    body, headers = form(("purpose", "", b"batch"), ("file", "in.jsonl", lines))
    file = provider.ask("/v1/files", body, headers).document
    assert file["bytes"] == len(lines) and provider.ask(f"/v1/files/{file['id']}/content").body == lines
    asked = {"input_file_id": file["id"], "endpoint": "/v1/chat/completions", "completion_window": "24h"}
    made = provider.ask("/v1/batches", asked).document
    done = provider.ask(f"/v1/batches/{made['id']}").document
    assert (made["status"], done["status"]) == ("validating", "completed") and done["request_counts"] == {"total": 2, "completed": 1, "failed": 1}
    first, second = map(json.loads, provider.ask(f"/v1/files/{done['output_file_id']}/content").body.splitlines())
    assert first["response"]["body"]["usage"]["total_tokens"] == done["usage"]["total_tokens"] and second["response"]["status_code"] == 400
    assert provider.ask(f"/v1/files/{file['id']}", method="DELETE").document["deleted"] and provider.ask(f"/v1/files/{file['id']}").status == 404


def test_a_batch_needs_its_file(provider: Client) -> None:
    assert provider.ask("/v1/batches", {"input_file_id": "file-x", "endpoint": "e", "completion_window": "24h"}).status == 404
