"""What travels in a head and what does not: hop-by-hop fields, identity fields, credentials (RFC 9110 §7.6.1).

Everything else goes on as it came: order, case, repeated fields and bytes outside ASCII included. A field's name is
judged once and the judgement kept in a bounded table, for the same names come again with every call.
"""

from __future__ import annotations

import hashlib
import re
from urllib.parse import parse_qsl

import msgspec

from proxy.dataplane.edge import SECOND
from proxy.errors import Refusal

Headers = list[tuple[bytes, bytes]]
KEY_PREFIX = "wbk_"  # of the virtual keys that we issue

_HOP = frozenset({
    "connection", "keep-alive", "proxy-connection", "proxy-authenticate", "proxy-authorization", "te", "trailer", "transfer-encoding", "upgrade",
})  # fmt: skip
_REQUEST_OWN = _HOP | {"host", "content-length", "expect", "x-agent-id", "x-task-id", "x-session-id", "baggage"}
_REQUEST_READ = frozenset({
    "authorization", "x-api-key", "api-key", "x-goog-api-key", "content-type", "content-encoding", "content-length", "expect", "upgrade",
    "user-agent", "x-agent-id", "x-task-id", "x-session-id", "baggage", "traceparent", "x-stainless-retry-count", "x-claude-code-session-id",
    "x-claude-code-agent-id", "x-claude-code-parent-agent-id", "session-id", "x-session-affinity", "x-codex-turn-metadata",
    "x-weighbridge-key", "x-weighbridge-tags", "host", "origin", "transfer-encoding",
})  # fmt: skip
_RESPONSE_READ = (
    "content-", "x-ratelimit-", "anthropic-ratelimit-", "retry-after", "x-amzn", "request-id", "x-request-id", "sec-websocket-", "mistral-",
    "apim-", "openai-", "x-goog-request-id", "cf-ray",
)  # fmt: skip
_ONCE = frozenset({"authorization", "x-api-key", "api-key", "x-goog-api-key", "x-weighbridge-key", "content-type"})
_CREDENTIALS = ("authorization", "x-api-key", "api-key", "x-goog-api-key")
_KEY_HEADER = {"anthropic": b"x-api-key", "gemini": b"x-goog-api-key"}
_MAX_NAMES = 4096
_HOST = re.compile(r"(?:[A-Za-z0-9._-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")  # RFC 9110 §7.2, as names are in use
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_SECOND_USER_AGENT = SECOND.decode().lower() + "user-agent"


class _Name(msgspec.Struct, frozen=True, gc=False):
    """What we do with a field of this name."""

    lower: str
    forward: bytes | None  # the name under which it goes on; None: it stays here
    read: bool
    once: bool = False


_requests: dict[bytes, _Name] = {}
_responses: dict[bytes, _Name] = {}


def _judge_request(name: bytes) -> _Name:
    lower = name.decode("latin-1").lower()
    if "_" in lower and lower.replace("_", "-") in _ONCE:  # to some servers the two are one name
        raise Refusal("caller_bad_request", "The name of a credential's or the content type's header holds an underscore; write it with hyphens.")
    stays = lower in _REQUEST_OWN or lower.startswith("x-weighbridge-")
    forward = name[len(SECOND) :] if lower == _SECOND_USER_AGENT else None if stays else name
    judged = _Name(lower, forward, lower in _REQUEST_READ or lower == "connection", lower in _ONCE)
    if len(_requests) < _MAX_NAMES:
        _requests[name] = judged
    return judged


def _judge_response(name: bytes) -> _Name:
    lower = name.decode("latin-1").lower()
    judged = _Name(lower, None if lower in _HOP or lower == "content-length" else name, lower.startswith(_RESPONSE_READ) or lower in _HOP)
    if len(_responses) < _MAX_NAMES:
        _responses[name] = judged
    return judged


class Head(msgspec.Struct, frozen=True, gc=False):
    """A request's head: what to forward, also as it is written, and the fields we read, by lower-case name (the last of repeated ones)."""

    forward: Headers
    lines: bytes
    fields: dict[str, str]


def write_lines(headers: Headers) -> bytes:
    """Headers as they are written."""
    return b"".join([b"%b: %b\r\n" % header for header in headers])


def read_head(raw: tuple[tuple[bytes, bytes], ...], version: tuple[int, int] = (1, 1)) -> Head:
    """Sort a request's fields.

    Raises `Refusal` caller_bad_request for a credential or content type given twice, a `Host` that is none, and framing that the version
    does not know: servers behind us might read each of them differently.
    """
    forward: Headers = []
    fields: dict[str, str] = {}
    for name, value in raw:
        judged = _requests.get(name) or _judge_request(name)
        if judged.read:
            if judged.once and judged.lower in fields:
                raise Refusal("caller_bad_request", f"The header {judged.lower} stands twice in the request; send it once.")
            fields[judged.lower] = value.decode("latin-1")
        if judged.forward is not None:
            forward.append((judged.forward, value))
    host = fields.get("host")
    if (host is None and version >= (1, 1)) or (host is not None and not _HOST.fullmatch(host)):
        raise Refusal("caller_bad_request", "The request has no valid Host header.")
    coding = fields.pop("transfer-encoding", None)
    if version not in ((1, 0), (1, 1)) or (coding is not None and version == (1, 0)):
        raise Refusal("caller_bad_request", "The request is not of HTTP/1.1, or its framing not of its version.")
    connection = fields.pop("connection", None)
    if connection is not None:
        forward = drop_named(forward, connection)
    return Head(forward, write_lines(forward), fields)


def drop_coding(head: Head) -> Head:
    """The head of a request whose body is sent on decoded."""
    forward = [(name, value) for name, value in head.forward if name.lower() != b"content-encoding"]
    return Head(forward, write_lines(forward), head.fields)


def drop_named(headers: Headers, connection: str) -> Headers:
    """The headers without those that a `Connection` field names as hop-by-hop."""
    if connection.lower() in ("keep-alive", "close"):
        return headers
    named = {part.strip().lower().encode("latin-1") for part in connection.split(",")}
    return [(name, value) for name, value in headers if name.lower() not in named]


class ResponseHead(msgspec.Struct, frozen=True, gc=False):
    """A response's head: the lines to pass on, the fields we read by lower-case name, and how its body is framed.

    `framing` is the body's length in bytes, `chunked`, `close` (until the connection ends), `none` or `tunnel`.
    """

    status: int
    reason: bytes
    lines: list[bytes]
    fields: dict[str, str]
    framing: str | int


def read_response_head(method: str, status: int, reason: bytes, headers: Headers, upgrade_asked: bool, version: str = "1.1") -> ResponseHead:
    """Sort a response's fields. Raises `Refusal` upstream_malformed where its framing is ambiguous (RFC 9112 §6.3)."""
    if version not in ("1.1", "1.0") or _CONTROL.search(reason):
        raise Refusal("upstream_malformed", "The provider's answer has no valid status line.")
    lines: list[bytes] = []
    fields: dict[str, str] = {}
    for name, value in headers:
        judged = _responses.get(name) or _judge_response(name)
        if judged.read:
            lower = judged.lower
            text = value.decode("latin-1")
            if lower in fields and (lower == "transfer-encoding" or (lower == "content-length" and fields[lower] != text)):
                raise Refusal("upstream_malformed", "The framing of the provider's answer is ambiguous.")
            fields[lower] = text
        if judged.forward is not None:
            lines.append(judged.forward + b": " + value)
    connection = fields.get("connection")
    if connection is not None and connection.lower() not in ("keep-alive", "close"):
        named = tuple(part.strip().lower().encode("latin-1") + b":" for part in connection.split(","))
        lines = [line for line in lines if not line.lower().startswith(named)]
    if version == "1.0" and "transfer-encoding" in fields:
        raise Refusal("upstream_malformed", "The provider's answer has a transfer coding that its version of HTTP does not know.")
    return ResponseHead(status, reason, lines, fields, _frame(method, status, fields, upgrade_asked))


def _frame(method: str, status: int, fields: dict[str, str], upgrade_asked: bool) -> str | int:
    if status == 101 and upgrade_asked:
        return "tunnel"
    if not 200 <= status <= 599:
        raise Refusal("upstream_malformed", "The provider's answer has no valid status, or switches protocols unasked.")
    coding, length = fields.get("transfer-encoding"), fields.get("content-length")
    if coding is not None and (coding.strip().lower() != "chunked" or length is not None):
        raise Refusal("upstream_malformed", "The provider's answer has a transfer coding other than chunked, or a length beside it.")
    if length is not None and not (length.isascii() and length.isdigit() and len(length) < 16):
        raise Refusal("upstream_malformed", "The provider's answer has no valid length.")
    if method == "HEAD" or status in (204, 304):
        return "none"
    if coding is not None:
        return "chunked"
    return "close" if length is None else int(length)


def keep_alive_s(fields: dict[str, str]) -> float:
    """How long the upstream keeps an idle connection, by its `Keep-Alive: timeout=N` (less a second); else no bound."""
    for part in fields.get("keep-alive", "").split(","):
        key, _, number = part.partition("=")
        if key.strip().lower() == "timeout" and number.strip().isdecimal():
            return max(0.0, int(number) - 1.0)
    return float("inf")


def presented_keys(fields: dict[str, str], query: str) -> tuple[str, ...]:
    """The credentials of a request: bearer token, API key header, `?key=`, or the access key id of an AWS signature.

    The first of them counts: of several, a virtual key by its prefix, wherever it stands.
    """
    found: list[str] = []
    for name in _CREDENTIALS:
        if value := fields.get(name):
            credential = _read_authorization(value) if name == "authorization" else value
            if credential is not None:
                found.append(credential)
    if "key=" in query and (credential := dict(parse_qsl(query)).get("key")) is not None:
        found.append(credential)
    if len(found) > 1:
        found.sort(key=lambda one: not one.startswith(KEY_PREFIX))
    return tuple(found)


def _read_authorization(value: str) -> str | None:
    scheme, _, token = value.partition(" ")
    if scheme.lower() == "aws4-hmac-sha256":
        return token.partition("Credential=")[2].partition("/")[0] or None
    return token.strip() or value


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


def drop_key(forward: Headers, query: str) -> tuple[Headers, str]:
    """(headers, query) without the caller's credential: it is not for this upstream."""
    kept = [(name, value) for name, value in forward if name.lower().decode("latin-1") not in _CREDENTIALS]
    return kept, "&".join(part for part in query.split("&") if not part.startswith("key="))


def hash_key(key: str, salt: str = "") -> str:
    """SHA-256 of a key, hexadecimal; salted where it is only to tell keys apart."""
    return hashlib.sha256((salt + key).encode("utf-8", "surrogateescape")).hexdigest()
