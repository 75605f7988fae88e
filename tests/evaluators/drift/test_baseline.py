"""The baseline: it learns in two steps, weighs what it has, and names what moved."""

from __future__ import annotations

import numpy as np
import pytest

from evaluators.drift import cause, features, figures, prompts, verdicts
from evaluators.drift.alarm import Move
from evaluators.drift.baseline import DIRECTION_SHARE, FEATURES_SHARE, FLAGS_SHARE, Baseline
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
        baseline.update(values, rng.random(4) < [rate, 0.1, 0.0, 1.0], rng.integers(0, 40, SIZE).astype(np.uint8))


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
    assert baseline.bank is not None and baseline.direction is None and baseline.evidence() == (0, 0)


def test_only_what_was_known_is_weighed_and_the_warm_up_is_let_go(learned: tuple) -> None:
    baseline, _ = learned
    assert not baseline.rows.size and not baseline.sketches.size
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
    baseline.clear()
    assert baseline.evidence() == (0, 0)


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
