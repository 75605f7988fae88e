"""Bedrock's Invoke: each maker's shape, the counts in headers, the binary stream."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Callable

import msgspec
import pytest

from proxy.call import Reading, Usage

Read = Callable[..., Reading]
METRICS = {"inputTokenCount": 7, "outputTokenCount": 9, "cacheReadInputTokenCount": 2, "invocationLatency": 100}


def frame(event: object) -> bytes:
    payload = msgspec.json.encode({"bytes": base64.b64encode(msgspec.json.encode(event)).decode(), "p": "abc"})
    block = b"\x0b:event-type\x07\x00\x05chunk\x0d:message-type\x07\x00\x05event"
    prelude = struct.pack(">II", 16 + len(block) + len(payload), len(block))
    body = prelude + struct.pack(">I", zlib.crc32(prelude)) + block + payload
    return body + struct.pack(">I", zlib.crc32(body))


LLAMA = {"generation": "Hi", "prompt_token_count": 3, "generation_token_count": 4, "stop_reason": "stop"}
TITAN = {"inputTextTokenCount": 3, "results": [{"outputText": "Hi", "tokenCount": 4, "completionReason": "FINISH"}]}
CLAUDE = {"content": [{"type": "text", "text": "Hi"}], "stop_reason": "end_turn", "usage": {"input_tokens": 3, "output_tokens": 4}}
OPENAI = {"choices": [{"message": {"content": "Hi"}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 3, "completion_tokens": 4}}
COUNTS = {"inputTokens": 3, "outputTokens": 4, "cacheReadInputTokenCount": 1}
NOVA = {"output": {"message": {"content": [{"text": "Hi"}]}}, "stopReason": "end_turn", "usage": COUNTS}
SHAPES = [
    ("meta.llama3-v1%3A0", LLAMA, Usage(3, 4), "stop"),
    ("amazon.titan-text", TITAN, Usage(3, 4), "FINISH"),
    ("mistral.mistral-7b", {"outputs": [{"text": "Hi", "stop_reason": "stop"}]}, None, "stop"),
    ("cohere.command-r", {"text": "Hi", "finish_reason": "COMPLETE"}, None, "COMPLETE"),
    ("eu.anthropic.claude-x", CLAUDE, Usage(3, 4), "end_turn"),
    ("openai.gpt-oss", OPENAI, Usage(3, 4), "stop"),
    ("us.amazon.nova-pro", NOVA, Usage(4, 4, 1), "end_turn"),
]


@pytest.mark.parametrize(("model", "body", "usage", "finish"), SHAPES, ids=[shape[0] for shape in SHAPES])
def test_each_makers_shape(read: Read, model: str, body: dict, usage: Usage | None, finish: str) -> None:
    reading = read(f"/model/{model}/invoke", msgspec.json.encode(body))
    assert (reading.text, reading.usage, reading.finish, reading.complete) == ("Hi", usage, finish, True)


def test_headers_count_where_the_body_does_not(read: Read) -> None:
    headers = {"x-amzn-bedrock-input-token-count": "5", "x-amzn-bedrock-output-token-count": "6", "x-amzn-bedrock-cache-read-input-token-count": "2"}
    assert read("/model/mistral.x/invoke", b'{"outputs":[{"text":"Hi"}]}', headers=headers).usage == Usage(7, 6, 2)
    assert read("/model/cohere.embed-x/invoke", b'{"embeddings":[[0.1]]}', headers={"x-amzn-bedrock-input-token-count": "5"}).usage == Usage(5)
    body = b'{"content":[],"usage":{"input_tokens":1,"output_tokens":2}}'
    assert read("/model/anthropic.x/invoke", body, headers=headers).usage == Usage(1, 2)
    assert read("/model/mistral.x/invoke", b"{}", headers={"x-amzn-bedrock-input-token-count": "many"}).usage is None


def test_streams(read: Read) -> None:
    path, binary = "/model/{}/invoke-with-response-stream", "application/vnd.amazon.eventstream"
    body = frame({"generation": "H", "prompt_token_count": 3, "generation_token_count": 1}) + frame({"generation": "i", "generation_token_count": 2})
    assert read(path.format("meta.llama"), body, content_type=binary).usage == Usage(3, 2)
    body = frame({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi"}})
    body += frame({"type": "message_stop", "amazon-bedrock-invocationMetrics": METRICS})
    reading = read(path.format("anthropic.claude"), body, content_type=binary)
    assert (reading.text, reading.usage, reading.complete) == ("Hi", Usage(9, 9, 2), True)
