"""Drift as the admin port changes it: the orders that accept a new normal or dismiss an alarm.

POST  /api/drift   {verb: accept | dismiss, agents: [names], task, model, upstream, every, reason, by}
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Literal

import msgspec

from proxy.controlplane.changes import ANYONE, check_text
from proxy.controlplane.desk import NOT_IN_HISTORY
from proxy.controlplane.door import Change, NotDone, read_body
from proxy.controlplane.journal_writer import JournalWriter
from proxy.controlplane.reports import BadQuestion
from proxy.controlplane.streams.streams import Streams
from proxy.controlplane.streams.told import ALARMED, Told
from proxy.record import OrderEvent


class Settlement(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What is said of alarms."""

    verb: Literal["accept", "dismiss"]
    agents: list[str]
    task: str | None = None
    model: str | None = None
    upstream: str | None = None
    every: bool = False  # also streams without an alarm: what comes next is learned anew
    reason: str = ""
    by: str = ANYONE

    @property
    def filters(self) -> dict[str, str]:
        """Which streams of the agents are meant, as far as they are told apart."""
        return {name: value for name in ("task", "model", "upstream") if (value := getattr(self, name)) is not None}


def make_drift_change(streams: Streams, journal: JournalWriter, clock_ns: Callable[[], int] = time.time_ns) -> Change:
    """The order over the door."""

    def settle(_: str, body: bytes) -> dict[str, Any]:
        given = read_body(body, Settlement)
        _check(given)
        settled = streams.settle(given.verb, given.agents, given.filters, given.every)
        if not settled:
            raise NotDone(404, "not_alarmed", _explain_none(given, streams.describe()))
        notes = {
            journal.write(
                OrderEvent(at_ns=clock_ns(), by=given.by, verb=f"{given.verb}_drift", dimension="agent", value=agent, reason=given.reason or None)
            )
            for agent in sorted({told.agent for told in settled})
        }
        return {"verb": given.verb, "streams": [_describe(told) for told in settled], "note": "" if all(notes) else NOT_IN_HISTORY}

    return Change("POST", "/api/drift", settle)


def _check(given: Settlement) -> None:
    if not given.agents:
        raise BadQuestion("agents names nobody; name one agent or more")
    if given.every and given.verb == "dismiss":
        raise BadQuestion("only alarms can be dismissed; `every` goes with accept")
    for agent in given.agents:
        check_text("agent", agent)
    check_text("reason", given.reason)
    check_text("by", given.by)


def _explain_none(given: Settlement, known: list[Told]) -> str:
    alarmed = sorted({told.agent for told in known if told.state == ALARMED})
    held = f"alarms stand for {', '.join(alarmed[:20])}" if alarmed else "no alarm stands at all"
    more = "; with `every` (--every) what comes next is learned anew also where none stands" if given.verb == "accept" else ""
    return f"no alarm stands for {', '.join(given.agents[:20])}; {held}{more}"


def _describe(told: Told) -> dict[str, Any]:
    return {"agent": told.agent, **{name: told.name(name) for name in ("task", "model", "upstream")}, "state": told.state, "baseline": told.baseline}
