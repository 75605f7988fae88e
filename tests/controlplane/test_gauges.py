"""What Weighbridge tells of itself, whatever state it is in."""

from __future__ import annotations

import msgspec
from prometheus_client.parser import text_string_to_metric_families

from proxy.config import Config
from proxy.controlplane.gauges import MAX_ACCOUNTS, make_budget_gauges
from proxy.controlplane.metrics import Metrics
from proxy.controlplane.plane import ControlPlane
from proxy.pulse import Pulse
from proxy.toll.terms import Balance


def read(metrics: Metrics) -> dict[str, float]:
    return {sample.name: sample.value for family in text_string_to_metric_families(metrics.render().decode()) for sample in family.samples}


def test_the_state_of_both_planes_is_shown(tmp_path) -> None:
    plane = ControlPlane(Config(state_dir=str(tmp_path)), None)
    found = read(plane.metrics)
    assert found["weighbridge_database_rebuilds_total"] == found["weighbridge_journal_lag_bytes"] == 0
    assert "weighbridge_in_flight_calls" not in found
    plane.receiver.take(b"P" + msgspec.msgpack.encode(Pulse(**{field.name: 10**9 for field in msgspec.structs.fields(Pulse) if field.required})))
    plane.loader.reader.torn = 3
    found = read(plane.metrics)
    assert found["weighbridge_in_flight_calls"] == found["weighbridge_journal_lost_lines_total"] == 10**9
    assert (found["weighbridge_loop_lag_seconds"], found["weighbridge_journal_torn_lines_total"]) == (1, 3)
    assert 0 <= found["weighbridge_pulse_age_seconds"] < 60
    plane.receiver._socket.close()


class Accounts:
    """Balances that the test sets."""

    def __init__(self) -> None:
        self.now: list[Balance] = []

    def add(self, agent: str, spent: int, unit: str = "usd", limit: int | None = 10**9) -> None:
        self.now.append(
            Balance(
                budget="day", unit=unit, mode="enforce", per="24h", scope={"agent": agent}, limit=limit, spent=spent, reserved=1, starts_ns=0,
                resets_at_ns=None,
            )
        )  # fmt: skip

    def read(self) -> list[Balance]:
        return self.now

    def samples(self, metrics: Metrics) -> dict[tuple[str, str], float]:
        families = text_string_to_metric_families(metrics.render().decode())
        return {
            (one.name.removeprefix("weighbridge_budget_"), one.labels["scope"]): one.value
            for family in families
            for one in family.samples
            if "budget" in one.labels
        }


def test_budgets_are_gauges_in_their_units() -> None:
    accounts, metrics = Accounts(), Metrics([])
    metrics.gauges.append(make_budget_gauges(accounts, lambda: 10**18))
    accounts.add("a", 250_000_000)
    accounts.add("a", 7, "tokens", None)
    found = accounts.samples(metrics)
    assert found[("spent_usd", "agent=a")] == found[("forecast_usd", "agent=a")] == 0.25
    assert (found[("limit_usd", "agent=a")], found[("reserved_usd", "agent=a")], found[("spent_tokens", "agent=a")]) == (1, 1e-9, 7)
    assert ("limit_tokens", "agent=a") not in found, "a budget that is gone has no limit, and 0 would be one"


def test_accounts_past_the_bound_are_added_up_and_the_others_keep_their_series() -> None:
    accounts, metrics = Accounts(), Metrics([])
    metrics.gauges.append(make_budget_gauges(accounts, lambda: 10**18))
    for number in range(MAX_ACCOUNTS + 2):
        accounts.add(f"{number:04d}", 1000 + number, "calls")
    found = accounts.samples(metrics)
    assert found[("spent_calls", "other")] == 1000 + 1001 and ("spent_calls", "agent=0000") not in found
    assert sum(name == "spent_calls" for name, _ in found) == MAX_ACCOUNTS + 1
    accounts.now = accounts.now[:-1]
    accounts.add("new", 10**8, "calls")
    found = accounts.samples(metrics)
    assert ("spent_calls", "agent=new") in found and ("spent_calls", "agent=0002") in found, "a place came free; nobody lost one"
    assert found[("spent_calls", "other")] == 1000 + 1001
