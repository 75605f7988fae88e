"""Hedging: where the first attempt of a call is slow, a second one is made beside it, and whichever answers well first is passed on.

The second attempt is let through anew and has its own reservation before it is sent; where that does not fit, where a limit is reached or
nobody is there, there is none. What becomes of the two is decided in `proxy.dataplane.race`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

import msgspec

from proxy.call import Answer, Call, Reading, Toll
from proxy.dataplane.admission import Admission
from proxy.dataplane.race import Race, Second
from proxy.dataplane.relay import Relay
from proxy.dataplane.route import Route
from proxy.dataplane.sending import Sending, new_id
from proxy.dataplane.upstream import Connection
from proxy.errors import Refusal
from proxy.routes import READS

_READING = frozenset({"GET", "HEAD"})


class Carrier(Protocol):
    """What makes attempts."""

    in_flight: set[Any]
    admission: Admission
    is_stopping: Callable[[], bool]

    async def prepare(self, sending: Sending, route: Route) -> None: ...

    def open(self, call: Call) -> None: ...

    def make_relay(self, sending: Sending, connection: Connection) -> Relay: ...


def may_hedge(call: Call, route: Route) -> bool:
    """Whether a second attempt may be made beside the one that is about to begin; such calls are counted."""
    hedges = route.lane.hedges
    if hedges is None or not route.is_first or call.ask.stream or call.kind.stream:
        return False
    if (READS if call.method in _READING else call.kind.operation) not in route.lane.upstream.hedge.kinds:
        return False
    hedges.count(time.monotonic())
    return True


async def hedge(carrier: Carrier, sending: Sending, route: Route, race: Race) -> None:
    """Wait until an answer begins; where none does in time, make a second attempt."""
    hedges = route.lane.hedges
    assert hedges is not None, "the call may be hedged"
    await asyncio.wait((race.begun,), timeout=route.lane.upstream.hedge.after_s)
    if not race.is_waiting or carrier.is_stopping() or not hedges.take(time.monotonic()):
        return
    making = asyncio.create_task(_make_second(carrier, sending, route, race), name="hedge")
    try:
        await asyncio.wait((making, race.begun), return_when=asyncio.FIRST_COMPLETED)
    finally:  # also of a caller that leaves
        making.cancel()
        await asyncio.wait((making,))
    if not making.cancelled():
        making.result()


async def _make_second(carrier: Carrier, sending: Sending, route: Route, race: Race) -> None:
    """Let a second attempt through and send it, unless an answer has begun meanwhile."""
    call, now_ns = sending.call, time.time_ns()
    twin = msgspec.structs.replace(
        call, id=new_id(now_ns), attempt_of=call.id, attempts=0, tried=None, body=None, is_lesson=False, is_inspected=False,
        answer=Answer(), reading=Reading(), toll=Toll(waited_ns=call.toll.waited_ns),
    )  # fmt: skip
    way = route.split(twin)
    beside = msgspec.structs.replace(sending, call=twin, target=way.target, carrier=None, changed=None)
    is_sent = False
    try:
        await carrier.prepare(beside, way)
        connection = await sending.pools[twin.upstream].take()
        if not race.is_waiting:
            connection.pool.put(connection)
            return
        is_sent = True
        carrier.open(twin)
        way.start()
        twin.tried, twin.answer.sent_ns = None, time.time_ns()
        call.attempts += 1
        route.note("slow")
        second = Second(carrier.make_relay(beside, connection), connection, way, race)
        race.enter(second, way, partial(carrier.make_relay, sending, connection))
        connection.start(second, call.method, beside.wire)
    except Refusal as refusal:  # a budget, a limit, an order, or nobody there: the call goes on without
        way.learn_refused(refusal)
    finally:
        if not is_sent:
            carrier.admission.release(twin, is_opened=False)
            way.leave()
