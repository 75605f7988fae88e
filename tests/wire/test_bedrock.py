"""Converse and ConverseStream, beyond what is recorded."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable

import msgspec

from proxy.call import Reading, Usage

BINARY = "application/vnd.amazon.eventstream"
Read = Callable[..., Reading]


def message(kind: str, payload: object, *, exception: bool = False) -> bytes:
    headers = {":exception-type" if exception else ":event-type": kind, ":message-type": "exception" if exception else "event"}
    block = b"".join(bytes([len(name)]) + name.encode() + b"\x07" + struct.pack(">H", len(value)) + value.encode() for name, value in headers.items())
    data = msgspec.json.encode(payload)
    prelude = struct.pack(">II", 16 + len(block) + len(data), len(block))
    body = prelude + struct.pack(">I", zlib.crc32(prelude)) + block + data
    return body + struct.pack(">I", zlib.crc32(body))


STREAM = [
    message("messageStart", {"role": "assistant", "p": "abc"}),
    message("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"reasoningContent": {"text": "hm"}}}),
    message("contentBlockDelta", {"contentBlockIndex": 1, "delta": {"text": "Hi"}}),
    message("contentBlockStart", {"contentBlockIndex": 2, "start": {"toolUse": {"name": "f", "toolUseId": "t"}}}),
    message("contentBlockDelta", {"contentBlockIndex": 2, "delta": {"toolUse": {"input": '{"a":'}}}),
    message("contentBlockDelta", {"contentBlockIndex": 2, "delta": {"toolUse": {"input": "1}"}}}),
    message("messageStop", {"stopReason": "tool_use"}),
]
METADATA = message(
    "metadata",
    {
        "usage": {
            "inputTokens": 10, "outputTokens": 5, "cacheReadInputTokens": 100, "cacheWriteInputTokens": 30,
            "cacheDetails": [{"ttl": "5m", "inputTokens": 10}, {"ttl": "1h", "inputTokens": 20}],
        },
        "serviceTier": {"type": "priority"},
    },
)  # fmt: skip


def test_a_stream(read: Read) -> None:
    assert read("/model/m/converse-stream", b"".join([*STREAM, METADATA]), content_type=BINARY) == Reading(
        usage=Usage(140, 5, 100, 30, 20), finish="tool_use", service_tier="priority", complete=True, text="Hi", tools=[("f", '{"a":1}')],
        output_bytes=2 + 2 + 1 + 7,
    )  # fmt: skip


def test_an_exception_ends_a_stream(read: Read) -> None:
    body = b"".join([*STREAM[:3], message("throttlingException", {"message": "slow down"}, exception=True)])
    reading = read("/model/m/converse-stream", body, content_type=BINARY)
    assert (reading.error, reading.error_type, reading.complete, reading.text) == ("slow down", "throttlingException", False, "Hi")
    reading = read("/model/m/converse-stream", message("modelStreamErrorException", {}, exception=True), content_type=BINARY)
    assert reading.error == "modelStreamErrorException"


def test_broken_framing_is_counted(read: Read) -> None:
    body = bytearray(b"".join(STREAM))
    body[-1] ^= 1
    reading = read("/model/m/converse-stream", bytes(body), content_type=BINARY)
    assert (reading.unread, reading.text, reading.finish) == (1, "Hi", None)


def test_reasoning_and_tools_of_a_whole_answer(read: Read) -> None:
    content = [{"reasoningContent": {"reasoningText": {"text": "hm"}}}, {"text": "Hi"}, {"toolUse": {"name": "f", "input": {"a": 1}}}]
    body = msgspec.json.encode(
        {"output": {"message": {"content": content}}, "stopReason": "end_turn", "usage": {"inputTokens": 1, "outputTokens": 2}}
    )
    reading = read("/model/m/converse", body)
    assert (reading.text, reading.tools, reading.output_bytes, reading.usage) == ("Hi", [("f", '{"a":1}')], 2 + 2 + 1 + 7, Usage(1, 2))


def test_counting_is_no_usage(read: Read) -> None:
    assert read("/model/m/count-tokens", b'{"inputTokens":5}').usage is None
