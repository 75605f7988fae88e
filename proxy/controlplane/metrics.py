"""What /metrics shows: counters and histograms fed from the records as they are loaded, and gauges of both planes' state.

Names follow the OpenTelemetry GenAI conventions in their Prometheus translation (`gen_ai_client_token_usage`,
`gen_ai_client_operation_duration_seconds`, …) plus `weighbridge_*`. Counting happens in plain slots, one a label set, because
it is paid for every call; `prometheus_client` only writes the text, when it is asked for.
Labels are bounded: upstreams come from the config, outcomes and operations from the code, and past 200 models one is `other`.
There is no agent label: agents are without number, and the store has them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from proxy.controlplane.events import Weighed
from proxy.errors import OUTCOMES

MAX_MODELS = 200
_MAX_OPERATIONS = 50
# https://github.com/open-telemetry/semantic-conventions-genai, advisory boundaries; the seconds go on past 81.92 for long reasoning calls
_TOKENS = tuple(4**power for power in range(14))
_SECONDS = tuple(round(0.01 * 2**power, 2) for power in range(17))
_TOKEN_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5)
_ADDED_SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)
_SECONDS_NS, _TOKEN_NS, _ADDED_NS = (tuple(int(bound * 1e9) for bound in bounds) for bounds in (_SECONDS, _TOKEN_SECONDS, _ADDED_SECONDS))
# https://github.com/open-telemetry/semantic-conventions-genai, gen_ai.provider.name
_PROVIDERS = {"openai": "openai", "anthropic": "anthropic", "gemini": "gcp.gemini", "bedrock": "aws.bedrock", "cohere": "cohere", "ollama": "ollama"}
_LABELS = ["upstream", "gen_ai_provider_name", "gen_ai_operation_name", "gen_ai_request_model"]
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Histogram:
    """Counts in buckets over integer bounds; the last one has no bound."""

    __slots__ = ("counts", "total")

    def __init__(self, bounds: tuple[int, ...]) -> None:
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0


class Slot:
    """All counts of one label set (upstream, provider, operation, model)."""

    __slots__ = ("cost", "durations", "first", "input", "kinds", "labels", "outcomes", "output", "per_token", "sources", "unpriced")

    def __init__(self, labels: list[str]) -> None:
        self.labels = labels
        self.outcomes: dict[str, int] = {}
        self.durations: dict[str, Histogram] = {}  # outcome → seconds
        self.sources: dict[str, int] = {}
        self.kinds = [0, 0, 0, 0, 0]
        self.cost = 0
        self.unpriced = 0
        self.input = Histogram(_TOKENS)
        self.output = Histogram(_TOKENS)
        self.first = Histogram(_SECONDS_NS)
        self.per_token = Histogram(_TOKEN_NS)


_KINDS = ("input", "output", "cache_read", "cache_write", "reasoning")


class Names:
    """A bounded set of label values: what comes past the bound is `other`."""

    def __init__(self, most: int, given: Iterable[str] = ()) -> None:
        self._most = most
        self._names = set(given)

    def admit(self, name: str) -> str:
        """The name itself, or `other`."""
        if name not in self._names:
            if len(self._names) >= self._most:
                return "other"
            self._names.add(name)
        return name


class Metrics:
    """Counts records; shows itself and the gauges given to it. `observe` belongs to one thread, `render` to any."""

    def __init__(self, upstreams: Iterable[str], version: str = "") -> None:
        self.know(upstreams)
        self._models = Names(MAX_MODELS)
        self._operations = Names(_MAX_OPERATIONS)
        self._slots: dict[tuple[str, str, str, str], Slot] = {}
        self._by_call: dict[tuple[str, str, str, str | None], Slot] = {}
        self._added = Histogram(_ADDED_NS)
        self._version = version
        self.gauges: list[Callable[[], Iterator[Metric]]] = []
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def know(self, upstreams: Iterable[str]) -> None:
        """Take other names of upstreams; what was counted of those before stays."""
        known = {*upstreams, "demo", "other", "none"}
        self._upstreams = Names(len(known), known)

    def observe(self, weighed: list[Weighed]) -> None:
        """Count calls that have been loaded."""
        slots, added = self._by_call, self._added
        for call in weighed:
            slot = slots.get((call.upstream, call.dialect, call.operation, call.model or call.model_asked)) or self._place(call)
            outcome = call.outcome if call.outcome in OUTCOMES else "other"
            slot.outcomes[outcome] = slot.outcomes.get(outcome, 0) + 1
            duration = call.duration_ns
            if duration is not None:
                durations = slot.durations.get(outcome)
                if durations is None:
                    durations = slot.durations[outcome] = Histogram(_SECONDS_NS)
                durations.counts[bisect_left(_SECONDS_NS, duration)] += 1
                durations.total += duration
            if call.cost_nano_usd is not None:
                slot.cost += call.cost_nano_usd
            elif outcome != "weighbridge_crashed":
                slot.unpriced += 1
            if call.input_tokens is not None:
                _count_tokens(slot, call)
            if call.first_token_ns is not None:
                slot.first.counts[bisect_left(_SECONDS_NS, call.first_token_ns)] += 1
                slot.first.total += call.first_token_ns
            if call.added_ns is not None:
                added.counts[bisect_left(_ADDED_NS, call.added_ns)] += 1
                added.total += call.added_ns

    def _place(self, call: Weighed) -> Slot:
        """The slot of a label set that was not met before, or of the bounded set that stands for it."""
        model = call.model or call.model_asked
        upstream = call.upstream or "none"
        key = (
            upstream if self._upstreams.admit(upstream) == upstream else "other",
            _PROVIDERS.get(call.dialect, "other"),
            self._operations.admit(call.operation),
            self._models.admit(model) if model else "none",
        )
        slot = self._slots.get(key)
        if slot is None:
            slot = self._slots[key] = Slot(list(key))
        if "other" not in key:  # a name past its bound is not remembered: there is no end to them
            self._by_call[call.upstream, call.dialect, call.operation, model] = slot
        return slot

    def render(self) -> bytes:
        """The text of /metrics. Takes time in proportion to the label sets: not for an event loop."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """All metrics (the interface of a prometheus_client collector)."""
        slots = list(self._slots.values())
        yield from _collect_counters(slots)
        yield from _collect_histograms(slots)
        added = HistogramMetricFamily("weighbridge_added_seconds", "Time the proxy itself adds before a request goes upstream, without connecting.")
        added.add_metric([], *_buckets(self._added, _ADDED_SECONDS, 1e9))
        yield added
        info = GaugeMetricFamily("weighbridge_build_info", "The running version; always 1.", labels=["version"])
        info.add_metric([self._version], 1)
        yield info
        for gauges in list(self.gauges):
            yield from gauges()


def _count_tokens(slot: Slot, call: Weighed) -> None:
    given, made, kinds = call.input_tokens or 0, call.output_tokens or 0, slot.kinds
    slot.input.counts[bisect_left(_TOKENS, given)] += 1
    slot.input.total += given
    slot.output.counts[bisect_left(_TOKENS, made)] += 1
    slot.output.total += made
    kinds[0] += given
    kinds[1] += made
    kinds[2] += call.cache_read_tokens or 0
    kinds[3] += call.cache_write_tokens or 0
    kinds[4] += call.reasoning_tokens or 0
    slot.sources[call.usage_source] = slot.sources.get(call.usage_source, 0) + 1
    if call.output_token_ns is not None:
        slot.per_token.counts[bisect_left(_TOKEN_NS, call.output_token_ns)] += 1
        slot.per_token.total += call.output_token_ns


def _buckets(histogram: Histogram, bounds: tuple[float, ...], unit: float) -> tuple[list[tuple[str, float]], float]:
    """(cumulative buckets, sum) as prometheus_client wants them."""
    buckets, below = [], 0
    for bound, count in zip((*map(str, map(float, bounds)), "+Inf"), list(histogram.counts), strict=True):
        below += count
        buckets.append((bound, float(below)))
    return buckets, histogram.total / unit


def _collect_counters(slots: list[Slot]) -> Iterator[Metric]:
    calls = CounterMetricFamily("weighbridge_calls", "Calls by how they ended.", labels=[*_LABELS, "outcome"])
    tokens = CounterMetricFamily("weighbridge_tokens", "Tokens; cache and reasoning tokens are parts of input and output.", labels=[*_LABELS, "kind"])
    cost = CounterMetricFamily("weighbridge_cost_usd", "Known cost of calls, US dollars.", labels=_LABELS)
    unpriced = CounterMetricFamily("weighbridge_unpriced_calls", "Calls whose cost is unknown.", labels=_LABELS)
    sources = CounterMetricFamily("weighbridge_usage", "Calls with token figures, by where these come from.", labels=[*_LABELS, "source"])
    for slot in slots:
        for outcome, count in list(slot.outcomes.items()):
            calls.add_metric([*slot.labels, outcome], count)
        for kind, count in zip(_KINDS, slot.kinds, strict=True):
            tokens.add_metric([*slot.labels, kind], count)
        cost.add_metric(slot.labels, slot.cost / 1e9)
        unpriced.add_metric(slot.labels, slot.unpriced)
        for source, count in list(slot.sources.items()):
            sources.add_metric([*slot.labels, source], count)
    yield from (calls, tokens, cost, unpriced, sources)


def _collect_histograms(slots: list[Slot]) -> Iterator[Metric]:
    usage = HistogramMetricFamily("gen_ai_client_token_usage", "Tokens a call.", labels=[*_LABELS, "gen_ai_token_type"])
    duration = HistogramMetricFamily("gen_ai_client_operation_duration_seconds", "How long calls take.", labels=[*_LABELS, "error_type"])
    first = HistogramMetricFamily("gen_ai_client_operation_time_to_first_chunk_seconds", "Time to the first token of the answer.", labels=_LABELS)
    per_token = HistogramMetricFamily("gen_ai_client_operation_time_per_output_chunk_seconds", "Time a token of a streamed answer.", labels=_LABELS)
    for slot in slots:
        usage.add_metric([*slot.labels, "input"], *_buckets(slot.input, _TOKENS, 1))
        usage.add_metric([*slot.labels, "output"], *_buckets(slot.output, _TOKENS, 1))
        for outcome, histogram in list(slot.durations.items()):
            duration.add_metric([*slot.labels, "" if outcome == "ok" else outcome], *_buckets(histogram, _SECONDS, 1e9))
        first.add_metric(slot.labels, *_buckets(slot.first, _SECONDS, 1e9))
        per_token.add_metric(slot.labels, *_buckets(slot.per_token, _TOKEN_SECONDS, 1e9))
    yield from (usage, duration, first, per_token)
