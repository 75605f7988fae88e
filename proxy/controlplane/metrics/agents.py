"""What is counted of every agent: calls by whose fault their ending was, tokens and money.

Agents are without number, so the first `metrics.agents` of them to call have series of their own and all others share `other`; after a restart those
come first that called last. An agent keeps its series. Only where all are taken may a new agent have those of one that has not called
for a week, which then end: no series goes down, and nothing moves to `other` or back. The store knows every agent.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from proxy.controlplane.events import Weighed
from proxy.controlplane.metrics.histogram import NANO
from proxy.controlplane.metrics.names import OTHER
from proxy.errors import OUTCOMES
from proxy.observing import Shown

LABELS = ["agent", "team"]
_FAULTS = {outcome: outcome.partition("_")[0] for outcome in OUTCOMES}  # whose it is: ok | caller | policy | upstream | weighbridge
_KEPT_NS = 7 * 86400 * 10**9
_LOOK_EVERY_NS = 60 * 10**9


class Seat:
    """The counts of one agent, or of all that share."""

    __slots__ = ("cost", "input", "labels", "last_ns", "output", "results")

    def __init__(self, agent: str, team: str) -> None:
        self.labels = [agent, team]
        self.results: dict[str, int] = {}
        self.input = 0
        self.output = 0
        self.cost = 0
        self.last_ns = 0


class AgentCounts:
    """`observe` and `seat` belong to one thread, everything else to any."""

    def __init__(self, shown: Shown) -> None:
        self._shown = shown
        self._seats: dict[str, Seat] = {}
        self._others: Seat | None = None
        self._look_ns = 0  # not before this is it looked again who has left

    def configure(self, shown: Shown) -> None:
        """Take another bound; who has series keeps them."""
        self._shown = shown

    def seat(self, agent: str, team: str | None, last_ns: int) -> None:
        """Give an agent its series before it calls again: one that was known before a restart."""
        if len(self._seats) < self._shown.agents and agent != OTHER and agent not in self._seats:
            self._seats[agent] = Seat(agent, team or "")
            self._seats[agent].last_ns = last_ns

    def observe(self, weighed: list[Weighed]) -> None:
        """Count calls that have been loaded."""
        seats = self._seats
        for call in weighed:
            seat = seats.get(call.agent) or self._place(call)
            if call.attempt_of is None:  # an attempt that was given up is no call of its own; what it cost is the agent's
                result = _FAULTS.get(call.outcome, OTHER)
                seat.results[result] = seat.results.get(result, 0) + 1
            if call.input_tokens is not None:
                seat.input += call.input_tokens
                seat.output += call.output_tokens or 0
            if call.cost_nano_usd is not None:
                seat.cost += call.cost_nano_usd
            last_ns = call.started_ns + (call.duration_ns or 0)
            if last_ns > seat.last_ns:
                seat.last_ns = last_ns

    def _place(self, call: Weighed) -> Seat:
        """Where an agent without series of its own is counted."""
        if call.agent != OTHER and (len(self._seats) < self._shown.agents or self._free(call.started_ns)):
            seat = self._seats[call.agent] = Seat(call.agent, call.team or "")
            return seat
        if self._others is None:
            self._others = Seat(OTHER, "")
        return self._others

    def _free(self, now_ns: int) -> bool:
        """Whether an agent that has left for long gave its place away."""
        if now_ns < self._look_ns or not self._seats:
            return False
        self._look_ns = now_ns + _LOOK_EVERY_NS
        oldest = min(self._seats, key=lambda agent: self._seats[agent].last_ns)
        if self._seats[oldest].last_ns > now_ns - _KEPT_NS:
            return False
        del self._seats[oldest]
        return True

    def list_seats(self) -> list[tuple[str, list[str]]]:
        """(agent, its labels) of all that have series of their own."""
        return [(agent, seat.labels) for agent, seat in list(self._seats.items())]

    def label(self, agent: str) -> list[str]:
        """The labels under which an agent is shown: its own, or those of all others."""
        seat = self._seats.get(agent)
        return [OTHER, ""] if seat is None else seat.labels

    def collect(self) -> Iterator[Metric]:
        """The families as they are now."""
        calls = CounterMetricFamily("weighbridge_agent_calls", "Calls of an agent by whose fault their ending was.", labels=[*LABELS, "result"])
        tokens = CounterMetricFamily("weighbridge_agent_tokens", "Tokens of an agent.", labels=[*LABELS, "kind"])
        cost = CounterMetricFamily("weighbridge_agent_cost_usd", "Known cost of an agent's calls, US dollars.", labels=LABELS)
        seen = GaugeMetricFamily("weighbridge_agent_last_seen_timestamp_seconds", "When an agent was heard of last.", labels=LABELS)
        for seat in self._list_shown():
            for result, count in list(seat.results.items()):
                calls.add_metric([*seat.labels, result], count)
            tokens.add_metric([*seat.labels, "input"], seat.input)
            tokens.add_metric([*seat.labels, "output"], seat.output)
            cost.add_metric(seat.labels, seat.cost / NANO)
            seen.add_metric(seat.labels, seat.last_ns / NANO)
        yield from (calls, tokens, cost, seen)

    def _list_shown(self) -> Iterable[Seat]:
        return [*list(self._seats.values()), *([self._others] if self._others is not None else [])]
