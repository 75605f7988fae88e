"""Failures: how a stream that we must end before its provider does says so, in the words that its dialect has for an error in the middle.

It is the last event, and behind it the message ends. The SDKs raise it as their own error of the API; it is no proper end of an answer.
"""

from __future__ import annotations

import msgspec

from proxy.call import Kind
from proxy.errors import Refusal, body
from proxy.wire.sse import Event

_BEDROCK = b"exception:serviceUnavailableException"  # https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html


def make_failure(kind: Kind, dialect: str, refusal: Refusal, call_id: str) -> Event:
    """The event that ends a stream of this kind with an error: (name, data)."""
    content = body(refusal, dialect, call_id)[0]
    if kind.format == "openai.responses":  # the SDKs look for `error`, the reference has its fields beside `type`
        shape = msgspec.json.decode(content)
        flat = {"code": refusal.name, "message": refusal.message, "param": None}
        return b"error", msgspec.json.encode({"type": "error", **flat, **shape})
    if dialect == "anthropic":
        return b"error", content
    if dialect == "bedrock":
        return _BEDROCK, content
    if dialect == "cohere":
        return b"message-end", msgspec.json.encode({"type": "message-end", "delta": {"finish_reason": "ERROR", "error": refusal.message}})
    if kind.format == "gemini.interactions":
        return b"error", msgspec.json.encode({"event_type": "error", **msgspec.json.decode(content)})
    return b"", content
