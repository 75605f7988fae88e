"""One question in every dialect: where it is asked, and how, whole and streamed."""

from __future__ import annotations

from typing import Any

import msgspec

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
_CHAT_TOOL = {"type": "function", "function": {"name": "get_weather", "parameters": SCHEMA}}


class Question(msgspec.Struct, frozen=True):
    """A request, the path it goes to, and both again for a stream."""

    name: str
    path: str
    document: dict[str, Any]
    stream_path: str
    stream_document: dict[str, Any]
    provider: str = "openai"  # the dialect of the upstream


def _by_field(name: str, path: str, document: dict[str, Any], more: dict[str, Any] | None = None, provider: str = "openai") -> Question:
    return Question(name, path, {**document, "stream": False}, path, {**document, "stream": True, **(more or {})}, provider)


def ask(last: str) -> list[Question]:
    """The question in every dialect that answers with text and can stream."""
    messages = [{"role": "user", "content": last}]
    chat = {"model": "gpt-4o-mini", "messages": messages, "tools": [_CHAT_TOOL]}
    usage = {"stream_options": {"include_usage": True}}
    claude = {"max_tokens": 900, "messages": messages, "tools": [{"name": "get_weather", "input_schema": SCHEMA}]}
    gemini = {
        "contents": [{"role": "user", "parts": [{"text": last}]}],
        "tools": [{"functionDeclarations": [{"name": "get_weather", "parameters": SCHEMA}]}],
    }
    specification = {"toolSpec": {"name": "get_weather", "inputSchema": {"json": SCHEMA}}}
    converse = {"messages": [{"role": "user", "content": [{"text": last}]}], "toolConfig": {"tools": [specification]}}
    bedrock = "/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0"
    google, vertex = "/v1beta/models/gemini-2.5-pro", "/v1/projects/p/locations/global/publishers/google/models/gemini-2.5-pro"
    return [
        _by_field("openai chat", "/v1/chat/completions", chat, usage),
        _by_field("azure", "/openai/deployments/gpt-4o-mini/chat/completions?api-version=2024-10-21", chat, usage),
        _by_field("mistral", "/mistral/v1/chat/completions", chat),
        _by_field("groq", "/groq/openai/v1/chat/completions", chat),
        _by_field("deepseek", "/deepseek/chat/completions", chat),
        _by_field("openrouter", "/openrouter/api/v1/chat/completions", chat),
        _by_field(
            "openai responses",
            "/v1/responses",
            {"model": "gpt-5", "input": last, "tools": [{"type": "function", "name": "get_weather", "parameters": SCHEMA}]},
        ),
        _by_field("anthropic", "/v1/messages", {"model": "claude-sonnet-4-5", "thinking": {"type": "enabled"}, **claude}, provider="anthropic"),
        Question("gemini", f"{google}:generateContent", gemini, f"{google}:streamGenerateContent?alt=sse", gemini, "gemini"),
        Question("gemini array", f"{google}:generateContent", gemini, f"{google}:streamGenerateContent", gemini, "gemini"),
        Question("vertex", f"{vertex}:generateContent", gemini, f"{vertex}:streamGenerateContent?alt=sse", gemini, "gemini"),
        _by_field("cohere", "/v2/chat", {**chat, "model": "command-r-plus"}, provider="cohere"),
        Question("converse", f"{bedrock}/converse", converse, f"{bedrock}/converse-stream", converse, "bedrock"),
        Question(
            "invoke",
            f"{bedrock}/invoke",
            {"anthropic_version": "bedrock-2023-05-31", **claude},
            f"{bedrock}/invoke-with-response-stream",
            {"anthropic_version": "bedrock-2023-05-31", **claude},
            "bedrock",
        ),
        _by_field("ollama", "/api/chat", {**chat, "model": "llama3.2"}, provider="ollama"),
    ]
