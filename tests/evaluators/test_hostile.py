"""Answers made to hurt: each is judged, in memory that its own size bounds. What they cost in time `benchmarks/hostile.py` counts."""

from __future__ import annotations

import tracemalloc

import pytest

from benchmarks.rig.hostile import list_samples, write
from evaluators.catalog import BUILT_IN
from evaluators.drift import Detector
from evaluators.drift.state import load, save
from evaluators.sample import Sample
from evaluators.verdict import Verdict

SCALE = 0.1  # answers of a megabyte
SAMPLES = list_samples(SCALE)
# For the windows that are read, in all their forms; a whole text is looked at by those alone that must parse it, as one copy.
MOST_BYTES = 7_000_000
WARMUP = 50


def weigh(sample: Sample) -> int:
    return 4 * len(sample.text) + sum(len(call.name) + len(call.arguments) for call in sample.calls)


@pytest.mark.parametrize("name", SAMPLES)
def test_every_evaluator_judges_it_in_bounded_memory(name: str) -> None:
    sample = SAMPLES[name]
    for judge in BUILT_IN.values():
        tracemalloc.start()
        verdict = judge(sample)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert verdict is None or (isinstance(verdict, Verdict) and len(verdict.explanation) < 1000)
        assert peak <= MOST_BYTES + weigh(sample)


def test_drift_takes_it_in_bounded_memory_and_its_state_stays_small() -> None:
    detector = Detector(warmup=WARMUP, first=WARMUP)
    for number in range(WARMUP):
        detector.update(write(500 + number), {"prompt": "Why?", "tools": []})
    before = len(save(detector))
    for sample in SAMPLES.values():
        told = {"prompt": sample.text, "finish_reason": sample.text, "id": sample.text, "model_answered": sample.text, "output_tokens": 10**18}
        tracemalloc.start()
        if detector.update(sample.text, {**told, "tools": [call.name for call in sample.calls], "verdicts": [sample.text[:99]]}):
            assert len(detector.alarm.explain()) < 5000
            detector.dismiss()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak <= MOST_BYTES + weigh(sample)
    data = save(detector)
    assert len(data) <= before + 50_000
    assert load(data).status == detector.status
