"""What Weighbridge tells of itself, whatever state it is in."""

from __future__ import annotations

import msgspec
from prometheus_client.parser import text_string_to_metric_families

from proxy.config import Config
from proxy.controlplane.metrics import Metrics
from proxy.controlplane.plane import ControlPlane
from proxy.record import Pulse


def read(metrics: Metrics) -> dict[str, float]:
    return {sample.name: sample.value for family in text_string_to_metric_families(metrics.render().decode()) for sample in family.samples}


def test_the_state_of_both_planes_is_shown(tmp_path) -> None:
    plane = ControlPlane(Config(state_dir=str(tmp_path)))
    found = read(plane.metrics)
    assert found["weighbridge_database_rebuilds_total"] == found["weighbridge_journal_lag_bytes"] == 0
    assert "weighbridge_in_flight_calls" not in found
    plane.receiver.take(b"P" + msgspec.msgpack.encode(Pulse(**{field.name: 10**9 for field in msgspec.structs.fields(Pulse)})))
    plane.loader.reader.torn = 3
    found = read(plane.metrics)
    assert found["weighbridge_in_flight_calls"] == found["weighbridge_journal_lost_lines_total"] == 10**9
    assert (found["weighbridge_loop_lag_seconds"], found["weighbridge_journal_torn_lines_total"]) == (1, 3)
    assert 0 <= found["weighbridge_pulse_age_seconds"] < 60
    plane.receiver._socket.close()
