"""Which calls become spans: all that are out of the ordinary, and a share of the others, the same whenever they are asked about."""

from __future__ import annotations

from proxy.record import Record
from proxy.trace import make_trace_id

_LOWEST = 1 << 64


def find_trace(record: Record) -> str:
    """The trace that a call or an attempt belongs to: its caller's, or the one made for the call."""
    return record.trace_id or make_trace_id(record.attempt_of or record.id)


def is_ordinary(record: Record) -> bool:
    """Whether it went as calls go: answered at the first attempt, and no budget acted."""
    return record.outcome == "ok" and record.attempts == 1 and record.act is None and record.attempt_of is None and not record.tried


def is_kept(record: Record, share: float) -> bool:
    """Whether it becomes spans. Of a trace all ordinary calls do or none does."""
    if share >= 1 or not is_ordinary(record):
        return True
    return int(find_trace(record)[16:], 16) < share * _LOWEST
