"""AWS's binary event stream, written: prelude, headers, payload, and a checksum behind each part.

Source: https://docs.aws.amazon.com/transcribe/latest/dg/streaming-setting-up.html#streaming-event-stream (the format is the same for Bedrock).
"""

from __future__ import annotations

import struct
import zlib

_STRING = 7


def frame(headers: dict[str, str], payload: bytes) -> bytes:
    """One message whose headers are all strings."""
    packed = b""
    for name, value in headers.items():
        raw = value.encode()
        packed += struct.pack("!B", len(name)) + name.encode() + struct.pack("!BH", _STRING, len(raw)) + raw
    prelude = struct.pack("!II", 16 + len(packed) + len(payload), len(packed))
    body = prelude + struct.pack("!I", zlib.crc32(prelude)) + packed + payload
    return body + struct.pack("!I", zlib.crc32(body))


def event(kind: str, payload: bytes) -> bytes:
    """An event with a JSON payload."""
    return frame({":event-type": kind, ":content-type": "application/json", ":message-type": "event"}, payload)


def exception(kind: str, payload: bytes) -> bytes:
    """An exception, which ends a stream that has answered 200."""
    return frame({":exception-type": kind, ":content-type": "application/json", ":message-type": "exception"}, payload)
