"""The ids of traces and spans, made from a call's id, so that both planes and every reading of the journal come to the same ones.

The call itself is span 0, its attempts at upstreams are spans 1, 2, …; the ids are W3C Trace Context's (https://www.w3.org/TR/trace-context/).
"""

from __future__ import annotations

from hashlib import blake2b

OF_CALL = 0
_SAMPLED = "01"


def make_trace_id(call_id: str) -> str:
    """The trace of a call whose caller named none: 32 hexadecimal digits."""
    return blake2b(call_id.encode(), digest_size=16).hexdigest()


def make_span_id(call_id: str, number: int) -> str:
    """The span of a call (`OF_CALL`) or of its `number`th attempt: 16 hexadecimal digits."""
    return blake2b(b"%b/%d" % (call_id.encode(), number), digest_size=8).hexdigest()


def write_traceparent(trace_id: str, span_id: str) -> bytes:
    """The value of a `traceparent` header."""
    return f"00-{trace_id}-{span_id}-{_SAMPLED}".encode("ascii")
