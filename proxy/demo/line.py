"""An agent's line to the proxy: one method a dialect, plain HTTP, and a count of what went over it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp


class NoWay(Exception):
    """The proxy is not there, or will not take the call; the message says what to do."""


class Line:
    """The calls of one task. `calls`, `failed` and `tokens` count as they go; a failed call gives an empty answer."""

    def __init__(self, session: aiohttp.ClientSession, base_url: str, agent: str, task: str) -> None:
        self.calls = self.failed = self.tokens = 0
        self._session = session
        self._url = f"{base_url}/a/{agent}/t/{task}/demo"

    @asynccontextmanager
    async def _post(self, path: str, document: dict[str, Any], headers: dict[str, str], fault: str | None) -> AsyncIterator[aiohttp.ClientResponse]:
        """Raises `NoWay` if the proxy is gone, or answers a status that was not asked for."""
        self.calls += 1
        headers = {**headers, **({"x-demo-fault": fault} if fault else {})}
        try:
            async with self._session.post(self._url + path, json=document, headers=headers) as response:
                if response.status >= 400 and not (fault or "").startswith("status-"):
                    raise NoWay(f"the call {path} was refused with {response.status}: {(await response.text())[:300]}")
                self.failed += response.status >= 400
                yield response
        except aiohttp.ClientConnectorError:
            raise NoWay("the proxy is gone") from None

    async def chat(self, document: dict[str, Any], fault: str | None = None) -> dict[str, Any]:
        """Chat Completions; the assistant's message."""
        async with self._post("/v1/chat/completions", document, {}, fault) as response:
            answer = await response.json()
        if response.status != 200:
            return {"role": "assistant", "content": ""}
        self.tokens += answer["usage"]["total_tokens"]
        message: dict[str, Any] = answer["choices"][0]["message"]
        return message

    async def embed(self, document: dict[str, Any]) -> None:
        """Embeddings."""
        async with self._post("/v1/embeddings", document, {}, None) as response:
            self.tokens += (await response.json())["usage"]["total_tokens"]

    async def responses(self, document: dict[str, Any], fault: str | None = None) -> str | None:
        """Responses, streamed; the text, or None if the stream broke."""
        text = ""
        try:
            async with self._post("/v1/responses", document, {}, fault) as response:
                async for event in _read_events(response):
                    text += event["delta"] if event["type"] == "response.output_text.delta" else ""
                    if event["type"] == "response.completed":
                        self.tokens += event["response"]["usage"]["total_tokens"]
        except aiohttp.ClientPayloadError:
            self.failed += 1
            return None
        return text

    async def messages(self, document: dict[str, Any]) -> list[dict[str, Any]]:
        """Messages, streamed; the content blocks."""
        blocks: list[dict[str, Any]] = []
        async with self._post("/v1/messages", document, {"anthropic-version": "2023-06-01"}, None) as response:
            async for event in _read_events(response):
                if event["type"] == "content_block_start":
                    blocks.append({**event["content_block"], "pieces": []})
                elif event["type"] == "content_block_delta":
                    blocks[-1]["pieces"].append(event["delta"].get("text") or event["delta"].get("partial_json") or "")
                elif event["type"] == "message_delta":
                    self.tokens += sum(count for count in event["usage"].values() if isinstance(count, int))
        for block in blocks:
            whole = "".join(block.pop("pieces"))
            if block["type"] == "tool_use":
                block["input"] = json.loads(whole or "{}")
            else:
                block["text"] = whole
        return blocks

    async def gemini(self, model: str, document: dict[str, Any], stream: bool = False, fault: str | None = None) -> str:
        """Gemini's content, streamed as events or whole; the text."""
        path = f"/v1beta/models/{model}:" + ("streamGenerateContent?alt=sse" if stream else "generateContent")
        text, last = "", {}
        async with self._post(path, document, {}, fault) as response:
            if stream:
                async for last in _read_events(response):
                    text += _text_of(last)
            else:
                last = await response.json()
                text = _text_of(last)
        self.tokens += last["usageMetadata"]["totalTokenCount"]
        return text


def _text_of(document: dict[str, Any]) -> str:
    return "".join(part.get("text", "") for part in document["candidates"][0]["content"].get("parts", []))


async def _read_events(response: aiohttp.ClientResponse) -> AsyncIterator[dict[str, Any]]:
    """The JSON documents of an event stream whose events have one data line each, as all of these have."""
    async for line in response.content:
        if line.startswith(b"data: {"):
            yield json.loads(line[6:])
