"""The refusals: one name, one status, and a body that each dialect's SDKs can read."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from proxy import errors
from proxy.errors import ENDINGS, OUTCOMES, STATUSES, Refusal, body
from proxy.upstream import DIALECTS
from tests.cases import holds_for

MESSAGE_AT = {
    "openai": ("error", "message"),
    "anthropic": ("error", "message"),
    "gemini": ("error", "message"),
    "bedrock": ("message",),
    "cohere": ("message",),
    "ollama": ("error",),
}


@holds_for({f"{name} {dialect}": (name, dialect) for name in STATUSES for dialect in DIALECTS})
def test_every_refusal_is_readable_in_every_dialect(name: str, dialect: str) -> None:
    payload, headers = body(Refusal(name, "Say \u201cplease\u201d."), dialect, "call-1")
    shape = json.loads(payload)
    found = shape
    for step in MESSAGE_AT[dialect]:
        found = found[step]
    assert found == "Say \u201cplease\u201d."
    assert name in payload.decode()
    named = dict(headers)
    assert named["x-weighbridge-error"] == name
    assert named["x-weighbridge-call"] == "call-1"
    assert named["Content-Type"] == "application/json"


@holds_for({name: (name,) for name in STATUSES})
def test_only_what_waiting_may_help_is_worth_a_retry(name: str) -> None:
    refusal = Refusal(name, "m")
    assert refusal.status == STATUSES[name]
    assert refusal.retryable == (STATUSES[name] >= 500 or STATUSES[name] == 429)
    _, headers = body(refusal, "openai", "c")
    assert (("x-should-retry", "false") in headers) == (not refusal.retryable)


def test_the_dialects_own_words() -> None:
    refusal = Refusal("policy_no_upstream_key", "m")
    assert json.loads(body(refusal, "anthropic", "c")[0])["error"]["type"] == "permission_error"
    google = json.loads(body(refusal, "gemini", "c")[0])["error"]
    assert (google["code"], google["status"]) == (403, "PERMISSION_DENIED")
    assert dict(body(refusal, "bedrock", "c")[1])["x-amzn-ErrorType"] == "AccessDeniedException"
    openai = json.loads(body(refusal, "openai", "c")[0])
    assert openai["error"] == {"message": "m", "type": "permission_error", "param": None, "code": "policy_no_upstream_key"}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_details_are_there_for_programs_and_a_wait_is_whole_seconds(dialect: str) -> None:
    refusal = Refusal("policy_budget_busy", "m", {"budget": "company", "limit": 5.0}, retry_after_s=0.2)
    payload, headers = body(refusal, dialect, "c")
    assert ("Retry-After", "1") in headers
    shape = json.loads(payload)
    facts = shape["error"]["details"][0]["metadata"] if dialect == "gemini" else shape.get("weighbridge") or shape["error"]["weighbridge"]
    assert facts == {"budget": "company", "limit": "5.0" if dialect == "gemini" else 5.0}


def test_every_name_is_given_somewhere() -> None:
    others = [path for path in Path(errors.__file__).parent.rglob("*.py") if path.name not in ("errors.py", "call.py")]
    quoted = {name for path in others for name in re.findall(r"[\"'](\w+)[\"']", path.read_text(encoding="utf-8"))}
    assert quoted >= OUTCOMES, OUTCOMES - quoted


def test_names_tell_whose_fault_it_is() -> None:
    assert {name.split("_")[0] for name in STATUSES} == {"caller", "policy", "upstream", "weighbridge"}
    assert set(STATUSES) | set(ENDINGS) == OUTCOMES
    assert not set(STATUSES) & set(ENDINGS)


def test_the_tree_drawn_at_the_top_is_the_tree() -> None:
    drawn = dict(re.findall(r"[├└]── ([a-z_]+[a-z])\s+(\d{3}) ", errors.__doc__))
    assert {name: int(status) for name, status in drawn.items()} == STATUSES
    assert all(f"`{ending}`" in errors.__doc__ for ending in ENDINGS)


def test_an_unknown_name_cannot_be_raised() -> None:
    with pytest.raises(KeyError):
        Refusal("caller_made_up", "m")
