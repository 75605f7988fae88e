"""OpenAI's manners: its errors, its headers, the snapshots its model names stand for, and how it reads messages.

Source: https://platform.openai.com/docs/api-reference (errors, rate limits, debugging requests).
"""

from __future__ import annotations

import re
from typing import Any

import msgspec
from aiohttp import web

from proxy.demo.exchange import Dialect, Exchange, Wrong
from proxy.demo.faults import split_model
from proxy.demo.prose import count_tokens
from proxy.demo.turn import Reply, Tool, Turn

# The dated model that the provider answers with, for the names that are aliases.
SNAPSHOTS = {
    "gpt-3.5-turbo": "gpt-3.5-turbo-0125",
    "gpt-4": "gpt-4-0613",
    "gpt-4-turbo": "gpt-4-turbo-2024-04-09",
    "gpt-4.1": "gpt-4.1-2025-04-14",
    "gpt-4.1-mini": "gpt-4.1-mini-2025-04-14",
    "gpt-4.1-nano": "gpt-4.1-nano-2025-04-14",
    "gpt-4o": "gpt-4o-2024-08-06",
    "gpt-4o-mini": "gpt-4o-mini-2024-07-18",
    "gpt-5": "gpt-5-2025-08-07",
    "gpt-5-mini": "gpt-5-mini-2025-08-07",
    "gpt-5-nano": "gpt-5-nano-2025-08-07",
    "gpt-5.4": "gpt-5.4-2026-03-05",
    "o1": "o1-2024-12-17",
    "o3": "o3-2025-04-16",
    "o3-mini": "o3-mini-2025-01-31",
    "o4-mini": "o4-mini-2025-04-16",
}
_REASONING = re.compile(r"(o\d|gpt-[5-9])")
# status: (type, code, message)
_ERRORS: dict[int, tuple[str, str | None, str]] = {
    400: ("invalid_request_error", None, "The request is not valid."),
    401: (
        "invalid_request_error",
        "invalid_api_key",
        "Incorrect API key provided: sk-demo. You can find your API key at https://platform.openai.com/account/api-keys.",
    ),
    402: ("insufficient_quota", "insufficient_quota", "You exceeded your current quota, please check your plan and billing details."),
    403: (
        "invalid_request_error",
        "unsupported_country_region_territory",
        "Country, region, or territory not supported",
    ),
    404: ("invalid_request_error", "model_not_found", "The model `{model}` does not exist or you do not have access to it."),
    429: (
        "requests",
        "rate_limit_exceeded",
        "Rate limit reached for {model} in organization org-demo on requests per min (RPM): Limit 500, Used 500, Requested 1. "
        "Please try again in 1s. Visit https://platform.openai.com/account/rate-limits to learn more.",
    ),
    500: ("server_error", None, "The server had an error while processing your request. Sorry about that!"),
    503: ("server_error", None, "That model is currently overloaded with other requests. Please try again later."),
}


def model_of(request: web.Request, document: dict[str, Any]) -> Any:
    return document.get("model")


def answered_model(model: str) -> str:
    """The model a caller is told it got: the dated snapshot where the name is an alias."""
    name = split_model(model)[0]
    return SNAPSHOTS.get(name, name)


def write_error(wrong: Wrong, exchange: Exchange) -> tuple[Any, dict[str, str]]:
    kind, code, message = _ERRORS.get(wrong.status) or _ERRORS[500 if wrong.status > 499 else 400]
    if wrong.message:
        code = wrong.code
    headers = {}
    if wrong.status == 429:
        headers = {"retry-after": "1", "retry-after-ms": "1000", "x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1s"}
    model = exchange.document.get("model")
    message = wrong.message or message.format(model=split_model(model)[0] if isinstance(model, str) else "")
    return {"error": {"message": message, "type": wrong.kind or kind, "param": wrong.param, "code": code}}, headers


def write_headers(exchange: Exchange) -> dict[str, str]:
    asked = count_tokens(exchange.body[:65536].decode("utf-8", "replace"))
    return {
        "access-control-expose-headers": "X-Request-ID, CF-Ray, CF-Ray",
        "openai-organization": "org-demo",
        "openai-processing-ms": str(120 + asked % 400),
        "openai-project": "proj_demo",
        "openai-version": "2020-10-01",
        "x-ratelimit-limit-requests": "500",
        "x-ratelimit-limit-tokens": "200000",
        "x-ratelimit-remaining-requests": "499",
        "x-ratelimit-remaining-tokens": str(max(0, 200_000 - asked)),
        "x-ratelimit-reset-requests": "120ms",
        "x-ratelimit-reset-tokens": f"{asked * 3 // 10}ms",
        "x-request-id": exchange.make_id("req_", 32, "0123456789abcdef"),
        "strict-transport-security": "max-age=31536000; includeSubDomains; preload",
        "x-content-type-options": "nosniff",
    }


OPENAI = Dialect("openai", write_error, write_headers, model_of)


def require(exchange: Exchange, name: str, kinds: tuple[type, ...] = (str,)) -> Any:
    """A field the request must have. Raises `Wrong`."""
    value = exchange.document.get(name)
    if value is None or value == "":
        message = "you must provide a model parameter" if name == "model" else f"Missing required parameter: '{name}'."
        raise Wrong(400, message, code=None if name == "model" else "missing_required_parameter", param=None if name == "model" else name)
    if not isinstance(value, kinds):
        raise Wrong(400, f"Invalid type for '{name}': expected {kinds[0].__name__}.", code="invalid_type", param=name)
    return value


def reasons(model: str, effort: Any) -> bool:
    """Whether a model thinks before it answers."""
    return bool(_REASONING.match(model)) and effort not in ("none", "minimal")


def last_text(content: Any) -> str:
    """The last text in a message's content, which is a string or a list of parts."""
    if isinstance(content, str):
        return content
    parts = [part.get("text") for part in content if isinstance(part, dict)] if isinstance(content, list) else []
    return next((text for text in reversed(parts) if isinstance(text, str)), "")


def read_choice(turn: Turn, choice: Any) -> None:
    """`tool_choice`, as Chat Completions and Responses write it."""
    if choice == "none":
        turn.may_call = False
    elif choice == "required":
        turn.must_call = True
    elif isinstance(choice, dict):
        named = choice.get("function") or choice.get("custom") or choice
        if isinstance(named, dict) and isinstance(named.get("name"), str):
            turn.forced = named["name"]
        elif choice.get("mode") == "required":
            turn.must_call = True


def read_tool(tool: Any) -> Tool | None:
    """A function or custom tool, in Chat's nested or Responses' flat form; None for the provider's own tools."""
    if not isinstance(tool, dict):
        return None
    inner = tool.get("function") or tool.get("custom") or tool
    if tool.get("type") not in ("function", "custom") or not isinstance(inner, dict) or not isinstance(inner.get("name"), str):
        return None
    return Tool(inner["name"], inner.get("parameters") or {}, tool["type"] == "custom")


def write_usage(turn: Turn, replies: list[Reply]) -> dict[str, Any]:
    """The `usage` of Chat Completions, over all choices."""
    output = sum(reply.output_tokens for reply in replies)
    asked = replies[0].input_tokens
    return {
        "prompt_tokens": asked,
        "completion_tokens": output,
        "total_tokens": asked + output,
        "prompt_tokens_details": {"cached_tokens": replies[0].cached_tokens, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": sum(reply.reasoning_tokens for reply in replies),
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def sse(document: Any, event: str | None = None) -> bytes:
    """One server-sent event, as OpenAI writes it."""
    head = f"event: {event}\n".encode() if event else b""
    return head + b"data: " + msgspec.json.encode(document) + b"\n\n"
