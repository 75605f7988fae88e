"""What is said of calls that people look at: lines of the journal, and the datagram of an answer that is held; as in `proxy.record`."""

from __future__ import annotations

import msgspec


class ReviewEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A step of a call's review: the journal's `review` line. The last one says how it stands, and none holds anything of an answer's text."""

    id: str  # of the call
    at_ns: int
    by: str  # a reviewer, or "weighbridge"
    state: str  # queued | held | pass | fail | unsure | approved | rejected | timed_out | released | dropped
    reason: str | None = None  # why it is to be reviewed: sampled | flagged | gate NAME
    share: float | None = None  # the probability with which such a call is chosen
    note: str | None = None
    agent: str | None = None
    task: str | None = None
    model: str | None = None


class QuarantineEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """The calls of a time, an agent, a model … are not to be relied on: the journal's `quarantine` line. One that is lifted has the same name."""

    name: str
    at_ns: int
    by: str
    lifted: bool = False
    since_ns: int | None = None  # calls begun from then on …
    until_ns: int | None = None  # … and before
    agent: str | None = None
    task: str | None = None
    model: str | None = None  # that answered, or was asked for where none did
    upstream: str | None = None
    reason: str | None = None


class Held(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An answer that waits for a reviewer. Sent over the sample socket again and again until there is a decision."""

    id: str
    gate: str
    agent: str
    task: str | None = None
    model: str | None = None
    at_ns: int  # since when
    until_ns: int
    finish: str | None = None
    text: str = ""
    tools: list[tuple[str, str]] = []
    request: str = ""
    is_cut: bool = False  # there may be more of it than is shown
