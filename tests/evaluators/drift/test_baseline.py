"""The baseline: it learns in two steps, weighs what it has, and names what moved."""

from __future__ import annotations

import numpy as np
import pytest

from evaluators.drift import cause, features, figures, prompts, verdicts
from evaluators.drift.alarm import Move
from evaluators.drift.baseline import BLOCK_ANSWERS, DIRECTION_SHARE, FEATURES_SHARE, FLAGS_SHARE, URGENT, Baseline
from evaluators.drift.fingerprint import SIZE
from evaluators.drift.settings import Settings

TEXTS = len(features.NAMES)
OUTPUTS = TEXTS + len(figures.NAMES)
PROMPTS = len(prompts.NAMES)


def drive(baseline: Baseline, rng: np.random.Generator, number: int, shift: float = 0.0, rate: float = 0.02) -> None:
    for _ in range(number):
        values = np.concatenate([rng.normal(size=OUTPUTS), rng.normal(size=PROMPTS)])
        values[3] += shift
        values[TEXTS:OUTPUTS] = np.nan
        flags = rng.random(4) < [rate, 0.1, 0.0, 1.0]
        baseline.add(values[None], flags[None], rng.integers(0, 40, (1, SIZE)).astype(np.uint8))
        if not baseline.room:
            baseline.judge()
    baseline.judge()


@pytest.fixture
def learned() -> tuple[Baseline, np.random.Generator]:
    rng = np.random.default_rng(1)
    baseline = Baseline(Settings(), OUTPUTS, PROMPTS, TEXTS, np.ones(4))
    drive(baseline, rng, 300)
    return baseline, rng


def test_the_parts_of_the_evidence_sum_to_one() -> None:
    assert np.isclose(FEATURES_SHARE + FLAGS_SHARE + DIRECTION_SHARE, 1)


def test_nothing_is_weighed_before_the_warm_up_is_whole() -> None:
    baseline = Baseline(Settings(), OUTPUTS, PROMPTS, TEXTS, np.ones(4))
    drive(baseline, np.random.default_rng(2), 299)
    assert baseline.direction is None and baseline.room == 1 and not len(baseline.judge()) and baseline.judged == 0
    drive(baseline, np.random.default_rng(3), 1)
    assert baseline.direction is not None and baseline.judged == 300 and baseline.room == BLOCK_ANSWERS


def test_only_what_was_known_is_weighed_and_the_warm_up_is_let_go(learned: tuple) -> None:
    baseline, _ = learned
    assert len(baseline.rows) == len(baseline.sketches) == BLOCK_ANSWERS
    assert baseline.rows.base is None and baseline.sketches.base is None
    assert np.isclose(baseline.shares.sum(), FEATURES_SHARE)
    assert len(baseline.bank.index) == TEXTS + PROMPTS and (baseline.shares > 0).sum() == TEXTS


def test_a_feature_that_moved_is_named_with_its_start(learned: tuple) -> None:
    baseline, rng = learned
    drive(baseline, rng, 30)
    drive(baseline, rng, 40, shift=1.5)
    names = [f"feature {index}" for index in range(OUTPUTS)] + list("abcd")
    began = baseline.find_start()
    moves = cause.find_moves(baseline, names, began)
    assert isinstance(moves[0], Move) and moves[0].name == "feature 3"
    assert 322 <= began <= 340
    assert baseline.input_evidence() < 100


def test_a_flag_that_is_raised_more_often_is_named(learned: tuple) -> None:
    baseline, rng = learned
    drive(baseline, rng, 80, rate=0.5)
    moves = cause.find_moves(baseline, [f"feature {index}" for index in range(OUTPUTS)] + list("abcd"), baseline.find_start())
    assert moves[0].name == "a" and moves[0].before < 0.1 and 0.3 < moves[0].after < 0.7
    assert baseline.strongest > 1e4
    baseline.clear()
    assert baseline.strongest == 0 and not any(each.sums.any() for each in (baseline.bank, baseline.rates, baseline.direction))


def test_an_answer_with_a_fault_that_never_was_presses_and_so_does_evidence(learned: tuple) -> None:
    baseline, rng = learned
    usual = [False, False, False, True]
    assert not baseline.is_pressing(usual) and not baseline.is_pressing([True, True, False, True])
    assert baseline.is_pressing([False, False, True, True]) and baseline.is_pressing([False] * 4)
    drive(baseline, rng, 12, shift=2.0)
    assert baseline.strongest >= URGENT / baseline.settings.alpha and baseline.is_pressing(usual)


def test_what_is_not_watched_for_an_alarm_never_spoils_what_is(learned: tuple) -> None:
    """Prompts that changed for good gain evidence without end; infinite evidence of no share at all would be no number."""
    baseline, rng = learned
    for _ in range(1500):
        values = np.concatenate([rng.normal(size=OUTPUTS), rng.normal(9, 0.1, size=PROMPTS)])
        baseline.add(values[None], rng.random((1, 4)) < [0.02, 0.1, 0.0, 1.0], rng.integers(0, 40, (1, SIZE)).astype(np.uint8))
        if not baseline.room:
            assert np.isfinite(baseline.judge()).all()
    assert baseline.input_evidence() > 1e50


def test_places_of_verdicts_run_out_and_the_last_is_shared() -> None:
    places = verdicts.Verdicts()
    for index in range(verdicts.PLACES + 3):
        flags = places.place([f"name {index}"])
        assert sum(flags) == 1 and len(flags) == verdicts.PLACES
    assert flags[-1] and len(places.names) == verdicts.PLACES


def test_figures_are_logarithms_or_not_known() -> None:
    meta = {"output_tokens": 100, "input_tokens": 50, "latency_s": 2.0, "tools": ["a", "b"]}
    found = dict(zip(figures.NAMES, figures.weigh(400, meta), strict=True))
    assert np.isclose(found["latency"], np.log1p(2000)) and np.isclose(np.expm1(found["tool calls"]), 2)
    assert np.isnan(found["reasoning tokens"]) and np.isnan(found["time to first chunk"])
    assert np.isnan(figures.weigh(400, {"prompt": "x"})).all()
    assert np.isnan(figures.weigh(400, {"latency_s": -1.0})[0])


def test_a_prompt_is_counted_or_not_known() -> None:
    found = dict(zip(prompts.NAMES, np.expm1(prompts.measure("Why, and how?\nSay it.")), strict=True))
    assert np.isclose(found["length"], 21) and np.isclose(found["questions"], 1) and np.isclose(found["lines"], 1)
    assert np.isnan(prompts.measure(None)).all()
