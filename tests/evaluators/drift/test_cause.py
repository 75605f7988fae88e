"""The cause: only what moved is named, the strongest first."""

from __future__ import annotations

import numpy as np
import pytest

from evaluators.drift import Alarm, Detector, flags
from evaluators.drift.baseline import Baseline
from tests.evaluators.drift.streams import answers


def find_alarm(texts: list[str], finish: str = "stop", warmup: int = 300) -> Alarm:
    detector = Detector()
    for number, text in enumerate(texts):
        if alarm := detector.update(text, {"finish_reason": "stop" if number < warmup else finish}):
            return alarm
    raise AssertionError("no alarm")


def test_what_did_not_move_is_not_named_whatever_its_evidence(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same kind of text all along, so that nothing but the reason why it ended is another."""
    weigh = Baseline.weigh_flags

    def favour(self: Baseline) -> np.ndarray:
        parts = weigh(self)
        parts[[flags.NAMES.index(name) for name in ("broken JSON", "refusal")]] = parts.max() / 2
        return parts

    monkeypatch.setattr(Baseline, "weigh_flags", favour)
    alarm = find_alarm([*answers(1, 330), *answers(2, 60)], finish="length", warmup=330)
    assert alarm.moves[0].name == "not finished by itself"
    assert not {move.name for move in alarm.moves} & {"broken JSON", "refusal"}
    assert all(move.before != move.after for move in alarm.moves)


def test_all_that_moved_is_named_the_strongest_first() -> None:
    alarm = find_alarm([*answers(3, 330), *answers(4, 200, sentences=12, bullets=0.9)])
    assert {"length", "words", "lines"} & {move.name for move in alarm.moves}
    assert all(abs(move.after - move.before) > 0 for move in alarm.moves)
    evidence = [move.evidence for move in alarm.moves]
    assert evidence == sorted(evidence, reverse=True) and len(evidence) > 1


def test_where_no_mean_moved_the_strongest_evidence_is_named_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where answers are longer and shorter than before in turn."""
    monkeypatch.setattr(Baseline, "average_since", lambda self, began: self.means)
    alarm = find_alarm([*answers(3, 330), *answers(4, 200, sentences=12)])
    (move,) = alarm.moves
    assert move.before == move.after and move.evidence > 0
