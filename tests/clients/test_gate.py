"""What SDKs make of a gate, with their defaults: an approved answer is theirs, a rejection and the end of the wait are one attempt and say why."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.clients.stage import Stage
from tests.clients.test_terminal import CLIENTS, ask


@pytest.mark.parametrize("client", CLIENTS)
def test_what_is_held_is_theirs_when_it_is_approved_and_a_terminal_refusal_else(client: str, stage: Stage, tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as thread:
        stage.begin()
        asking = thread.submit(ask, client, stage, f"held-yes-{client}", tmp_path)
        held = stage.rule(f"held-yes-{client}", "approved")
        assert asking.result()["text"] == held.text and "rivers" in held.request
        asking = thread.submit(ask, client, stage, f"held-no-{client}", tmp_path)
        stage.rule(f"held-no-{client}", "rejected", "too harsh")
        told = asking.result()
        assert told["error"] == CLIENTS[client][1] and "too harsh" in told["message"], told
        told = ask(client, stage, f"unread-{client}", tmp_path)
        assert told["error"] == CLIENTS[client][1] and "Nobody has reviewed this answer within 1 s" in told["message"], told
    assert [record["outcome"] for record in stage.records(3)] == ["ok", "policy_review_rejected", "policy_review_timeout"]
