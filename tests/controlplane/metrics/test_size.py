"""A scrape stays small whatever calls, and its counters only grow; every family is described in docs/metrics.md, and nothing else is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from prometheus_client.core import Metric

from proxy.config import Config
from proxy.controlplane.metrics import Metrics
from proxy.controlplane.metrics.text import write
from proxy.controlplane.plane import ControlPlane
from proxy.controlplane.traces.export import Exporter
from proxy.controls import Control
from proxy.inspecting import Evaluators
from proxy.pulse import KeyState, LimitState, Pulse, UpstreamState
from proxy.record import Sample
from proxy.rules import Budget
from tests.controlplane.streams.conftest import SMALL, alarm_of

ROOT = Path(__file__).resolve().parents[3]
DOCS = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
MOST_BYTES = 2_000_000
OUTCOMES = ("ok", "ok", "upstream_error", "caller_gone", "policy_rate_limited", "upstream_timeout", "weighbridge_internal")
PULSE = Pulse(
    **{field.name: 1 for field in msgspec.structs.fields(Pulse) if field.required},
    upstreams=[UpstreamState(name="demo", quota_refused=0, keys=[KeyState(name="", breaker=0, opened=0, is_parked=False)])],
    limits=[LimitState(name="day", running=0, waiting=0)],
)

SAMPLE = Sample(id="1", agent="a", format="openai.chat", usage_source="reported", text="All is well.", finish="stop", is_inspected=True)


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[ControlPlane]:
    config = Config(
        state_dir=str(tmp_path),
        budgets=[Budget(name="day", usd=1, tokens=1, calls=1, per="day")],
        fleet={"silence": {"*": 60}},
        controls=[Control("stop", ["error"], "pause")],
        otlp={"endpoint": "http://127.0.0.1:9", "protocol": "http"},
        notify={"channels": [{"name": "desk", "kind": "webhook", "url": "http://127.0.0.1:9/"}]},
        evaluators=Evaluators(drift=SMALL),
    )
    config = msgspec.convert(msgspec.to_builtins(config), Config)
    made = ControlPlane(config, None, traces=Exporter)
    made.receiver.take(b"P" + msgspec.msgpack.encode(PULSE))
    yield made
    made.receiver._socket.close()


def counters(families: list[Metric]) -> dict[tuple, float]:
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
        if family.type in ("counter", "histogram")
    }


def test_ten_thousand_agents_and_a_thousand_models_stay_within_two_megabytes(plane: ControlPlane, weigh) -> None:
    metrics, before = plane.metrics, {}
    for first in range(0, 10_000, 2500):
        calls = [
            weigh(
                number, agent=f"agent-{number}-of-a-longer-name", team=f"team-{number % 20}", upstream="demo", model=f"vendor/model-{number % 1000}",
                outcome=OUTCOMES[number % len(OUTCOMES)], stream=True, first_token_ns=10**8, output_token_ns=10**7, trace_id=f"{number:032x}",
                finish="stop", remaining_tokens=5,
            )
            for number in (*range(first, first + 2500), *range(0, 2500, 7))
        ]  # fmt: skip
        metrics.observe(calls)
        plane.fleet.observe(calls)
        after = counters(list(metrics.collect()))
        assert all(after[name] >= value for name, value in before.items()), "nothing goes down, and nothing goes away"
        before = after
    families = list(metrics.collect())
    sizes = [len(write(families, is_open)) for is_open in (False, True)]
    assert max(sizes) < MOST_BYTES, sizes
    assert sum(value for (name, *_), value in after.items() if name == "weighbridge_agent_calls_total") == sum(
        value for (name, *_), value in after.items() if name == "weighbridge_calls_total"
    )


def show_all(plane: ControlPlane, weigh) -> dict[str, Metric]:
    """Every family after traffic of all kinds, by the name of its samples."""
    calls = [
        weigh(1, agent="a", upstream="demo", stream=True, first_token_ns=10**8, output_token_ns=10**7, finish="stop", trace_id="ab" * 16),
        weigh(2, agent="a", upstream="demo", attempts=2, tried="demo overloaded", waited_ns=10**9, added_ns=10**6),
        weigh(3, agent="a", upstream="demo", attempts=2, tried="other unreachable", limit_tokens=9, remaining_tokens=8),
        weigh(4, agent="a", upstream="demo", attempts=2, tried="demo slow", cost_nano_usd=None),
    ]
    plane.metrics.observe(calls)
    plane.fleet.observe(calls)
    plane.inspector.inspect(SAMPLE)
    alarm_of(plane.streams)
    plane.inspector.tally.fail("empty", "raised")
    plane.inspector.tally.drop("own_behind")
    plane.inspector.tally.skip("empty", "cpu_cap")
    plane.inspector.tally.miss("tools")
    plane.steering._count("careful", "pause")
    plane.quarantines._marked = (1, 2)
    return {family.name + ("_total" if family.type == "counter" else ""): family for family in plane.metrics.collect()}


def read_docs() -> dict[str, tuple[str, set[str]]]:
    """Family → (its type, its labels) of every row of a table."""
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| (.*?)\| .+ \|$", DOCS, re.MULTILINE)
    upstream, provider, operation, model = "upstream", "gen_ai_provider_name", "gen_ai_operation_name", "gen_ai_request_model"
    found = {}
    for name, kind, labels in rows:
        assert name not in found, f"{name} stands there twice"
        given = set(re.findall(r"`(\w+)`", labels))
        found[name] = (kind, (given - {"L"}) | ({upstream, provider, operation, model} if "L" in given else set()))
    return found


def test_every_family_is_described_and_every_description_has_a_family(plane: ControlPlane, weigh) -> None:
    shown, described = show_all(plane, weigh), read_docs()
    assert sorted(shown) == sorted(described)
    for name, family in shown.items():
        labels = {label for sample in family.samples for label in sample.labels} - {"le"}
        assert family.samples, f"{name} is empty after traffic of all kinds"
        assert (family.type, labels) == described[name], name


def test_a_new_family_without_a_description_is_found(plane: ControlPlane, weigh) -> None:
    plane.metrics.gauges.append(lambda: [Metric("weighbridge_new", "New.", "gauge")])
    assert sorted(show_all(plane, weigh)) != sorted(read_docs())


def test_metrics_without_traffic_are_whole(weigh) -> None:
    text = Metrics([]).render().decode()
    assert "weighbridge_added_seconds_count 0.0" in text and "weighbridge_metrics_series" in text
