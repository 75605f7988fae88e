"""Evaluators of others, in processes of their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from evaluators.sample import Sample
from proxy.controlplane.inspection.apart import Apart, NoVerdict

PATH = "tests.controlplane.inspection.guests:judge"


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def guest() -> Iterator[Apart]:
    one = Apart("mine", PATH, 300.0)
    yield one
    one.close()


def refuse(guest: Apart, text: str) -> str:
    with pytest.raises(NoVerdict) as caught:
        guest.judge(Sample(text=text))
    return caught.value.reason


def test_its_verdicts_come_back_under_the_name_of_the_config(guest: Apart) -> None:
    verdict = guest.judge(Sample(text="LOUD"))
    assert (verdict.name, verdict.label, verdict.severity) == ("mine", "shout", "warning")
    assert verdict.score == 1.0  # held to its bounds
    assert len(verdict.explanation) == 300
    assert guest.judge(Sample(text="silent")) is None


def test_what_goes_wrong_in_it_goes_wrong_there(guest: Apart) -> None:
    assert refuse(guest, "raise") == "raised"
    assert refuse(guest, "other") == "raised"
    assert refuse(guest, "exit") == "died"
    assert guest.judge(Sample(text="x" * 1_000_000 + "y")).label == "pass"  # started again; longer than a pipe holds


def test_one_that_does_not_end_is_killed_at_its_deadline() -> None:
    guest = Apart("mine", PATH, 0.2, start_s=300.0)
    assert guest.judge(Sample(text="quiet")).label == "pass"
    process = guest._process
    assert refuse(guest, "hang") == "timeout"
    assert process is not None and process.poll() is not None


def test_after_several_failures_it_rests() -> None:
    clock = Clock()
    guest = Apart("mine", "no.such:thing", 300.0, clock)
    assert [refuse(guest, "") for _ in range(4)] == ["died", "died", "died", "resting"]
    clock.now = 61.0
    assert refuse(guest, "") == "died"


def test_being_late_in_a_time_that_somebody_else_gave_makes_it_rest_for_nobody() -> None:
    guest = Apart("mine", PATH, 300.0, start_s=0.0)
    for _ in range(4):
        with pytest.raises(NoVerdict, match="timeout"):
            guest.judge(Sample(text="hang"), 0.0)
    guest.close()
