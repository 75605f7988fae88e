"""The registry: hands loaded calls to what counts them, and makes the text of a scrape from all that there is to show."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from proxy.controlplane.events import Weighed
from proxy.controlplane.metrics.agents import AgentCounts
from proxy.controlplane.metrics.attempts import AttemptCounts
from proxy.controlplane.metrics.calls import CallCounts
from proxy.controlplane.metrics.text import OPEN, PLAIN, merge, prefers_open, write
from proxy.observing import Shown

log = logging.getLogger("weighbridge.metrics")
_SHOWN = Shown()
_FRESH_S = 1.0  # scrapes within this of another one share its text


class Metrics:
    """Counts records; shows itself and the gauges given to it. `observe` belongs to one thread, `scrape` to any."""

    def __init__(self, upstreams: Iterable[str], version: str = "", shown: Shown = _SHOWN, clock: Callable[[], float] = time.monotonic) -> None:
        self.calls = CallCounts(upstreams, shown)
        self.agents = AgentCounts(shown)
        self.attempts = AttemptCounts(upstreams)
        self.failures = 0  # of what collects
        self.gauges: list[Callable[[], Iterable[Metric]]] = [self.calls.collect, self.agents.collect, self.attempts.collect]
        self._version = version
        self._clock = clock
        self._lock = threading.Lock()
        self._families: list[Metric] = []
        self._made_s: float | None = None
        self._texts: dict[bool, bytes] = {}

    def configure(self, upstreams: Iterable[str], shown: Shown) -> None:
        """Take other names of upstreams and other bounds; what was counted before stays."""
        self.calls.configure(upstreams, shown)
        self.agents.configure(shown)
        self.attempts.configure(upstreams)

    def observe(self, weighed: list[Weighed]) -> None:
        """Count calls that have been loaded."""
        self.calls.observe(weighed)
        self.agents.observe(weighed)
        self.attempts.observe(weighed)

    def scrape(self, accept: str = "") -> tuple[bytes, str]:
        """(text, content type) for a scraper that accepts this. Takes time in proportion to the series: not for an event loop."""
        is_open = prefers_open(accept)
        with self._lock:
            now_s = self._clock()
            if self._made_s is None or now_s - self._made_s >= _FRESH_S:
                self._families, self._made_s = list(self.collect()), now_s
                self._texts.clear()
            if is_open not in self._texts:
                self._texts[is_open] = write(self._families, is_open)
            return self._texts[is_open], OPEN if is_open else PLAIN

    def render(self) -> bytes:
        """The text as it is at this very moment."""
        return write(self.collect(), False)

    def collect(self) -> Iterator[Metric]:
        """All families as they are now, each once (the interface of a prometheus_client collector)."""
        info = GaugeMetricFamily("weighbridge_build_info", "The running version; always 1.", labels=["version"])
        info.add_metric([self._version], 1)
        families = merge([info, *self._gather()])
        series = sum(len(family.samples) for family in families)
        yield from families
        yield GaugeMetricFamily("weighbridge_metrics_series", "Series in this scrape, all but this one.", series)

    def _gather(self) -> list[Metric]:
        found: list[Metric] = []
        for gauges in list(self.gauges):
            try:
                found += gauges()
            except Exception:  # what one part cannot show must not hide what all others can
                self.failures += 1
                log.exception("a part of the metrics could not be collected; the others are shown")
        failed = CounterMetricFamily("weighbridge_metrics_failures", "Parts of a scrape that could not be collected.", self.failures)
        return [*found, failed]
