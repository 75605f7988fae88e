"""What the window makes of figures: growth over restarts, series and processes that turn up later, the past that it keeps."""

from __future__ import annotations

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from proxy.controlplane.notices.window import SPAN_S, Figure, Window

FIGURES = [Figure("calls_total", ("agent", "result")), Figure("dropped_total", ("reason",), is_older=True), Figure("age")]


def calls(**by: float) -> Metric:
    """Counts as agent_result=value, over two models that nobody asks for."""
    family = CounterMetricFamily("calls", "", labels=["agent", "model", "result"])
    for name, value in by.items():
        agent, result = name.split("_")
        family.add_metric([agent, "m", result], value / 2)
        family.add_metric([agent, "n", result], value / 2)
    return family


def look(*moments: tuple[float, list[Metric]]) -> Window:
    window = Window(FIGURES)
    for at_s, families in moments:
        window.take(at_s, families)
    return window


def test_growth_is_added_up_over_the_labels_that_are_not_asked_for() -> None:
    window = look((0, [calls(a_ok=10, a_bad=2, b_ok=1)]), (30, [calls(a_ok=16, a_bad=3, b_ok=1)]))
    assert window.measure("calls_total", 300, ("agent",)) == {("a",): 7, ("b",): 0}
    assert window.measure("calls_total", 300, ("agent",), result="bad") == {("a",): 1}
    assert window.measure("calls_total", 300, result=("ok", "bad")) == {(): 7}
    assert window.span_s == 30


def test_a_counter_that_fell_was_begun_again() -> None:
    window = look((0, [calls(a_ok=100)]), (30, [calls(a_ok=110)]), (60, [calls(a_ok=4)]), (90, [calls(a_ok=5)]))
    assert window.measure("calls_total", 300) == {(): 15}


def test_what_is_shown_at_first_is_no_growth_and_what_turns_up_later_is() -> None:
    window = look((0, [calls(a_ok=100)]), (30, [calls(a_ok=100, b_ok=7)]))
    assert window.measure("calls_total", 300, ("agent",)) == {("a",): 0, ("b",): 7}
    empty = look((0, [calls()]), (30, [calls(b_ok=7)]))
    assert empty.measure("calls_total", 300, ("agent",)) == {("b",): 7}


def test_a_family_that_was_unknown_is_old_where_it_turns_up() -> None:
    window = look((0, []), (30, [calls(a_ok=5000)]), (60, [calls(a_ok=5001, b_ok=2)]))
    assert window.measure("calls_total", 300, ("agent",)) == {("a",): 1, ("b",): 2}


def test_a_series_of_another_process_is_old_where_it_turns_up() -> None:
    def dropped(**by: float) -> Metric:
        family = CounterMetricFamily("dropped", "", labels=["reason"])
        for reason, value in by.items():
            family.add_metric([reason], value)
        return family

    window = look((0, [dropped(mine=0)]), (30, [dropped(mine=0, theirs=900)]), (60, [dropped(mine=1, theirs=901)]))
    assert window.measure("dropped_total", 300, ("reason",)) == {("mine",): 1, ("theirs",): 1}


def test_a_series_that_went_and_comes_back_counts_anew() -> None:
    window = look((0, [calls(a_ok=5)]), (30, [calls()]), (60, [calls(a_ok=2)]))
    assert window.measure("calls_total", 300, ("agent",)) == {("a",): 2}


def test_gauges_are_what_they_are_now() -> None:
    window = look((0, [GaugeMetricFamily("age", "", 5)]), (30, [GaugeMetricFamily("age", "", 9)]))
    assert window.read("age") == {(): 9}
    assert window.trace("age", 60) == [{(): 5}, {(): 9}]
    assert look((0, [])).read("age") == {}


def test_the_past_reaches_back_as_far_as_is_asked_and_not_further() -> None:
    window = Window(FIGURES)
    for second in range(0, 7200, 30):
        window.take(second, [calls(a_ok=second)])
    assert window.now_s == 7170
    assert window.measure("calls_total", 300) == {(): 300}
    assert window.measure("calls_total", 900) == {(): 900}
    (hour,) = window.measure("calls_total", 3600).values()
    assert 3600 <= hour <= 4200  # of what is older than a quarter of an hour one look in ten minutes is kept


def test_what_is_kept_is_bounded() -> None:
    window = Window(FIGURES)
    for second in range(0, 12 * 3600, 30):
        window.take(second, [calls(a_ok=second)])
    assert SPAN_S <= window.span_s < SPAN_S + 1200
    assert len(window.trace("age", 10**9)) < 100
