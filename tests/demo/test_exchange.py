"""Requests are read and refused alike in all dialects, and the same request gets the same bytes when asked to."""

from __future__ import annotations

import gzip

import pytest

from tests.demo.client import Client

CHAT = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Which invoices are overdue?"}]}
PATHS = ("/v1/chat/completions", "/v1/messages", "/v1beta/models/gemini-2.5-flash:generateContent")


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b"[" * 100_000, b'{"model":7,"messages":3,"contents":5,"max_tokens":1}'])
def test_bodies_that_cannot_be_read_are_refused_with_400(provider: Client, path: str, body: bytes) -> None:
    answer = provider.ask(path, body, method="POST")
    assert answer.status == 400 and answer.document["error"]["message"]


def test_deep_documents_are_refused(provider: Client) -> None:
    deep = b'{"model":"m","messages":[{"role":"user","content":' + b"[" * 900 + b"]" * 900 + b"}]}"
    assert provider.ask("/v1/chat/completions", deep).status in (200, 400)


def test_a_seed_makes_the_bytes_repeat_and_without_one_ids_differ(provider: Client) -> None:
    first, again = (provider.ask("/v1/chat/completions", CHAT, {"x-demo-seed": "7"}).body for _ in range(2))
    assert first == again
    one, two = (provider.ask("/v1/chat/completions", CHAT).document["id"] for _ in range(2))
    assert one != two
    provider.reset()
    assert provider.ask("/v1/chat/completions", CHAT).document["id"] == one


def test_bodies_may_be_packed_and_chunked(provider: Client) -> None:
    packed = gzip.compress(b'{"model":"gpt-4o","messages":[{"role":"user","content":"hi"}]}')
    assert provider.ask("/v1/chat/completions", packed, {"Content-Encoding": "gzip"}).status == 200
    assert provider.received()[-1]["body"] == packed
    assert provider.ask("/v1/chat/completions", b"no gzip", {"Content-Encoding": "gzip"}).status == 400
    assert provider.ask("/v1/chat/completions", packed, {"Content-Encoding": "rot13"}).status == 415


def test_large_answers_come_whole(provider: Client) -> None:
    asked = {"model": "text-embedding-3-large", "input": ["a", "b", "c"], "encoding_format": "float"}
    answer = provider.ask("/v1/embeddings", asked)
    assert len(answer.body) > 65536 and len(answer.document["data"]) == 3 and int(answer.headers["content-length"]) == len(answer.body)
