"""Error bodies: what went wrong in the provider's own words, whatever the shape it uses.

Shapes: OpenAI and Anthropic `{"error": {"message", "type", "code"}}`, Gemini `{"error": {"message", "status"}}`,
also inside a one-element array, Bedrock `{"message"}` with the header `x-amzn-errortype`, Cohere `{"message"}`, Ollama `{"error": "…"}`,
Voyage and FastAPI servers `{"detail": …}`.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from proxy.wire.loose import FAULTS

_MOST_MESSAGE = 2000
_MOST_KIND = 100


def read_fault(raw: bytes) -> tuple[str | None, str | None]:
    """(message, type) of the JSON value of an `error` member or of a whole error body; (None, None) if it says nothing."""
    if raw in (b"", b"null"):
        return None, None
    try:
        value = msgspec.json.decode(raw)
    except FAULTS:
        return None, None
    return _describe(value)


def read_error_body(body: bytes, headers: Mapping[str, str]) -> tuple[str | None, str | None]:
    """(message, type) of the body of a 4xx or 5xx answer; its raw beginning where it is no known shape."""
    content = body.strip()
    if content.startswith((b"event:", b"data:")):  # an event stream that holds only the error
        lines = [line[5:].strip() for line in content.splitlines() if line.startswith(b"data:")]
        content = lines[0] if lines else b""
    message, kind = read_fault(content)
    header = headers.get("x-amzn-errortype")
    if header:
        kind = header.partition(":")[0][:_MOST_KIND]
    if message is None and content and content[:1] not in (b"{", b"[", b"<"):
        message = content[:_MOST_MESSAGE].decode("utf-8", "replace")
    return message, kind


def _describe(value: object) -> tuple[str | None, str | None]:
    if isinstance(value, list):
        return _describe(value[0]) if value else (None, None)
    if isinstance(value, str):
        return value[:_MOST_MESSAGE] or None, None
    if not isinstance(value, dict):
        return None, None
    inner = value.get("error")
    if isinstance(inner, (dict, list)) and inner:
        return _describe(inner)
    if isinstance(inner, str) and inner:
        return inner[:_MOST_MESSAGE], _word(value, "code", "type", "error_type")
    message = next((value[name] for name in ("message", "Message", "detail", "error_message") if value.get(name)), None)
    if message is not None and not isinstance(message, str):
        message = msgspec.json.encode(message).decode()
    return message[:_MOST_MESSAGE] if message else None, _word(value, "status", "code", "type", "__type")


def _word(value: dict, *names: str) -> str | None:
    """The most telling of the provider's own words: a named type before a number."""
    found = [value[name] for name in names if value.get(name) is not None]
    texts = [word for word in found if isinstance(word, str) and word and word != "error"]
    if texts:
        return texts[0][:_MOST_KIND]
    return next((str(word)[:_MOST_KIND] for word in found if isinstance(word, int) and not isinstance(word, bool)), None)
