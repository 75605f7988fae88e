"""The text of /metrics: families written in Prometheus' text format, or in OpenMetrics, which has exemplars.

https://prometheus.io/docs/instrumenting/exposition_formats and https://prometheus.io/docs/specs/om/open_metrics_spec
Written here because prometheus_client checks every letter of every name again at each scrape, which is most of its time.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from prometheus_client.core import Metric
from prometheus_client.samples import Exemplar

PLAIN = "text/plain; version=0.0.4; charset=utf-8"
OPEN = "application/openmetrics-text; version=1.0.0; charset=utf-8"


def prefers_open(accept: str) -> bool:
    """Whether a scraper asks for OpenMetrics."""
    return any(one.partition(";")[0].strip() == "application/openmetrics-text" for one in accept.split(","))


def merge(families: Iterable[Metric]) -> list[Metric]:
    """One family for each name: a format knows it once, and several parts may have something to say in it."""
    found: dict[str, Metric] = {}
    for family in families:
        known = found.setdefault(family.name, family)
        if known is not family:
            known.samples.extend(family.samples)
    return list(found.values())


def write(families: Iterable[Metric], is_open: bool) -> bytes:
    """All families as text."""
    lines: list[str] = []
    for family in families:
        counted = "_total" if family.type == "counter" and not is_open else ""
        lines.append(f"# HELP {family.name}{counted} {_escape(family.documentation)}\n# TYPE {family.name}{counted} {family.type}\n")
        for name, labels, value, _, exemplar, *_ in family.samples:
            pairs = ",".join([f'{label}="{_escape(str(text))}"' for label, text in labels.items()])
            mark = _write_exemplar(exemplar) if is_open and exemplar is not None else ""
            lines.append(f"{name}{{{pairs}}} {_write_number(value)}{mark}\n" if pairs else f"{name} {_write_number(value)}{mark}\n")
    if is_open:
        lines.append("# EOF\n")
    return "".join(lines).encode("utf-8", "replace")


def _write_exemplar(exemplar: Exemplar) -> str:
    pairs = ",".join(f'{label}="{_escape(text)}"' for label, text in exemplar.labels.items())
    return f" # {{{pairs}}} {_write_number(exemplar.value)} {exemplar.timestamp:.3f}"


def _write_number(value: float) -> str:
    if math.isfinite(value):
        return repr(float(value))
    return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"


def _escape(text: str) -> str:
    if "\\" in text or '"' in text or "\n" in text:
        return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
    return text
