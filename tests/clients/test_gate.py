"""What SDKs make of a gate, with their defaults: an approved answer is theirs, a rejection and the end of the wait are one attempt and say why."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from tests.clients.plain import Plain
from tests.clients.stage import Stage


def test_what_is_held_is_theirs_when_it_is_approved_and_a_terminal_refusal_else(plain: Plain, stage: Stage) -> None:
    with ThreadPoolExecutor(1) as thread:
        stage.begin()
        asking = thread.submit(plain.ask, f"held-yes-{plain.name}")
        held = stage.rule(f"held-yes-{plain.name}", "approved")
        assert asking.result()["text"] == held.text and "rivers" in held.request
        asking = thread.submit(plain.ask, f"held-no-{plain.name}")
        stage.rule(f"held-no-{plain.name}", "rejected", "too harsh")
        told = asking.result()
        assert told["error"] == plain.errors[1] and "too harsh" in told["message"], told
        told = plain.ask(f"unread-{plain.name}")
        assert told["error"] == plain.errors[1] and "Nobody has reviewed this answer within 1 s" in told["message"], told
    assert [record["outcome"] for record in stage.records(3)] == ["ok", "policy_review_rejected", "policy_review_timeout"]
