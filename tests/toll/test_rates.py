"""Rate limits: what may come in any time is bounded, refusals tell the truth, and every call is corrected once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.rules import Queue, RateLimit
from proxy.toll.line import Wait
from proxy.toll.rates import Rates
from proxy.toll.subject import Subject

S = 1_000_000_000
NOW = 1_800_000_000 * S
ANN, BOB = Subject(agent="ann", upstream="p"), Subject(agent="bob", upstream="p")


def limit(**fields: object) -> RateLimit:
    return RateLimit(name="x", **fields)  # type: ignore[arg-type]


def take(rates: Rates, id: str, now_ns: int = NOW, subject: Subject = ANN, input_tokens: int = 0, output_tokens: int = 0) -> Wait | None:
    return rates.take(id, subject, input_tokens, output_tokens, now_ns)


def fill(rates: Rates, now_ns: int = NOW, most: int = 100_000, **fields: int) -> int:
    """How many calls get in at once."""
    for number in range(most):
        if take(rates, f"{now_ns}-{number}", now_ns, **fields) is not None:
            return number
    return most


ARRIVALS = st.lists(st.tuples(st.integers(0, 8000), st.integers(1, 4000)), min_size=1, max_size=200)


@given(
    arrivals=ARRIVALS,
    rate=st.sampled_from([1.0, 7.0, 60.0, 600.0, 5000.0, 1e6]),
    burst_s=st.sampled_from([0.0, 0.5, 1.0, 10.0]),
    unit=st.sampled_from(["requests_per_minute", "input_tokens_per_minute", "output_tokens_per_minute"]),
)
def test_no_span_of_time_holds_more_than_the_rate_and_one_burst(arrivals: list[tuple[int, int]], rate: float, burst_s: float, unit: str) -> None:
    rates = Rates([limit(**{unit: rate}, burst_s=burst_s)])
    now_ns, came = NOW, []
    for number, (gap_ms, tokens) in enumerate(arrivals):
        now_ns += gap_ms * 1_000_000
        amount = 1 if unit.startswith("requests") else tokens
        wait = take(rates, str(number), now_ns, input_tokens=tokens, output_tokens=tokens)
        if wait is None:
            came.append((now_ns, amount))
        else:
            assert wait.after_s > 0 and wait.unit == unit.removesuffix("_per_minute") and wait.bound == pytest.approx(rate)
    for first, (begins_ns, _) in enumerate(came):
        total = largest = 0
        for at_ns, amount in came[first:]:
            total, largest = total + amount, max(largest, amount)
            burst = rate / 60 * burst_s
            allowed = rate / 60 * ((at_ns - begins_ns) / S) + max(burst, largest + min(burst, largest))
            assert total <= allowed * (1 + 1e-9) + 1e-3


@given(arrivals=ARRIVALS, rate=st.sampled_from([7.0, 60.0, 6000.0, 1e6]), burst_s=st.sampled_from([0.0, 1.0, 5.0]))
def test_who_waits_as_long_as_told_gets_in_and_not_much_sooner(arrivals: list[tuple[int, int]], rate: float, burst_s: float) -> None:
    rates = Rates([limit(input_tokens_per_minute=rate, requests_per_minute=100.0, burst_s=burst_s)])
    now_ns = NOW
    for number, (gap_ms, tokens) in enumerate(arrivals):
        now_ns += gap_ms * 1_000_000
        wait = take(rates, str(number), now_ns, input_tokens=tokens)
        if wait is not None:
            if wait.after_s > 0.001:
                assert take(rates, f"soon-{number}", now_ns + int((wait.after_s - 0.0005) * S), input_tokens=tokens) is not None
            now_ns += int(wait.after_s * S) + 1000
            assert take(rates, f"then-{number}", now_ns, input_tokens=tokens) is None


@pytest.mark.parametrize("rate, burst_s, fits", [(600, 1.0, 10), (600, 0.0, 1), (6, 1.0, 1), (60, 1.0, 2), (6000, 2.5, 250)])
def test_a_burst_is_worth_its_seconds_and_at_least_a_call(rate: float, burst_s: float, fits: int) -> None:
    assert fill(Rates([limit(requests_per_minute=rate, burst_s=burst_s)])) == fits


def test_a_call_larger_than_the_burst_goes_when_no_more_than_the_burst_is_owed() -> None:
    rates = Rates([limit(input_tokens_per_minute=6000)])
    assert take(rates, "large", input_tokens=300) is None
    wait = take(rates, "larger", input_tokens=50_000)
    assert wait is not None and wait.after_s == pytest.approx(2)
    assert take(rates, "larger", NOW + 2 * S, input_tokens=50_000) is None
    wait = take(rates, "next", NOW + 2 * S, input_tokens=10)
    assert wait is not None and wait.after_s == pytest.approx(500 + 1 - 0.9)


def test_all_or_nothing() -> None:
    rates = Rates([limit(requests_per_minute=60), RateLimit(name="y", concurrent=1)])
    assert take(rates, "a") is None
    wait = take(rates, "b", NOW + 10 * S)
    assert wait is not None and (wait.limit, wait.refusal, wait.unit) == ("y", "policy_too_many_running", "calls")
    rates.settle("a", None, None, NOW + 10 * S)
    assert fill(rates, NOW + 10 * S) == 1  # the first limit was not charged for the call that the second held back


def test_the_limit_that_holds_longest_is_named() -> None:
    rates = Rates([RateLimit(name=name, requests_per_minute=rate, burst_s=0) for name, rate in (("x", 60.0), ("slow", 1.0), ("z", 30.0))])
    take(rates, "a")
    wait = take(rates, "b")
    assert wait is not None and wait.limit == "slow" and wait.after_s == pytest.approx(60)


def test_each_name_has_its_own_account_and_match_leaves_others_out() -> None:
    rates = Rates([limit(requests_per_minute=60, burst_s=0, each=["agent"], match={"agent": "[ab]*"})])
    assert take(rates, "1") is None
    wait = take(rates, "2")
    assert wait is not None and wait.scope == {"agent": "ann"}
    assert take(rates, "3", subject=BOB) is None
    assert fill(rates, most=50, subject=Subject(agent="zoe", upstream="p")) == 50


def test_calls_at_once() -> None:
    rates = Rates([limit(concurrent=3)])
    assert fill(rates) == 3
    rates.settle(f"{NOW}-1", 5, 5, NOW + 4 * S)
    rates.settle(f"{NOW}-1", 5, 5, NOW + 4 * S)
    assert fill(rates, NOW + 5 * S) == 1
    wait = take(rates, "x", NOW + 5 * S)
    assert wait is not None and wait.after_s == pytest.approx(4 / 3) and wait.earliest_s == 0  # calls ran for four seconds


def test_a_call_that_took_more_than_it_said_is_owed_and_one_that_took_less_is_given_back() -> None:
    rates = Rates([limit(output_tokens_per_minute=6000, burst_s=0)])  # 100 a second
    take(rates, "a", output_tokens=100)
    rates.settle("a", 0, 1100, NOW + S)
    wait = take(rates, "b", NOW + S, output_tokens=100)
    assert wait is not None and wait.after_s == pytest.approx(11 - 1, abs=0.01)
    rates = Rates([limit(output_tokens_per_minute=6000, burst_s=0)])
    take(rates, "a", output_tokens=1000)
    assert take(rates, "b", NOW + S, output_tokens=100) is not None
    rates.settle("a", 0, 20, NOW + S)
    assert take(rates, "b", NOW + S, output_tokens=100) is None


def test_an_unknown_end_counts_as_estimated_and_a_second_end_not_at_all() -> None:
    rates = Rates([limit(output_tokens_per_minute=6000)])
    take(rates, "a", output_tokens=1000)
    rates.settle("a", None, None, NOW)
    rates.settle("a", 0, 0, NOW)
    rates.settle("never", 0, 0, NOW)
    wait = take(rates, "b", output_tokens=10)
    assert wait is not None and wait.after_s == pytest.approx(10 - 0.9, abs=0.01)


def test_estimates_are_scaled_by_what_came_true() -> None:
    rates = Rates([limit(output_tokens_per_minute=60_000, concurrent=10_000)])
    now_ns = NOW
    for number in range(100):
        now_ns += 60 * S
        assert take(rates, str(number), now_ns, output_tokens=10_000) is None
        rates.settle(str(number), 0, 100, now_ns)
    assert 8 <= fill(rates, now_ns + 60 * S, output_tokens=10_000) <= 10  # a second's worth of calls that take 100


def test_a_withdrawn_call_was_never_there() -> None:
    rates = Rates([limit(requests_per_minute=60, input_tokens_per_minute=600, concurrent=1)])
    for number in range(20):
        assert take(rates, str(number), input_tokens=500, output_tokens=3) is None
        rates.withdraw(str(number))
        rates.withdraw(str(number))
        rates.settle(str(number), 9, 9, NOW)
    assert fill(rates) == 1


def test_a_reload_keeps_what_was_counted() -> None:
    rates = Rates([limit(requests_per_minute=1), RateLimit(name="gone", concurrent=1)])
    assert take(rates, "a") is None
    rates.configure([limit(requests_per_minute=2)])
    wait = take(rates, "b", NOW + 20 * S)
    assert wait is not None and wait.bound == pytest.approx(2)
    assert take(rates, "b", NOW + 61 * S) is None
    rates.settle("a", 1, 1, NOW + 61 * S)
    rates.configure([limit(requests_per_minute=2, each=["agent"])])  # other accounts: counted anew
    assert take(rates, "c", NOW + 61 * S) is None
    rates.configure([])
    assert not rates.is_empty
    rates.settle("b", 1, 1, NOW + 61 * S)
    rates.settle("c", 1, 1, NOW + 61 * S)
    assert rates.is_empty


def test_idle_accounts_are_forgotten_and_running_ones_are_not() -> None:
    rates = Rates([limit(requests_per_minute=60, each=["session"])])
    for number in range(3000):
        subject = Subject(agent="a", upstream="p", session=str(number))
        assert take(rates, str(number), NOW, subject) is None
        if number:
            rates.settle(str(number), 1, 1, NOW)
    assert len(rates.states(NOW)) == 3000
    for second in range(600):
        rates.sweep(NOW + second * S)
    assert [standing.scope for standing in rates.states(NOW)] == [{"session": "0"}]


def test_how_accounts_stand() -> None:
    rates = Rates([limit(requests_per_minute=600, concurrent=4, queue=Queue(length=3))])
    take(rates, "a")
    rows = {standing.unit: standing for standing in rates.states(NOW)}
    assert rows["requests"].limit == pytest.approx(600) and rows["requests"].left == pytest.approx(9)
    assert (rows["calls"].limit, rows["calls"].left, rows["calls"].running, rows["calls"].waiting) == (4, 3, 1, 0)
