"""Figures made by hand, a clock that the test moves, and alerts to tell of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from proxy.controlplane.notices.board import Alert
from proxy.controlplane.notices.conditions import CONDITIONS, FIGURES
from proxy.controlplane.notices.told import Notice
from proxy.controlplane.notices.window import Window
from proxy.notify import Thresholds

START_S = 1_790_000_000.0
Shown = Mapping[str, Mapping[tuple[str, ...], float]]
LABELS = {figure.name: figure.by for figure in FIGURES}


def make_families(shown: Shown) -> list[Metric]:
    """What /metrics would show: by the name on it, label values (in the order of the figure's labels) → value."""
    families = []
    for name, values in shown.items():
        kind = CounterMetricFamily if name.endswith("_total") else GaugeMetricFamily
        family = kind(name.removesuffix("_total"), "made by a test", labels=LABELS[name])
        for labels, value in values.items():
            family.add_metric(labels, value)
        families.append(family)
    return families


class Story:
    """Figures one after the other, and what a condition finds in them."""

    def __init__(self, name: str, every_s: float = 30.0, **thresholds: float) -> None:
        self.condition = next(one for one in CONDITIONS if one.name == name)
        self.window = Window(FIGURES)
        self.thresholds = Thresholds(**thresholds)
        self.every_s = every_s
        self.now_s = START_S

    def show(self, shown: Shown, times: int = 1) -> Story:
        """The same figures, looked at so often."""
        for _ in range(times):
            self.window.take(self.now_s, make_families(shown))
            self.now_s += self.every_s
        return self

    def find(self) -> dict[tuple[str, ...], float]:
        """What is found now: label values → figure."""
        return {tuple(one.labels.values()): round(one.value, 6) for one in self.condition.find(self.window, self.thresholds)}


def make_alert(agent: str = "a", name: str = "WeighbridgeAgentSilent", **other: object) -> Alert:
    fields = {"name": name, "severity": "critical", "labels": {"agent": agent, "team": ""}, "summary": f"Agent {agent} is silent"}
    fields |= {"description": "It made no call for 3 min 20 s.", "value": 200.0, "since_s": START_S, "fired_s": START_S + 60}
    return Alert(**(fields | other))


def make_notice(firing: Iterable[Alert] = (), resolved: Iterable[Alert] = (), at_s: float = START_S + 60) -> Notice:
    firing, resolved = list(firing), list(resolved)
    return Notice((firing or resolved)[0].name, at_s, firing, resolved)
