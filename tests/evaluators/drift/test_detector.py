"""The detector: it learns, finds a change and names its cause, keeps silent on bursts, and takes the orders of its user."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluators.drift import Alarm, Detector
from evaluators.drift.detector import FEATURE_NAMES
from evaluators.drift.state import load, save
from tests.evaluators.drift.streams import answers, bursts


def feed(detector: Detector, texts: Iterable[str], **meta: object) -> Alarm | None:
    """The first alarm, with what was not read yet left in `texts` where that is an iterator."""
    for text in texts:
        if alarm := detector.update(text, {"finish_reason": "stop", **meta}):
            return alarm
    return None


@pytest.fixture
def learned() -> Detector:
    detector = Detector()
    assert feed(detector, answers(1, 320), model_answered="model-a", prompt="please report") is None
    return detector


def test_too_little_traffic_is_said_and_not_judged() -> None:
    detector = Detector()
    assert detector.status.explain() == "too little traffic to judge: 0 answers seen, 300 more are needed"
    assert feed(detector, itertools.chain(answers(1, 150), answers(2, 149, sentences=30))) is None
    assert detector.state == "learning" and detector.status.missing == 1
    feed(detector, answers(3, 1))
    assert detector.state == "watching" and detector.status.explain().startswith("watching: 300 answers")


def test_a_change_of_length_is_found_and_named(learned: Detector) -> None:
    alarm = feed(learned, answers(4, 60, sentences=12), model_answered="model-b", prompt="please report")
    assert alarm.severity == "certain" and alarm.kind == "output"
    assert alarm.at <= 340 and 318 <= alarm.began <= 325
    assert alarm.evidence >= alarm.threshold == 1e4
    moved = {move.name: move for move in alarm.moves}
    assert moved.keys() & {"length", "words", "lines", "sentences"}
    assert all(move.after > 1.5 * move.before for name, move in moved.items() if name in ("length", "words", "lines"))
    assert [(each.name, each.before, each.after, each.first_seen) for each in alarm.wire] == [("model_answered", "model-a", "model-b", 321)]
    assert len(alarm.before) == 3 and len(alarm.after) == 3
    assert "model_answered model-a -> model-b" in alarm.explain()


def test_a_fifth_cut_short_is_found_and_named(learned: Detector) -> None:
    rng = random.Random(3)
    texts = [text[: len(text) // 2] if rng.random() < 0.2 else text for text in answers(5, 200)]
    alarm = feed(learned, texts, model_answered="model-a", prompt="please report")
    assert alarm.at <= 400
    assert {"cut short", "ends with a letter"} & {move.name for move in alarm.moves[:3]}
    assert not alarm.wire


def test_verdicts_of_others_count(learned: Detector) -> None:
    alarm = feed(learned, answers(6, 100), verdicts=["schema"], prompt="please report", model_answered="model-a")
    assert alarm is not None and alarm.moves[0].name == "schema" and alarm.moves[0].before == 0 and alarm.moves[0].after > 0.5


def test_figures_count_and_may_be_missing() -> None:
    detector = Detector()
    rng = random.Random(4)
    for text in answers(7, 310):
        assert detector.update(text, {"latency_s": rng.lognormvariate(0, 0.2)}) is None
    for text in answers(8, 20):
        assert detector.update(text, {}) is None
    found = None
    for text in answers(9, 60):
        found = found or detector.update(text, {"latency_s": rng.lognormvariate(1.5, 0.2)})
    assert found.moves[0].name == "latency" and 700 < found.moves[0].before < 1300 and found.moves[0].after > 3000


def test_a_change_of_the_prompts_is_told_apart() -> None:
    detector = Detector()
    for seed, text in enumerate(answers(10, 320)):
        assert detector.update(text, {"prompt": next(answers(seed, 1, sentences=2))}) is None
    alarm = None
    for seed, text in enumerate(answers(11, 80, sentences=12)):
        alarm = alarm or detector.update(text, {"prompt": next(answers(seed, 1, sentences=9))})
    assert alarm.kind == "input" and "the prompts changed too" in alarm.explain()


def test_bursts_raise_hardly_an_alarm() -> None:
    """How often bursts do raise one on recorded answers is counted in benchmarks/drift.md."""
    assert sum(feed(Detector(), bursts(seed, 900)) is not None for seed in range(6)) <= 1


def test_nothing_changes_nothing_is_said() -> None:
    """How often something is said all the same is counted in benchmarks/drift.md: here one in 10,000 answers would be one in four runs."""
    alarms = [alarm.severity for seed in range(4) if (alarm := feed(Detector(sensitive=True), answers(seed, 900)))]
    assert alarms in ([], ["likely"])


def test_after_an_alarm_it_waits_for_an_order(learned: Detector) -> None:
    assert feed(learned, answers(12, 60, sentences=12), prompt="please report")
    assert learned.state == "alarmed" and feed(learned, answers(13, 60, sentences=12)) is None
    learned.accept()
    assert learned.status.baseline == 2 and learned.state == "learning"
    assert feed(learned, answers(14, 500, sentences=12)) is None
    assert feed(learned, answers(15, 100)).baseline == 2


def test_a_dismissed_alarm_keeps_the_baseline(learned: Detector) -> None:
    assert feed(learned, answers(16, 60, sentences=12), prompt="please report")
    learned.dismiss()
    assert learned.state == "watching" and learned.status.baseline == 1
    assert feed(learned, answers(17, 100), prompt="please report") is None
    assert feed(learned, answers(18, 60, sentences=12), prompt="please report")


def test_the_sensitive_one_may_say_likely_first_and_certain_later() -> None:
    detector = Detector(sensitive=True)
    feed(detector, answers(19, 320))
    said = [alarm.severity for text in answers(20, 300, words=11) if (alarm := detector.update(text, {}))]
    assert said in (["certain"], ["likely", "certain"])


def test_when_answers_are_judged_changes_nothing_of_what_is_found(learned: Detector) -> None:
    """Together as they come, or each at once; only an alarm comes later, by a block at most."""
    prompt, at_once = "please report", load(save(learned, with_examples=True))
    texts = [*answers(21, 37), *answers(22, 40, words=11)]
    together = [learned.update(text, {"prompt": prompt}) for text in texts]
    alone = [at_once.update(text, {"prompt": prompt}) or at_once.judge() for text in texts]
    (late,), (early,) = ([number for number, alarm in enumerate(alarms) if alarm] for alarms in (together, alone))
    assert (together[late].at, together[late].evidence) == (alone[early].at, alone[early].evidence) and 37 <= early <= late < early + 8
    assert alone[early].at == 321 + early and at_once.unjudged == 0


def test_a_fault_that_never_was_is_judged_at_once(learned: Detector) -> None:
    learned.judge()
    feed(learned, answers(23, 1), prompt="please report")
    assert learned.unjudged == 1
    learned.update("", {"prompt": "please report"})
    assert learned.unjudged == 0 and learned.evidence > 0


def test_of_texts_that_wait_little_is_held(learned: Detector) -> None:
    learned.judge()
    feed(learned, answers(24, 3), prompt="please report")
    assert len(learned.waiting) == learned.unjudged == 3
    learned.update("A long answer. " * 1000, {"prompt": "please report"})
    assert not learned.waiting and learned.unjudged in (0, 4)


def test_a_text_that_cannot_be_measured_waits_no_longer(learned: Detector, monkeypatch: pytest.MonkeyPatch) -> None:
    learned.judge()
    monkeypatch.setattr("evaluators.drift.features.measure", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        feed(learned, answers(25, 8))
    assert not learned.waiting
    monkeypatch.undo()
    feed(learned, answers(26, 8), prompt="please report")
    assert learned.status.answers == 328 and learned.unjudged == 0


@pytest.mark.parametrize("arguments", [{"alpha": 0}, {"alpha": 1}, {"first": 10}, {"first": 200, "warmup": 100}])
def test_settings_that_cannot_be_are_refused(arguments: dict) -> None:
    with pytest.raises(ValueError, match="give"):
        Detector(**arguments)


@settings(deadline=None, max_examples=10)
@given(st.lists(st.text() | st.sampled_from(["", "\x00", "{" * 500, "\ud800", "a" * 17_000, "```", "[[", "\u200b"]), min_size=1, max_size=12))
def test_no_text_makes_it_fail(texts: list[str]) -> None:
    detector = Detector(warmup=50, first=50)
    for text in itertools.islice(itertools.cycle(texts), 70):
        detector.update(text, {"prompt": text, "finish_reason": text[:9], "id": 7})
        assert np.isfinite(detector.evidence) and np.isfinite(detector.likelihood)


def test_an_answer_of_ten_megabytes_is_read_at_its_ends_only(learned: Detector) -> None:
    learned.update("word " * 2_000_000, {})
    learned.judge()
    newest = dict(zip(FEATURE_NAMES, learned.answers.recent[320 % len(learned.answers.recent)], strict=False))
    assert np.isclose(newest["length"], math.log1p(10_000_000), rtol=1e-2) and np.isclose(newest["words"], math.log1p(3200), rtol=1e-2)
