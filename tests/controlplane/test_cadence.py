"""How long an agent may be silent: by its own pauses, without the hours in which it never calls."""

from __future__ import annotations

import random

import pytest

from proxy.controlplane.cadence import DAY_S, HOUR_S, Cadence, count_days, find_cell, measure

MONDAY_S = 1_767_571_200.0  # 2026-01-05T00:00Z
LEARN_S = 3 * DAY_S


def live(cadence: Cadence, days: int, hours: range, every_s: float, spread: float = 0.0, days_a_week: int = 5) -> Cadence:
    """Calls of ten seconds within these hours of working days, so often and a little irregularly."""
    chance = random.Random(7)
    for day in range(days):
        if day % 7 >= days_a_week:
            continue
        at_s = MONDAY_S + day * DAY_S + hours.start * HOUR_S
        while at_s < MONDAY_S + day * DAY_S + hours.stop * HOUR_S:
            cadence.note(at_s, at_s + 10)
            at_s += every_s * (1 + spread * chance.random())
    return cadence


def limit(cadence: Cadence) -> float | None:
    return cadence.learn(LEARN_S, cadence.find_quiet())


def test_a_steady_agent_may_be_silent_for_twice_its_usual_pause() -> None:
    steady = live(Cadence(MONDAY_S), 7, range(24), 600, days_a_week=7)
    assert limit(steady) == 2 * 590
    assert not any(steady.find_quiet())


def test_who_never_pauses_has_the_shortest_limit() -> None:
    assert limit(live(Cadence(MONDAY_S), 4, range(24), 45)) == 300


def test_one_long_outage_does_not_stretch_the_limit() -> None:
    steady = live(Cadence(MONDAY_S), 7, range(24), 600, days_a_week=7)
    steady.note(steady.last_s + 2 * DAY_S, steady.last_s + 2 * DAY_S)
    assert limit(steady) == 2 * 590


@pytest.mark.parametrize(("days", "back"), [(4, 4), (5, 7), (12, 14), (40, 42)])
def test_office_hours_page_nobody_at_night_nor_at_the_weekend(days: int, back: int) -> None:
    office = live(Cadence(MONDAY_S), days, range(8, 18), 900, spread=0.5)
    quiet, base_s = office.find_quiet(), limit(office)
    assert base_s is not None and 1800 <= base_s < 3 * HOUR_S
    morning_s = MONDAY_S + back * DAY_S + 8 * HOUR_S  # when it is to be there again
    assert measure(office.last_s, morning_s, quiet) < base_s < measure(office.last_s, morning_s + 3 * HOUR_S, quiet)


def test_four_weeks_of_office_hours_are_no_silence_at_any_moment() -> None:
    office, alarms = Cadence(MONDAY_S), 0
    for began_s, ended_s in live(_Noted(MONDAY_S), 28, range(8, 18), 1800, spread=0.5).noted:
        base_s = limit(office)
        alarms += base_s is not None and measure(office.last_s, began_s, office.find_quiet()) > base_s
        office.note(began_s, ended_s)
    assert alarms == 0


class _Noted(Cadence):
    """Remembers what it was told."""

    def __init__(self, first_s: float) -> None:
        super().__init__(first_s)
        self.noted: list[tuple[float, float]] = []

    def note(self, began_s: float, ended_s: float) -> None:
        self.noted.append((began_s, ended_s))


def test_nothing_is_known_of_the_new_and_of_the_rare() -> None:
    assert limit(live(Cadence(MONDAY_S), 2, range(24), 600)) is None, "a first night would be a silence"
    weekly = Cadence(MONDAY_S)
    for week in range(30):
        weekly.note(MONDAY_S + week * 7 * DAY_S, MONDAY_S + week * 7 * DAY_S)
    assert limit(weekly) is None, "no hour is known in which it usually calls"


def test_calls_that_overlap_make_no_pause() -> None:
    cadence = Cadence(MONDAY_S)
    cadence.note(MONDAY_S, MONDAY_S + 500)
    cadence.note(MONDAY_S + 100, MONDAY_S + 200)
    cadence.note(MONDAY_S + 520, MONDAY_S + 530)
    assert not cadence.pauses and cadence.last_s == MONDAY_S + 530


def test_old_days_count_less_and_less() -> None:
    cadence = live(Cadence(MONDAY_S), 120, range(24), 1800, days_a_week=7)
    assert max(cadence.cells) < 60 and not any(cadence.find_quiet())


def test_hours_and_days_of_the_week() -> None:
    saturday = int(MONDAY_S // HOUR_S) + 5 * 24
    assert (find_cell(int(MONDAY_S // HOUR_S) + 9), find_cell(saturday + 9)) == (9, 33)
    monday = int(MONDAY_S // DAY_S)
    assert [count_days(monday, monday + days) for days in (0, 4, 5, 6, 7, 13)] == [(1, 0), (5, 0), (5, 1), (5, 2), (6, 2), (10, 4)]
    assert count_days(monday + 5, monday + 7) == (1, 2)
