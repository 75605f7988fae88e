"""The journal's lines: what each holds, read only as far as it is needed here.

A line is a JSON object with one key, the event's name. A `call` is read for what the counters need and handed on as bytes:
the database parses the rest itself, as it does corrections, orders, tasks and alarms. What is no event of ours is counted and skipped.
"""

from __future__ import annotations

from typing import Any

import msgspec

from proxy.record import AlarmEvent, Correction, Extended, Opened, OrderEvent, TaskEvent
from proxy.reviewed import QuarantineEvent, ReviewEvent

CRASHED = "weighbridge_crashed"
_CALL, _OPENED = b'{"call":', b'{"opened":'
_OTHERS = frozenset({"segment", "closed", "checkpoint"})


class Weighed(msgspec.Struct, gc=False):
    """The part of a `Record` that the counters count; the same names and units."""

    id: str
    started_ns: int
    agent: str
    rung: str
    upstream: str
    dialect: str
    operation: str
    outcome: str
    duration_ns: int | None = None
    task: str | None = None
    team: str | None = None
    trace_id: str | None = None
    stream: bool = False
    model: str | None = None
    model_asked: str | None = None
    request_bytes: int = 0
    attempts: int = 1
    tried: str | None = None
    upstream_key: str | None = None
    attempt_of: str | None = None
    finish: str | None = None
    usage_source: str = "none"
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    cost_nano_usd: int | None = None
    cost_source: str = "none"
    service_tier: str | None = None
    first_token_ns: int | None = None
    output_token_ns: int | None = None
    added_ns: int | None = None
    waited_ns: int = 0
    held_ns: int = 0
    limit_requests: int | None = None
    remaining_requests: int | None = None
    limit_tokens: int | None = None
    remaining_tokens: int | None = None
    charged: dict[str, int] = {}


class Batch(msgspec.Struct):
    """What one transaction will load, and what was met on the way."""

    bodies: dict[str, list[bytes]] = {}  # table → its rows as JSON
    weighed: list[Weighed | None] = []  # beside the bodies of calls; None: was observed in an earlier life
    touched: set[str] = set()  # names of the segments whose state changed
    seen: dict[str, int] = {}
    closed: str = ""  # the segment whose orderly end was met last
    rows: int = 0
    lines: int = 0
    garbage: int = 0
    unknown: int = 0
    torn: int = 0
    crashed: int = 0

    def add(self, table: str, body: bytes) -> None:
        """Take in a row of a table: JSON without carriage returns, which are white space to JSON and the end of a line to others."""
        self.bodies.setdefault(table, []).append(body.replace(b"\r", b" ") if b"\r" in body else body)


_decode_weighed = msgspec.json.Decoder(Weighed).decode
_decode_opened = msgspec.json.Decoder(Opened).decode
_decode_extended = msgspec.json.Decoder(Extended).decode
_ROWS = {  # event → its table, and what checks it
    "correction": ("corrections", msgspec.json.Decoder(Correction).decode),
    "order": ("orders", msgspec.json.Decoder(OrderEvent).decode),
    "task": ("tasks", msgspec.json.Decoder(TaskEvent).decode),
    "alarm": ("alarms", msgspec.json.Decoder(AlarmEvent).decode),
    "quarantine": ("quarantines", msgspec.json.Decoder(QuarantineEvent).decode),
    "review": ("reviews", msgspec.json.Decoder(ReviewEvent).decode),
}
_decode_any = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode
_NOTHING = ("", None)


def parse(line: bytes, batch: Batch) -> tuple[str, Any]:
    """(event name, what it holds) of a line without its end; what is a row of a table goes into the batch.

    `call` holds a `Weighed`, `opened` an `Opened`, `extended` an `Extended`; ("", None) for what was counted as garbage or as unknown.
    """
    try:
        if line.startswith(_CALL) and line.endswith(b"}}"):
            return _take_call(line[len(_CALL) : -1], batch)
        if line.startswith(_OPENED) and line.endswith(b"}}"):
            return "opened", _decode_opened(line[len(_OPENED) : -1])
        return _parse_other(line, batch)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        batch.garbage += 1
        return _NOTHING


def _take_call(body: bytes, batch: Batch) -> tuple[str, Any]:
    weighed = _decode_weighed(body)
    batch.add("calls", body)
    return "call", weighed


def _parse_other(line: bytes, batch: Batch) -> tuple[str, Any]:
    event = _decode_any(line)
    if len(event) != 1:
        batch.garbage += 1
        return _NOTHING
    ((name, body),) = event.items()
    if name == "call":
        return _take_call(bytes(body), batch)
    if name == "opened":
        return name, _decode_opened(body)
    if name == "extended":
        return name, _decode_extended(body)
    if name in _ROWS:
        table, decode = _ROWS[name]
        decode(body)
        batch.add(table, bytes(body))
        batch.rows += 1
        return name, None
    if name in _OTHERS:
        return name, None
    batch.unknown += 1
    return _NOTHING


def close_crashed(event: Opened, extended: Extended | None = None) -> tuple[bytes, Weighed]:
    """The row of a call whose process died before it ended: nothing is known of its end and its tokens.

    Under a budget it is presumed to have cost all that was reserved for it in the end, until an operator settles it; else its cost is unknown.
    """
    fields = {name: value for name, value in msgspec.structs.asdict(event).items() if value is not None}
    reserved = fields.pop("reserved")
    if extended is not None:
        reserved = extended.reserved
        fields["reserved_nano_usd"] = extended.reserved_nano_usd
    if reserved:
        cost = fields.get("reserved_nano_usd")
        fields |= {"charged": reserved, "cost_nano_usd": cost, "cost_source": "none" if cost is None else "presumed"}
    body = _encode({**fields, "outcome": CRASHED})
    return body, _decode_weighed(body)
