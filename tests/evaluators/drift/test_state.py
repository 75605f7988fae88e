"""The state as bytes: a restart anywhere changes nothing, it stays small, and what is no state is refused."""

from __future__ import annotations

import dataclasses

import pytest

from evaluators.drift import Detector, state
from tests.evaluators.drift.streams import answers

MOST_BYTES = 300_000


def meta_of(number: int, text: str) -> dict:
    model = "model-a" if number < 330 else "model-b"
    return {"prompt": "report", "output_tokens": len(text) // 4, "model_answered": model, "verdicts": ["odd"] if number % 50 == 0 else []}


def test_a_restart_in_the_middle_changes_nothing() -> None:
    whole, restarted = Detector(sensitive=True), Detector(sensitive=True)
    alarms = []
    for number, text in enumerate([*answers(1, 330), *answers(2, 60, sentences=8)]):
        if number % 37 == 5:
            data = state.save(restarted, with_examples=True)
            assert len(data) <= MOST_BYTES
            restarted = state.load(data)
        meta = meta_of(number, text)
        alarms.append((whole.update(text, meta), restarted.update(text, meta)))
        assert whole.evidence == restarted.evidence and whole.likelihood == restarted.likelihood
    assert all(one == other for one, other in alarms)
    assert any(one for one, _ in alarms)
    again = state.load(state.save(restarted, with_examples=True))
    assert again.alarm == whole.alarm and again.status == whole.status


def test_texts_leave_only_where_they_may() -> None:
    detector = Detector()
    for number, text in enumerate([*answers(3, 320), *answers(4, 60, sentences=15)]):
        detector.update("SECRETWORD " + text, {**meta_of(number, text), "id": f"call-{number}"})
    assert detector.alarm is not None and all("SECRETWORD" in text for _, text in (*detector.alarm.before, *detector.alarm.after))
    again = state.load(state.save(detector))
    bare = {name: tuple((identity, "") for identity, _ in getattr(detector.alarm, name)) for name in ("before", "after")}
    assert again.alarm == dataclasses.replace(detector.alarm, **bare)
    assert [identity for identity, _ in again.alarm.before] == ["call-0", "call-1", "call-2"] and len(again.alarm.after) == 3
    assert {text for _, text in again.witness.before} | {text for _, _, text in again.witness.after} == {""}
    assert [identity for _, identity, _ in again.witness.after] == [identity for _, identity, _ in detector.witness.after]


def test_a_full_state_stays_small() -> None:
    """Texts of many kinds, as far as they fill every figure; the largest moment is just before the warm-up is whole."""
    detector = Detector()
    largest = 0
    for number, text in enumerate(answers(5, 400, sentences=10, bullets=0.5)):
        detector.update(text, meta_of(0, text))
        if number in (99, 299, 300, 399):
            largest = max(largest, len(state.save(detector)))
    assert 10_000 < largest <= MOST_BYTES


@pytest.mark.parametrize("data", [b"", b"nothing", b"PK\x03\x04broken"])
def test_what_is_no_state_is_refused(data: bytes) -> None:
    with pytest.raises(state.StateError, match="anew"):
        state.load(data)


def test_a_state_of_other_features_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    data = state.save(Detector())
    monkeypatch.setattr(state, "LAYOUT", "another")
    with pytest.raises(state.StateError, match="other features"):
        state.load(data)
