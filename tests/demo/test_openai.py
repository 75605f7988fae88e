"""OpenAI's errors, headers, snapshots and tool choices."""

from __future__ import annotations

import pytest

from proxy.demo.openai import answered_model, last_text, read_choice, read_tool, reasons
from proxy.demo.turn import Tool, Turn
from tests.demo.client import Client

CHAT = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello"}]}


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (400, "invalid_request_error", None),
        (401, "invalid_request_error", "invalid_api_key"),
        (402, "insufficient_quota", "insufficient_quota"),
        (404, "invalid_request_error", "model_not_found"),
        (429, "requests", "rate_limit_exceeded"),
        (500, "server_error", None),
        (503, "server_error", None),
        (529, "server_error", None),
    ],
)
def test_errors_have_the_providers_shape(provider: Client, status: int, kind: str, code: str | None) -> None:
    answer = provider.ask("/v1/chat/completions", CHAT, {"x-demo-fault": f"status-{status}"})
    error = answer.document["error"]
    assert (answer.status, error["type"], error["code"], list(error)) == (status, kind, code, ["message", "type", "param", "code"])
    assert ("retry-after" in answer.headers) == (status == 429) and answer.headers["x-request-id"].startswith("req_")


def test_a_refused_model_is_named_without_its_fault(provider: Client) -> None:
    message = provider.ask("/v1/chat/completions", {**CHAT, "model": "gpt-4o-status-404"}).document["error"]["message"]
    assert message == "The model `gpt-4o` does not exist or you do not have access to it."


def test_answers_carry_the_limits_of_the_account(provider: Client) -> None:
    headers = provider.ask("/v1/chat/completions", CHAT).headers
    assert headers["x-ratelimit-limit-requests"] == "500" and headers["x-ratelimit-remaining-requests"] == "499"
    assert headers["x-ratelimit-reset-tokens"].endswith("ms") and headers["openai-version"] == "2020-10-01"


def test_aliases_are_answered_by_their_snapshot() -> None:
    assert answered_model("gpt-4o-mini") == answered_model("gpt-4o-mini-cut") == "gpt-4o-mini-2024-07-18"
    assert answered_model("my-own") == "my-own"


def test_which_models_reason() -> None:
    assert reasons("gpt-5-mini", None) and reasons("o3", "low") and not reasons("gpt-4o", None) and not reasons("gpt-5", "none")


def test_the_last_text_of_a_message() -> None:
    assert last_text("a") == "a" and last_text([{"text": "a"}, {"text": "b"}, {"type": "image"}]) == "b" and last_text(None) == ""


@pytest.mark.parametrize(
    ("choice", "fields"),
    [
        ("none", (False, False, None)),
        ("required", (True, True, None)),
        ("auto", (True, False, None)),
        ({"type": "function", "function": {"name": "f"}}, (True, False, "f")),
        ({"type": "function", "name": "f"}, (True, False, "f")),
        ({"type": "allowed_tools", "mode": "required"}, (True, True, None)),
    ],
)
def test_tool_choices(choice: object, fields: tuple) -> None:
    turn = Turn(model="m", prompt="", last="")
    read_choice(turn, choice)
    assert (turn.may_call, turn.must_call, turn.forced) == fields


def test_tools_in_both_forms_and_none_of_the_providers_own() -> None:
    schema = {"type": "object"}
    assert read_tool({"type": "function", "function": {"name": "f", "parameters": schema}}) == Tool("f", schema)
    assert read_tool({"type": "function", "name": "f", "parameters": schema}) == Tool("f", schema)
    assert read_tool({"type": "custom", "name": "f"}) == Tool("f", {}, True)
    assert read_tool({"type": "web_search"}) is None and read_tool("x") is None
