"""What is counted of attempts at upstreams, from the records of the calls that they served; and the providers' limits, by their newest answers.

A record tells of the attempts that failed and were followed by another in the order they were made: `openai/KEY overloaded, azure unreachable`.
Two words there are no failures: `open` (nothing was sent, for the breaker was open) and `slow` (a second attempt was made beside).
An attempt with a record of its own (`attempt_of`) comes before its call, which is what is counted.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from proxy.controlplane.events import Weighed
from proxy.controlplane.metrics.names import OTHER, name_upstreams
from proxy.errors import OUTCOMES

_MOST_APART = 1000  # attempts whose call has not come yet
_OPEN, _SLOW = "open", "slow"
_WORDS = {  # what a failed attempt is called among the outcomes
    "unreachable": "upstream_unreachable", "timeout": "upstream_timeout", "cut": "upstream_cut", "rate_limited": "upstream_error",
    "overloaded": "upstream_error", "server_error": "upstream_error", "key_refused": "upstream_error", "startup_error": "upstream_stream_error",
    "empty": "upstream_discarded", "truncated": "upstream_discarded", "invalid_json": "upstream_discarded",
    "invalid_tools": "upstream_discarded",
}  # fmt: skip
_FAMILIES = (
    ("attempts", "Attempts at an upstream by how they ended.", "outcome"),
    ("retries", "Further attempts at the same upstream, by what was the matter with the one before.", "reason"),
    ("fallbacks", "Calls that went on from this upstream to another, by what was the matter.", "reason"),
    ("hedges", "Second attempts beside a slow one at this upstream: won or lost.", "result"),
)
_Counts = dict[tuple[str, str], int]  # (upstream, word) → how many


class AttemptCounts:
    """`observe` belongs to one thread, `collect` to any."""

    def __init__(self, upstreams: Iterable[str]) -> None:
        self.configure(upstreams)
        self._counts: dict[str, _Counts] = {name: {} for name, _, _ in _FAMILIES}
        self._newest: dict[str, Weighed] = {}  # upstream → the newest call whose answer told its limits
        self._apart: OrderedDict[str, tuple[str, str]] = OrderedDict()  # call → upstream and outcome of its first attempt with a record of its own

    def configure(self, upstreams: Iterable[str]) -> None:
        """Take other names of upstreams; what was counted of those before stays."""
        self._upstreams = name_upstreams(upstreams)

    def observe(self, weighed: list[Weighed]) -> None:
        """Count calls that have been loaded."""
        attempts = self._counts["attempts"]
        for call in weighed:
            if call.remaining_requests is not None or call.remaining_tokens is not None:
                self._newest[call.upstream] = call
            if call.attempt_of is not None:
                self._set_apart(call)
            elif call.tried is not None:
                self._follow(call, call.tried)
            elif call.attempts:
                key = (call.upstream, call.outcome)  # names past their bound are put together when they are shown
                attempts[key] = attempts.get(key, 0) + 1

    def _set_apart(self, call: Weighed) -> None:
        self._apart.setdefault(call.attempt_of or "", (call.upstream, call.outcome))
        if len(self._apart) > _MOST_APART:
            self._apart.popitem(last=False)

    def _follow(self, call: Weighed, tried: str) -> None:
        """Count a call of several attempts: each of them, and why the next was made."""
        steps = [step.rpartition(" ") for step in tried.split(", ")]
        failed = sum(word not in (_OPEN, _SLOW) for _, _, word in steps)
        hedged = sum(word == _SLOW for _, _, word in steps)
        is_last_made = call.attempts > failed + hedged  # else the next attempt was decided, and could not be made
        final = f"{call.upstream}/{call.upstream_key}" if call.upstream_key else call.upstream
        places = [place for place, _, _ in steps] + [final]
        apart = self._apart.pop(call.id, None)
        for index, (place, _, word) in enumerate(steps):
            upstream, is_last = place.partition("/")[0], index == len(steps) - 1
            if word == _SLOW:
                has_won = is_last and place != final
                self._count("hedges", upstream, "won" if has_won else "lost")
                self._count("attempts", *(apart or (upstream, "upstream_discarded")))
                continue
            if word != _OPEN:
                self._count("attempts", upstream, _WORDS.get(word, OTHER))
            following = places[index + 1].partition("/")[0]
            if not is_last or is_last_made:
                self._count("retries" if following == upstream else "fallbacks", upstream, word)
        if is_last_made:
            self._count("attempts", call.upstream, call.outcome)

    def _count(self, name: str, upstream: str, word: str) -> None:
        counts = self._counts[name]
        counts[upstream, word] = counts.get((upstream, word), 0) + 1

    def collect(self) -> Iterator[Metric]:
        """The families as they are now."""
        for name, text, label in _FAMILIES:
            family = CounterMetricFamily(f"weighbridge_{name}", text, labels=["upstream", label])
            sums: _Counts = {}
            for (upstream, word), count in list(self._counts[name].items()):
                key = (self._upstreams.admit(upstream or "none"), word if label != "outcome" or word in OUTCOMES else OTHER)
                sums[key] = sums.get(key, 0) + count
            for key, count in sums.items():
                family.add_metric(key, count)
            yield family
        yield from self._collect_limits()

    def _collect_limits(self) -> Iterator[Metric]:
        limit = GaugeMetricFamily("weighbridge_upstream_limit", "A provider's own limit, by its newest answer.", labels=["upstream", "kind"])
        left = GaugeMetricFamily("weighbridge_upstream_remaining", "What is left of it, by the same.", labels=["upstream", "kind"])
        for upstream, call in list(self._newest.items()):
            if self._upstreams.admit(upstream) == upstream:
                for kind in ("requests", "tokens"):
                    for family, word in ((limit, "limit"), (left, "remaining")):
                        if (figure := getattr(call, f"{word}_{kind}")) is not None:
                            family.add_metric([upstream, kind], figure)
        yield from (limit, left)
