"""The data plane's own words: every breaker, key and limit with its labels."""

from __future__ import annotations

import msgspec

from proxy.controlplane.metrics.pulse import collect_pulse
from proxy.pulse import KeyState, LimitState, Pulse, UpstreamState


def test_breakers_keys_and_limits_have_series(read) -> None:
    keys = [KeyState(name="K1", breaker=2, opened=3, is_parked=False), KeyState(name="K2", breaker=0, opened=0, is_parked=True)]
    pulse = Pulse(
        **{field.name: 5 for field in msgspec.structs.fields(Pulse) if field.required},
        upstreams=[UpstreamState(name="a", quota_refused=4, keys=keys)],
        limits=[LimitState(name="day", running=2, waiting=1)],
    )
    found = read(collect_pulse(msgspec.msgpack.decode(msgspec.msgpack.encode(pulse), type=Pulse), 2_000_000_000))
    assert found["breaker_state{key=K1,upstream=a}"] == 2 and found["breaker_opened_total{key=K1,upstream=a}"] == 3
    assert (found["key_parked{key=K1,upstream=a}"], found["key_parked{key=K2,upstream=a}"]) == (0, 1)
    assert found["retry_quota_refusals_total{upstream=a}"] == 4
    assert (found["running_calls{limit=day}"], found["waiting_calls{limit=day}"]) == (2, 1)
    assert (found["accounting_gap_calls{}"], found["loop_lag_seconds{}"]) == (5, 2)
