"""What travels in a head and what does not: hop-by-hop fields, identity fields, credentials (RFC 9110 §7.6.1).

Everything else goes on as it came: order, case, repeated fields and bytes outside ASCII included.
"""

from __future__ import annotations

import hashlib
from urllib.parse import parse_qsl

import msgspec

from proxy.dataplane.edge import SECOND_USER_AGENT
from proxy.errors import Refusal

Headers = list[tuple[bytes, bytes]]

_HOP = frozenset({
    b"connection", b"keep-alive", b"proxy-connection", b"proxy-authenticate", b"proxy-authorization",
    b"te", b"trailer", b"transfer-encoding", b"upgrade",
})  # fmt: skip
_FRAMING = frozenset({b"host", b"content-length", b"expect"})
_IDENTITY = frozenset({b"x-agent-id", b"x-task-id", b"x-session-id", b"baggage"})
_ONCE = frozenset({"authorization", "x-api-key", "api-key", "x-goog-api-key", "content-type"})
_CREDENTIALS = ("authorization", "x-api-key", "api-key", "x-goog-api-key")
_OUR_NAME = {SECOND_USER_AGENT.lower(): b"User-Agent"}
_RESPONSE_FRAMING = _HOP | {b"content-length"}
_KEY_HEADER = {"anthropic": b"x-api-key", "gemini": b"x-goog-api-key"}


class Head(msgspec.Struct):
    """A request's head: what to forward, and the fields by lower-case name (the last of repeated ones) to read."""

    forward: Headers
    fields: dict[str, str]


def read_head(raw: tuple[tuple[bytes, bytes], ...]) -> Head:
    """Sort a request's fields. Raises `Refusal` caller_bad_request for a credential or content type given twice."""
    forward: Headers = []
    fields: dict[str, str] = {}
    dropped: frozenset[bytes] | set[bytes] = _HOP
    for name, value in raw:
        if len(name) == 10 and name.lower() == b"connection":
            dropped = dropped | {part.strip().lower() for part in value.split(b",")}
    for name, value in raw:
        lower = name.lower()
        text = lower.decode("latin-1")
        if text in _ONCE and text in fields:
            raise Refusal("caller_bad_request", f"The header {text} stands twice in the request; send it once.")
        fields[text] = value.decode("latin-1")
        if lower in dropped or lower in _FRAMING or lower in _IDENTITY:
            continue
        forward.append((_OUR_NAME.get(lower, name), value))
    return Head(forward, fields)


def copy_response_headers(headers: Headers) -> tuple[list[bytes], dict[str, str]]:
    """(the lines to pass on, the fields by lower-case name) of a response's head."""
    lines: list[bytes] = []
    fields: dict[str, str] = {}
    dropped: frozenset[bytes] | set[bytes] = _RESPONSE_FRAMING
    for name, value in headers:
        if len(name) == 10 and name.lower() == b"connection":
            dropped = dropped | {part.strip().lower() for part in value.split(b",")}
    for name, value in headers:
        lower = name.lower()
        fields[lower.decode("latin-1")] = value.decode("latin-1")
        if lower not in dropped:
            lines.append(name + b": " + value)
    return lines, fields


def presented_key(fields: dict[str, str], query: str) -> str | None:
    """The credential of a request: bearer token, API key header, `?key=`, or the access key id of an AWS signature."""
    for name in _CREDENTIALS:
        if value := fields.get(name):
            if name != "authorization":
                return value
            scheme, _, token = value.partition(" ")
            if scheme.lower() == "aws4-hmac-sha256":
                return token.partition("Credential=")[2].partition("/")[0] or None
            return token.strip() or value
    if "key=" in query:
        return dict(parse_qsl(query)).get("key")
    return None


def put_key(forward: Headers, query: str, dialect: str, key: str) -> tuple[Headers, str]:
    """(headers, query) with the caller's credential replaced by `key`, in the place where the caller put its own."""
    place = _KEY_HEADER.get(dialect)
    kept: Headers = []
    for name, value in forward:
        lower = name.lower()
        if lower.decode("latin-1") in _CREDENTIALS:
            place = lower
        else:
            kept.append((name, value))
    parts = query.split("&") if query else []
    query = "&".join(part for part in parts if not part.startswith("key="))
    secret = key.encode("latin-1")
    if place is None or place == b"authorization":
        kept.append((b"Authorization", b"Bearer " + secret))
    else:
        kept.append((place, secret))
    return kept, query


def hash_key(key: str, salt: str = "") -> str:
    """SHA-256 of a key, hexadecimal; salted where it is only to tell keys apart."""
    return hashlib.sha256((salt + key).encode("utf-8", "surrogateescape")).hexdigest()
