"""The figures of the last hours, for rates: what /metrics shows, taken again and again, added up over the labels that nobody asks for.

A counter that fell was begun again by a restart of its process, so what it shows is what has come since. A series that turns up later counts
from 0, but not where its whole family was unknown until then: that is the data plane, heard of for the first time, and its count is old;
nor where it is said to be so.
Only every so often is a moment of the past kept, so that six hours of many series take little room.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence

import msgspec
from prometheus_client.core import Metric

Labels = tuple[str, ...]
SPAN_S = 6 * 3600.0
_FINE_S = 900.0  # for so long every moment is kept …
_COARSE_S = 600.0  # … and of those before it one in so many seconds


class Figure(msgspec.Struct, frozen=True):
    """One metric as it is kept: its name on /metrics, the labels it is kept by, and whether it only ever grows."""

    name: str
    by: Labels = ()
    is_older: bool = False  # whether a series that turns up later may have begun long before, as those that another process counts

    @property
    def is_counter(self) -> bool:
        return self.name.endswith("_total")


class _Moment(msgspec.Struct, frozen=True):
    at_s: float
    values: dict[str, dict[Labels, float]]


class Window:
    """Belongs to one thread."""

    def __init__(self, figures: Iterable[Figure]) -> None:
        self._figures = {figure.name: figure for figure in figures}
        self._moments: deque[_Moment] = deque()
        self._raw: dict[str, dict[Labels, float]] = {}
        self._grown: dict[str, dict[Labels, float]] = {}

    def take(self, at_s: float, families: Iterable[Metric]) -> None:
        """Take in what the metrics show now."""
        seen: dict[str, dict[Labels, float]] = {}
        for family in families:
            # A counter's family is named without the ending of its samples.
            if (figure := self._figures.get(family.name) or self._figures.get(f"{family.name}_total")) is not None:
                seen[figure.name] = _add_up(figure, family, seen.get(figure.name, {}))
        values = {name: self._grow(name, found) if self._figures[name].is_counter else found for name, found in seen.items()}
        self._moments.append(_Moment(at_s, values))
        self._thin(at_s)

    def _grow(self, name: str, found: dict[Labels, float]) -> dict[Labels, float]:
        """Counts that never fall, whatever was restarted."""
        before, grown = self._raw.get(name), self._grown.setdefault(name, {})
        for labels, value in found.items():
            last = value if before is None else before.get(labels, value if self._figures[name].is_older else 0.0)
            grown[labels] = grown.get(labels, 0.0) + (value - last if value >= last else value)
        for gone in grown.keys() - found.keys():
            del grown[gone]
        self._raw[name] = found
        return dict(grown)

    def _thin(self, now_s: float) -> None:
        """Let go what is over, and what is closer together than it need be."""
        kept: deque[_Moment] = deque()
        for moment in self._moments:
            is_old = moment.at_s < now_s - _FINE_S
            if is_old and kept and moment.at_s < kept[-1].at_s + _COARSE_S:
                continue
            kept.append(moment)
        while len(kept) > 1 and kept[1].at_s <= now_s - SPAN_S:
            kept.popleft()
        self._moments = kept

    @property
    def now_s(self) -> float:
        return self._moments[-1].at_s

    @property
    def span_s(self) -> float:
        """How long the figures reach back."""
        return self._moments[-1].at_s - self._moments[0].at_s

    def read(self, name: str, by: Sequence[str] = (), **where: str | Sequence[str]) -> dict[Labels, float]:
        """A gauge as it is now, added up over all labels but `by`; empty where it is not shown. Of a counter: since the first look at it."""
        return self._choose(name, self._moments[-1].values.get(name, {}), by, where)

    def measure(self, name: str, seconds: float, by: Sequence[str] = (), **where: str | Sequence[str]) -> dict[Labels, float]:
        """How much a counter has grown in the last so many seconds, or since the first look at it."""
        past = self._look_back(seconds).values.get(name, {})
        now = self._moments[-1].values.get(name, {})
        # whatever was not there is what it was when its family was first met: 0
        return self._choose(name, {labels: value - past.get(labels, 0.0) for labels, value in now.items()}, by, where)

    def trace(self, name: str, seconds: float, by: Sequence[str] = (), **where: str | Sequence[str]) -> list[dict[Labels, float]]:
        """A gauge at the moments that were kept of the last so many seconds, oldest first."""
        return [
            self._choose(name, moment.values.get(name, {}), by, where)
            for moment in self._moments
            if moment.at_s >= self.now_s - seconds
        ]

    def _look_back(self, seconds: float) -> _Moment:
        """The newest moment that is at least so long ago; where there is none, the oldest."""
        found = self._moments[0]
        for moment in self._moments:
            if moment.at_s > self.now_s - seconds:
                break
            found = moment
        return found

    def _choose(
        self, name: str, values: Mapping[Labels, float], by: Sequence[str], where: Mapping[str, str | Sequence[str]]
    ) -> dict[Labels, float]:
        kept = self._figures[name].by
        wanted = [(kept.index(label), (value,) if isinstance(value, str) else value) for label, value in where.items()]
        places = [kept.index(label) for label in by]
        found: dict[Labels, float] = {}
        for labels, value in values.items():
            if all(labels[place] in names for place, names in wanted):
                key = tuple(labels[place] for place in places)
                found[key] = found.get(key, 0.0) + value
        return found


def _add_up(figure: Figure, family: Metric, sums: dict[Labels, float]) -> dict[Labels, float]:
    for sample in family.samples:
        if sample.name == figure.name:
            labels = tuple(sample.labels.get(label, "") for label in figure.by)
            sums[labels] = sums.get(labels, 0.0) + sample.value
    return sums
