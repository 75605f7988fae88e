"""Gemini: whole, as events and as an array; both versions; both spellings."""

from __future__ import annotations

import json

import pytest

from proxy.demo.gemini import pick
from tests.demo.client import Client

DECLARED = {"name": "get_weather", "parameters": {"type": "OBJECT", "properties": {"city": {"type": "STRING"}}}}


def ask(last: str = "Which invoices are overdue?", **fields: object) -> dict:
    return {"contents": [{"role": "user", "parts": [{"text": last}]}], **fields}


def said(documents: list[dict]) -> str:
    return "".join(part.get("text", "") for each in documents for part in each["candidates"][0]["content"].get("parts", []))


@pytest.mark.parametrize("version", ["v1", "v1beta", "v1beta1/projects/p/locations/global/publishers/google"])
@pytest.mark.parametrize("model", ["gemini-2.5-flash", "gemini-2.5-pro"])
def test_three_ways_to_the_same_answer(provider: Client, version: str, model: str) -> None:
    path = f"/{version}/models/{model}"
    whole = provider.ask(f"{path}:generateContent", ask()).document
    events = provider.ask(f"{path}:streamGenerateContent?alt=sse", ask())
    array = provider.ask(f"{path}:streamGenerateContent", ask())
    assert said(events.events) == said(array.document) == said([whole]) != ""
    assert events.events[-1]["usageMetadata"] == array.document[-1]["usageMetadata"] == whole["usageMetadata"]
    assert events.body.endswith(b"\r\n\r\n") and events.headers["content-type"] == "text/event-stream" and array.body[:1] == b"["
    usage = whole["usageMetadata"]
    assert usage["totalTokenCount"] == usage["promptTokenCount"] + usage["candidatesTokenCount"] + usage.get("thoughtsTokenCount", 0)
    assert ("thoughtsTokenCount" in usage) == (model == "gemini-2.5-pro") and whole["modelVersion"] == model


@pytest.mark.parametrize("name", ["functionDeclarations", "function_declarations"])
def test_a_tool_loop(provider: Client, name: str) -> None:
    path, tools = "/v1beta/models/gemini-2.5-flash:generateContent", [{name: [DECLARED]}]
    content = provider.ask(path, ask("use get_weather", tools=tools)).document["candidates"][0]["content"]
    assert content["parts"][0]["functionCall"]["name"] == "get_weather" and "city" in content["parts"][0]["functionCall"]["args"]
    question = ask("use get_weather", tools=tools)
    question["contents"] += [content, {"role": "user", "parts": [{"functionResponse": {"name": "get_weather", "response": {"result": "rain"}}}]}]
    assert said([provider.ask(path, question).document])


def test_json_by_schema_and_the_limit(provider: Client) -> None:
    path = "/v1/models/gemini-2.5-flash:generateContent"
    schema = {"type": "OBJECT", "properties": {"total": {"type": "NUMBER"}}}
    answer = provider.ask(path, ask(generationConfig={"responseMimeType": "application/json", "responseSchema": schema})).document
    assert list(json.loads(said([answer]))) == ["total"]
    assert provider.ask(path, ask(generation_config={"max_output_tokens": 3})).document["candidates"][0]["finishReason"] == "MAX_TOKENS"


def test_embeddings_and_counts(provider: Client) -> None:
    path, content = "/v1beta/models/gemini-embedding-001", {"parts": [{"text": "hello you"}]}
    assert len(provider.ask(f"{path}:embedContent", {"content": content, "outputDimensionality": 16}).document["embedding"]["values"]) == 16
    assert len(provider.ask(f"{path}:batchEmbedContents", {"requests": [{"content": content}] * 3}).document["embeddings"]) == 3
    assert provider.ask(f"{path}:countTokens", ask("one two three")).document["totalTokens"] == 4


@pytest.mark.parametrize(
    ("status", "name"), [(400, "INVALID_ARGUMENT"), (401, "UNAUTHENTICATED"), (404, "NOT_FOUND"), (429, "RESOURCE_EXHAUSTED"), (503, "UNAVAILABLE")]
)
def test_errors_have_the_providers_shape(provider: Client, status: int, name: str) -> None:
    answer = provider.ask(f"/v1beta/models/gemini-2.5-flash-status-{status}:generateContent", ask())
    error = answer.document["error"]
    assert (answer.status, error["code"], error["status"]) == (status, status, name)
    assert ("details" in error) == (status == 429)


def test_faults(provider: Client) -> None:
    path = "/v1beta/models/gemini-2.5-flash"
    empty = provider.ask(f"{path}-empty:generateContent", ask()).document
    assert empty["candidates"][0]["content"] == {"role": "model"} and empty["modelVersion"] == "gemini-2.5-flash"
    assert "usageMetadata" not in provider.ask(f"{path}-no-usage:generateContent", ask()).document
    assert provider.ask(f"{path}-error-in-stream:streamGenerateContent?alt=sse", ask()).events[-1]["error"]["code"] == 503
    assert provider.ask(f"{path}-error-in-stream:streamGenerateContent", ask()).document[-1]["error"]["code"] == 503


def test_wrong_requests(provider: Client) -> None:
    assert provider.ask("/v1beta/models/gemini-2.5-flash:generateContent", {}).status == 400
    assert provider.ask("/v1beta/models/gemini-2.5-flash:noSuchMethod", ask()).status == 404


def test_models_are_listed(provider: Client) -> None:
    assert "models/gemini-2.5-pro" in [model["name"] for model in provider.ask("/v1beta/models").document["models"]]
    assert provider.ask("/v1/models/gemini-2.5-pro", headers={"x-goog-api-key": "k"}).document["name"] == "models/gemini-2.5-pro"


def test_both_spellings_of_a_field() -> None:
    assert pick({"max_output_tokens": 1}, "maxOutputTokens") == pick({"maxOutputTokens": 1}, "maxOutputTokens") == 1
    assert pick(None, "a") is None and pick({}, "a", 7) == 7
