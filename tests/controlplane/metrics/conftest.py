"""What a scrape says, by sample; and calls as they are counted."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec
import pytest
from prometheus_client.core import Metric

from proxy.controlplane.events import Batch, Weighed, parse
from proxy.controlplane.metrics.text import merge
from tests.controlplane.conftest import START_NS, call

_ONE: Weighed = parse(call(0)[:-1], Batch())[1]


def weigh_call(number: int, **other: object) -> Weighed:
    return msgspec.structs.replace(_ONE, id=f"call-{number}", started_ns=START_NS + number * 10**9, **{"agent": f"agent-{number % 3}", **other})


def read_families(families: Iterable[Metric]) -> dict[str, float]:
    """`name{label=value,…}` without the prefix `weighbridge_`, labels in order → value."""
    found = {}
    for family in merge(families):
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            found[f"{sample.name.removeprefix('weighbridge_')}{{{labels}}}"] = sample.value
    return found


@pytest.fixture
def weigh() -> Callable[..., Weighed]:
    return weigh_call


@pytest.fixture
def read() -> Callable[[Iterable[Metric]], dict[str, float]]:
    return read_families
