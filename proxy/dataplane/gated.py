"""The relay of a gated answer: it is received whole and read as any other, and nothing of it is passed on until somebody has approved it.

What is no success passes at once, for it holds nothing of a model's. Until the first byte is passed on the caller has had no answer, so that a
rejection, the end of the wait or an order is answered by a refusal in its own dialect. The provider has answered all the same: the call is
charged.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from proxy.call import Call, Hold
from proxy.dataplane.edge import Edge
from proxy.dataplane.headers import ResponseHead
from proxy.dataplane.holding import Holding
from proxy.dataplane.relay import Relay
from proxy.dataplane.upstream import Connection
from proxy.errors import Refusal
from proxy.orders import APPROVED, Ruling

_SHOWN_BYTES = 96 * 1024  # of an answer that no reader understands: what a reviewer is shown of it


class GatedRelay(Relay):
    """Holds one answer back. Times are of the clock that `expire` is given."""

    __slots__ = ("size", "body", "_hold", "_holding", "_is_held", "_whole_at", "_clock")

    def __init__(
        self, call: Call, edge: Edge, connection: Connection, settle: Callable[[Call], None], holding: Holding, *, keep_alive: bool, http_1_0: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        super().__init__(call, edge, connection, settle, keep_alive=keep_alive, http_1_0=http_1_0)
        assert call.hold is not None, "a gate concerns the call"
        self.size = 0  # bytes that are held
        self.body = b""  # the beginning of what came
        self._hold: Hold = call.hold
        self._holding = holding
        self._is_held = False
        self._whole_at: float | None = None
        self._clock = clock

    # --- from the upstream ----------------------------------------------------------------------------------------

    def head_came(self, head: ResponseHead) -> None:
        super().head_came(head)
        self._is_held = 200 <= head.status < 300
        self.head_sent = not self._is_held

    def body_came(self, data: bytes) -> None:
        if self.done.done():
            return
        super().body_came(data)
        if not self._is_held:
            return
        if len(self.body) < _SHOWN_BYTES:
            self.body += data[: _SHOWN_BYTES - len(self.body)]
        if self._holding.has_room(len(data)):
            self.size += len(data)
        else:
            self._connection.cancel(self)
            self._refuse(Refusal("policy_review_full", "The answers that wait for a reviewer take all the room there is, and this one is dropped."))

    def batch_ended(self) -> None:
        if self._is_held:
            self.last_activity = self._clock()
        else:
            super().batch_ended()

    def message_ended(self) -> None:
        if self.done.done():
            return
        if not self._is_held:
            super().message_ended()
        else:
            self._finish_reading()
            self._whole_at = self._clock()
            self._holding.enter(self, self._hold.wait_s)

    def broken(self, name: str, message: str) -> None:
        if self._is_held and not self.done.done():
            self._refuse(Refusal(name, message))
        else:
            super().broken(name, message)

    # --- decisions ------------------------------------------------------------------------------------------------

    def rule(self, ruling: Ruling) -> None:
        """A reviewer has decided."""
        if self._whole_at is None or self.done.done():
            return
        if ruling.state == APPROVED:
            self._release()
        else:
            why = f": {ruling.note}" if ruling.note else ""
            self._refuse(self._make_refusal("policy_review_rejected", f"A reviewer has rejected this answer{why} (gate {self._hold.gate})."))

    def _release(self) -> None:
        self._leave()
        self.head_sent = True
        super().message_ended()
        super().batch_ended()

    def _refuse(self, refusal: Refusal) -> None:
        self._finish_reading()
        self._leave()
        self._out.clear()
        if not self.done.done():
            self.done.set_exception(refusal)

    def _make_refusal(self, name: str, text: str) -> Refusal:
        return Refusal(name, text, {"gate": self._hold.gate})

    def _leave(self) -> None:
        """Nothing is held any more."""
        if self._is_held:
            self._is_held = False
            self._holding.leave(self)
            if self._whole_at is not None:
                self._call.held_ns = int((self._clock() - self._whole_at) * 1e9)

    # --- from the client, and from the clock ----------------------------------------------------------------------

    @property
    def is_held_back(self) -> bool:
        """Whether it is no fault of the upstream's that nothing comes."""
        return self._whole_at is not None or super().is_held_back

    def client_paused(self, paused: bool) -> None:
        if not self._is_held:  # else nothing is written to it, and the connection may carry another call already
            super().client_paused(paused)

    def abandon(self) -> None:
        if self._is_held:
            self._finish_reading()
            self._leave()
            self._out.clear()
        super().abandon()

    def expire(self, now: float, first_byte_s: float, idle_s: float) -> None:
        """End the wait for a reviewer, or for the rest of an answer."""
        if self.done.done():
            return
        if self._whole_at is not None and self._is_held:
            if now - self._whole_at < self._hold.wait_s:
                return
            if self._hold.releases:
                self._release()
            else:
                text = f"Nobody has reviewed this answer within {self._hold.wait_s:g} s (gate {self._hold.gate})."
                self._refuse(self._make_refusal("policy_review_timeout", text))
        elif not self._is_held:
            super().expire(now, first_byte_s, idle_s)
        elif now - self.last_activity > idle_s:
            self._connection.cancel(self)
            self.broken("upstream_timeout", "The provider fell silent in the middle of its answer.")

    def end_by_order(self, refusal: Refusal) -> None:
        if self._is_held:
            self._connection.cancel(self)
            self._refuse(refusal)
        else:
            super().end_by_order(refusal)
