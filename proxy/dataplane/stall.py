"""The stall guard: ends an answer that has begun, and comes too slowly or not at all any more. Asked once a second, and never at a piece."""

from __future__ import annotations

from proxy.dataplane.relay import Relay
from proxy.routes import Stall

_BYTES_A_TOKEN = 4.0


class StallGuard:
    """Watches one relay. Times are seconds of the clock that `Relay.last_activity` is on."""

    __slots__ = ("_began_s", "_bytes", "_relay", "_stall")

    def __init__(self, relay: Relay, stall: Stall) -> None:
        self._relay = relay
        self._stall = stall
        self._began_s: float | None = None  # of the window that is measured …
        self._bytes = 0  # … and the output until then

    def check(self, now: float) -> bool:
        """Whether the answer was broken off just now."""
        stall, relay = self._stall, self._relay
        if relay.done.done() or relay.is_held_back:  # by the client, who takes no more
            self._began_s = None
            return False
        if stall.idle_s and now - relay.last_activity > stall.idle_s:
            relay.stall(f"The provider sent nothing for {stall.idle_s:g} s (stall.idle_s).")
            return True
        if stall.tokens_per_s and relay.call.ask.stream and relay.call.answer.first_token_ns is not None:
            return self._measure(now)
        return False

    def _measure(self, now: float) -> bool:
        stall, seen = self._stall, self._relay.count_output()
        if self._began_s is None:
            self._began_s, self._bytes = now, seen
            return False
        span_s = now - self._began_s
        if span_s < stall.window_s:
            return False
        tokens_per_s = (seen - self._bytes) / _BYTES_A_TOKEN / span_s
        self._began_s, self._bytes = now, seen
        if tokens_per_s >= stall.tokens_per_s:
            return False
        self._relay.stall(f"The provider answered with fewer than {stall.tokens_per_s:g} tokens a second (stall.tokens_per_s).")
        return True
