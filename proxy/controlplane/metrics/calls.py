"""What is counted of every call by its upstream, operation and model: endings, tokens, money and times.

The first sets of labels to come have counters of their own, and the first of these histograms, too, which are a hundred lines each.
What comes past the bounds is added up under the model `other`; a set that has series of its own keeps them, so that no counter goes down.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric

from proxy.controlplane.events import CRASHED, Weighed
from proxy.controlplane.metrics.histogram import ADDED_SECONDS, NANO, ONE, SECONDS, TOKEN_SECONDS, TOKENS, Histogram, scale, show
from proxy.controlplane.metrics.names import OTHER, Names, name_upstreams
from proxy.errors import OUTCOMES
from proxy.observing import Shown

LABELS = ["upstream", "gen_ai_provider_name", "gen_ai_operation_name", "gen_ai_request_model"]
_MOST_OPERATIONS = 50
_MOST_FINISHES = 40
_MOST_ENDINGS = 1  # kinds of errors a set of labels has histograms for, on the average
# https://github.com/open-telemetry/semantic-conventions-genai, gen_ai.provider.name
_PROVIDERS = {"openai": "openai", "anthropic": "anthropic", "gemini": "gcp.gemini", "bedrock": "aws.bedrock", "cohere": "cohere", "ollama": "ollama"}
_KINDS = ("input", "output", "cache_read", "cache_write", "reasoning")
_TOKENS = scale(TOKENS, ONE)
_SECONDS, _TOKEN, _ADDED = (scale(bounds, NANO) for bounds in (SECONDS, TOKEN_SECONDS, ADDED_SECONDS))


class Times:
    """The histograms of one label set."""

    __slots__ = ("durations", "first", "input", "labels", "output", "per_token")

    def __init__(self, labels: list[str]) -> None:
        self.labels = labels
        self.durations: dict[str, Histogram] = {}  # outcome → seconds
        self.input = Histogram(_TOKENS)
        self.output = Histogram(_TOKENS)
        self.first = Histogram(_SECONDS)
        self.per_token = Histogram(_TOKEN)


class Slot:
    """The counters of one label set, and where its times are counted."""

    __slots__ = ("cost", "finishes", "kinds", "labels", "outcomes", "sources", "times", "unpriced")

    def __init__(self, labels: list[str], times: Times) -> None:
        self.labels = labels
        self.times = times
        self.outcomes: dict[str, int] = {}
        self.sources: dict[str, int] = {}
        self.finishes: dict[str, int] = {}
        self.kinds = [0, 0, 0, 0, 0]
        self.cost = 0
        self.unpriced = 0


class CallCounts:
    """`observe` belongs to one thread, `collect` to any."""

    def __init__(self, upstreams: Iterable[str], shown: Shown) -> None:
        self.configure(upstreams, shown)
        self._operations = Names(_MOST_OPERATIONS)
        self._finishes = Names(_MOST_FINISHES)
        self._slots: dict[tuple[str, str, str, str], Slot] = {}
        self._times: dict[tuple[str, str, str, str], Times] = {}
        self._endings = 0
        self._by_call: dict[tuple[str, str, str, str | None], Slot] = {}
        self._added = Histogram(_ADDED)
        self._waited = Histogram(_SECONDS)

    def configure(self, upstreams: Iterable[str], shown: Shown) -> None:
        """Take other names of upstreams and other bounds; what was counted of those before stays."""
        self._upstreams = name_upstreams(upstreams)
        self._shown = shown

    def observe(self, weighed: list[Weighed]) -> None:
        """Count calls that have been loaded."""
        slots, added = self._by_call, self._added
        for call in weighed:
            slot = slots.get((call.upstream, call.dialect, call.operation, call.model or call.model_asked)) or self._place(call)
            outcome = call.outcome if call.outcome in OUTCOMES else OTHER
            slot.outcomes[outcome] = slot.outcomes.get(outcome, 0) + 1
            duration = call.duration_ns
            if duration is not None:
                durations = slot.times.durations.get(outcome) or self._place_duration(slot.times, outcome)
                bucket = durations.add(duration - call.held_ns)  # how long people take says nothing of the provider
                if call.trace_id is not None and not call.held_ns:
                    durations.newest[bucket] = call
            if call.cost_nano_usd is not None:
                slot.cost += call.cost_nano_usd
            elif outcome != CRASHED:
                slot.unpriced += 1
            if call.input_tokens is not None:
                _count_tokens(slot, call)
            if call.finish is not None:
                finish = self._finishes.admit(call.finish)
                slot.finishes[finish] = slot.finishes.get(finish, 0) + 1
            if call.first_token_ns is not None:
                slot.times.first.add(call.first_token_ns)
            if call.added_ns is not None:
                added.add(call.added_ns)
            if call.waited_ns:
                self._waited.add(call.waited_ns)

    def _place(self, call: Weighed) -> Slot:
        """The slot of a label set that was not met before, or of the bounded set that stands for it."""
        model = call.model or call.model_asked
        upstream = self._upstreams.admit(call.upstream or "none")
        key = (upstream, _PROVIDERS.get(call.dialect, OTHER), self._operations.admit(call.operation), model or "none")
        slot = self._slots.get(key)
        if slot is None and len(self._slots) >= self._shown.models:
            key = (*key[:3], OTHER) if len(self._slots) < 2 * self._shown.models else (OTHER,) * 4
            slot = self._slots.get(key)
        if slot is None:
            slot = self._slots[key] = Slot(list(key), self._place_times(key))
        if OTHER not in key:  # a name past its bound is not remembered: there is no end to them
            self._by_call[call.upstream, call.dialect, call.operation, model] = slot
        return slot

    def _place_times(self, key: tuple[str, str, str, str]) -> Times:
        if key not in self._times and len(self._times) >= self._shown.histograms:
            key = (OTHER,) * 4
        times = self._times.get(key)
        if times is None:
            times = self._times[key] = Times(list(key))
        return times

    def _place_duration(self, times: Times, outcome: str) -> Histogram:
        if outcome != "ok" and self._endings >= _MOST_ENDINGS * self._shown.histograms:
            outcome = OTHER
        durations = times.durations.get(outcome)
        if durations is None:
            self._endings += outcome != "ok"
            durations = times.durations[outcome] = Histogram(_SECONDS)
        return durations

    def collect(self) -> Iterator[Metric]:
        """The families as they are now."""
        yield from _collect_counters(list(self._slots.values()))
        yield from _collect_histograms(list(self._times.values()))
        added = HistogramMetricFamily("weighbridge_added_seconds", "Time the proxy itself adds before a request goes upstream, without connecting.")
        added.add_metric([], *show(self._added, NANO))
        yield added
        waited = HistogramMetricFamily("weighbridge_waited_seconds", "How long calls waited for a limit, of those that had to.")
        waited.add_metric([], *show(self._waited, NANO))
        yield waited


def _count_tokens(slot: Slot, call: Weighed) -> None:
    given, made, kinds, times = call.input_tokens or 0, call.output_tokens or 0, slot.kinds, slot.times
    times.input.add(given)
    times.output.add(made)
    kinds[0] += given
    kinds[1] += made
    kinds[2] += call.cache_read_tokens or 0
    kinds[3] += call.cache_write_tokens or 0
    kinds[4] += call.reasoning_tokens or 0
    slot.sources[call.usage_source] = slot.sources.get(call.usage_source, 0) + 1
    if call.output_token_ns is not None:
        times.per_token.add(call.output_token_ns)


def _collect_counters(slots: list[Slot]) -> Iterator[Metric]:
    calls = CounterMetricFamily("weighbridge_calls", "Calls by how they ended.", labels=[*LABELS, "outcome"])
    tokens = CounterMetricFamily("weighbridge_tokens", "Tokens; cache and reasoning tokens are parts of input and output.", labels=[*LABELS, "kind"])
    cost = CounterMetricFamily("weighbridge_cost_usd", "Known cost of calls, US dollars.", labels=LABELS)
    unpriced = CounterMetricFamily("weighbridge_unpriced_calls", "Calls whose cost is unknown.", labels=LABELS)
    sources = CounterMetricFamily("weighbridge_usage", "Calls with token figures, by where these come from.", labels=[*LABELS, "source"])
    finishes = CounterMetricFamily("weighbridge_finishes", "Answers by the provider's own word for how they finished.", labels=[*LABELS, "finish"])
    for slot in slots:
        for family, counts in ((calls, slot.outcomes), (sources, slot.sources), (finishes, slot.finishes)):
            for word, count in list(counts.items()):
                family.add_metric([*slot.labels, word], count)
        for kind, count in zip(_KINDS, list(slot.kinds), strict=True):
            tokens.add_metric([*slot.labels, kind], count)
        cost.add_metric(slot.labels, slot.cost / NANO)
        unpriced.add_metric(slot.labels, slot.unpriced)
    yield from (calls, tokens, cost, unpriced, sources, finishes)


def _collect_histograms(sets: list[Times]) -> Iterator[Metric]:
    usage = HistogramMetricFamily("gen_ai_client_token_usage", "Tokens a call.", labels=[*LABELS, "gen_ai_token_type"])
    duration = HistogramMetricFamily("gen_ai_client_operation_duration_seconds", "How long calls take.", labels=[*LABELS, "error_type"])
    first = HistogramMetricFamily("gen_ai_client_operation_time_to_first_chunk_seconds", "Time to the first token of the answer.", labels=LABELS)
    per_token = HistogramMetricFamily("gen_ai_client_operation_time_per_output_chunk_seconds", "Time a token of a streamed answer.", labels=LABELS)
    for times in sets:
        usage.add_metric([*times.labels, "input"], *show(times.input, ONE))
        usage.add_metric([*times.labels, "output"], *show(times.output, ONE))
        for outcome, histogram in list(times.durations.items()):
            duration.add_metric([*times.labels, "" if outcome == "ok" else outcome], *show(histogram, NANO))
        first.add_metric(times.labels, *show(times.first, NANO))
        per_token.add_metric(times.labels, *show(times.per_token, NANO))
    yield from (usage, duration, first, per_token)
