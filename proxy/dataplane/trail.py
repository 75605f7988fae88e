"""The trail of a call: its attempts one by one, where there was more than one, and what tells an upstream of which attempt it is a part."""

from __future__ import annotations

import time

import msgspec

from proxy.call import Call
from proxy.dataplane.headers import Headers
from proxy.record import Attempted
from proxy.trace import make_span_id, make_trace_id, write_traceparent


def enter_attempt(call: Call, before: tuple[Attempted, ...]) -> None:
    """An attempt is made now, after those `before`."""
    call.attempts += 1
    call.attempt_number, call.attempt_ns = call.attempts, time.time_ns()
    if before:
        call.trail += before


def close_attempt(call: Call, outcome: str, end_ns: int | None = None) -> Attempted:
    """The newest attempt of a call, which is over."""
    end_ns = end_ns or time.time_ns()
    model = call.reading.model or call.kind.model or call.ask.model
    return Attempted(
        call.attempt_number, call.upstream, model, call.upstream_key, call.attempt_ns - call.started_ns, end_ns - call.attempt_ns,
        outcome, call.answer.status,
    )  # fmt: skip


def close_trail(call: Call, outcome: str, end_ns: int) -> list[Attempted] | None:
    """All attempts of a call that is over, as its record has them."""
    if not call.attempts:
        return None
    if not call.attempt_ns or call.attempt_of:
        return list(call.trail)
    return [*call.trail, close_attempt(call, outcome, end_ns)]


def put_trace(forward: Headers, call: Call) -> Headers:
    """The headers with the attempt that is about to be made as the parent; in the caller's trace, or in one that is made for the call."""
    who = call.identity
    assert who is not None, "a call is identified before it goes upstream"
    trace_id = who.trace_id
    if trace_id is None:
        trace_id = make_trace_id(call.id)
        call.identity = msgspec.structs.replace(who, trace_id=trace_id)
    kept = [(name, value) for name, value in forward if name.lower() != b"traceparent"]
    kept.append((b"traceparent", write_traceparent(trace_id, make_span_id(call.id, call.attempts + 1))))
    return kept
