"""Ratios: from a family's start to what a model's own calls show, never moved by one of them."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.controlplane import ratios as ratios_module
from proxy.controlplane.ratios import Ratios, start_ratio


@pytest.mark.parametrize(
    ("model", "ratio"),
    [
        (None, 1.0),
        ("gpt-5", 1.0),
        ("claude-sonnet-4-5-20250929", 1.15),
        ("us.anthropic.claude-opus-4-8-v1:0", 1.4),
        ("Claude-Opus-5", 1.4),
        ("gemini-2.5-pro", 1.05),
        ("meta-llama/llama-3.3-70b", 1.03),
        ("amazon.nova-lite-v1:0", 0.98),
        ("my-own-model", 1.0),
    ],
)
def test_families_start_where_measurements_put_them(model: str | None, ratio: float) -> None:
    assert start_ratio(model) == ratio
    assert Ratios().ratio(model) == ratio


def test_learns_towards_what_the_calls_show() -> None:
    ratios = Ratios()
    assert ratios.learn("m", 1500, 1000)
    assert 1.0 < ratios.ratio("m") < 1.25
    for _ in range(40):
        ratios.learn("m", 1500, 1000)
    assert ratios.ratio("m") == pytest.approx(1.5, abs=0.06)
    assert ratios.ratio("other") == 1.0


def test_input_and_output_are_learned_apart() -> None:
    ratios = Ratios()
    for _ in range(40):
        ratios.learn("m", 3000, 1000, "input")
    assert ratios.ratio("m", "input") > 2.5
    assert ratios.ratio("m") == 1.0


def test_a_few_wild_calls_do_not_move_it() -> None:
    ratios = Ratios()
    for _ in range(20):
        ratios.learn("m", 1100, 1000)
    settled = ratios.ratio("m")
    for _ in range(9):
        ratios.learn("m", 3900, 1000)
    assert ratios.ratio("m") == pytest.approx(settled, abs=0.02)


def test_follows_a_change_of_tokenizer() -> None:
    ratios = Ratios()
    for reported in (1000, 1400):
        for _ in range(31):
            ratios.learn("m", reported, 1000)
    assert ratios.ratio("m") == pytest.approx(1.4, abs=0.06)


@pytest.mark.parametrize(
    ("model", "reported", "counted"), [("m", 23, 1000), ("m", 1000, 23), ("m", 499, 1000), ("m", 4001, 1000), ("m", -5, -5), ("", 90, 90)]
)
def test_what_teaches_nothing(model: str, reported: int, counted: int) -> None:
    ratios = Ratios()
    assert not ratios.learn(model, reported, counted)
    assert ratios.dump() == {"input": {}, "output": {}}


def test_a_name_without_end_is_not_remembered() -> None:
    assert not Ratios().learn("x" * 513, 100, 100)


def test_the_model_not_used_longest_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ratios_module, "_MODELS", 1)
    ratios = Ratios()
    for model in ("a", "b", "a", "c"):
        ratios.learn(model, 200, 100)
    assert list(ratios.dump()["output"]) == ["a", "c"]


def test_a_restart_changes_nothing() -> None:
    ratios = Ratios()
    for index in range(50):
        ratios.learn(f"m{index % 3}", 1000 + 13 * index, 1000, "input" if index % 2 else "output")
    again = Ratios()
    again.load(json.loads(json.dumps(ratios.dump())))
    assert again.dump() == ratios.dump()
    assert again.ratio("m1", "input") == pytest.approx(ratios.ratio("m1", "input"), abs=1e-3)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.sampled_from(["input", "output", "m"]), inner, max_size=4),
)


@settings(deadline=None)
@given(json_values)
def test_a_damaged_state_is_left_out(state: object) -> None:
    ratios = Ratios()
    ratios.load(state)
    assert 0.5 <= ratios.ratio("m") <= 4.0


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(-10, 10**7), st.integers(-10, 10**7)), max_size=60))
def test_a_ratio_stays_in_its_range(calls: list[tuple[int, int]]) -> None:
    ratios = Ratios()
    for reported, counted in calls:
        ratios.learn("m", reported, counted)
    assert 0.5 <= ratios.ratio("m") <= 4.0
