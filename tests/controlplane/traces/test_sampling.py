"""What becomes spans: whatever is out of the ordinary, and the asked share of everything else, whole traces at a time."""

from __future__ import annotations

import pytest

from proxy.controlplane.traces.sampling import find_trace, is_kept, is_ordinary
from proxy.trace import make_trace_id
from tests.controlplane.conftest import make_record


@pytest.mark.parametrize(
    "unusual",
    [
        {"outcome": "upstream_error"}, {"outcome": "policy_budget_exhausted", "attempts": 0}, {"outcome": "weighbridge_crashed"}, {"act": "clamped"},
        {"attempts": 2}, {"attempt_of": "call-0", "outcome": "upstream_discarded"}, {"tried": "openai overloaded"},
    ],
)  # fmt: skip
def test_what_is_out_of_the_ordinary_is_always_kept(unusual: dict) -> None:
    record = make_record(1, **unusual)
    assert not is_ordinary(record) and is_kept(record, 0.0)


def test_of_ordinary_calls_a_share_is_kept_the_same_each_time() -> None:
    records = [make_record(number) for number in range(4000)]
    kept = [is_kept(one, 0.25) for one in records]
    assert 880 < sum(kept) < 1120 and kept == [is_kept(one, 0.25) for one in records]
    assert not any(is_kept(one, 0.0) for one in records) and all(is_kept(one, 1.0) for one in records)


def test_a_trace_is_kept_whole_or_not_at_all() -> None:
    for trace in (make_trace_id("x"), make_trace_id("y"), "0" * 31 + "1"):
        assert len({is_kept(make_record(number, trace_id=trace), 0.5) for number in range(20)}) == 1


def test_an_attempt_with_a_record_of_its_own_is_in_the_trace_of_its_call() -> None:
    assert find_trace(make_record(2, attempt_of="call-1")) == find_trace(make_record(1)) == make_trace_id("call-1")
    assert find_trace(make_record(1, trace_id="ab" * 16)) == "ab" * 16
