"""What is read from one text: features, flags and fingerprint."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluators.drift import features, flags
from evaluators.drift.fingerprint import END_BYTES, SIZE, sketch
from evaluators.drift.reading import HEAD_CHARACTERS, TAIL_CHARACTERS, gather, read
from evaluators.drift.words import LANGUAGE_OF


def measured(text: str) -> dict[str, float]:
    (values,) = features.measure(gather([read(text)]))
    return {name: float(scale(value)) for name, scale, value in zip(features.NAMES, features.SCALES, values, strict=True)}


def flagged(text: str, finish_reason: str | None = "stop") -> set[str]:
    return {name for name, up in zip(flags.NAMES, flags.raise_flags(text, read(text), finish_reason), strict=True) if up}


def test_features_come_in_the_unit_of_their_name() -> None:
    found = measured("One two three.\nFour, five: six.\n")
    assert np.isclose(found["length"], 32) and np.isclose(found["words"], 6) and np.isclose(found["lines"], 3)
    assert np.isclose(found["capitals"], 2 / 32) and np.isclose(found["rate of ','"], 1000 / 32)
    assert found["opens with a capital"] == 1 and found["ends with a full stop"] == 1
    assert np.isclose(found["first line length"], 14)


def test_a_long_text_is_cut_and_its_length_is_not() -> None:
    reading = read("a" * 50_000 + "z" * 50_000)
    assert len(reading.text) == HEAD_CHARACTERS + TAIL_CHARACTERS + 1 and reading.text.endswith("z")
    assert np.isclose(measured("a" * 100_000)["length"], 100_000)


@pytest.mark.parametrize(
    ("text", "flag"),
    [
        ("", "empty"),
        (" \n\t", "empty"),
        ("It ends in the middle of a", "cut short"),
        ('{"a": 1,}', "broken JSON"),
        ('```json\n{"a": "b}\n```', "broken JSON"),
        ("Look:\n```python\nprint(1)", "open fence"),
        ("f(x) = [1, 2", "open bracket"),
        ("I'm sorry, but I can't help with that.", "refusal"),
        ("As an AI language model I have no opinion.", "refusal"),
        ("The cat sat on the mat. " * 40, "repetition"),
        ("Fine.<|im_end|>", "control tokens"),
        ("[INST] Do it. [/INST]", "control tokens"),
        ("Itâ€™s cafÃ©.", "mojibake"),
        ("This is ขอบคุณ fine.", "thai letters"),
        ("Der Hund ist nicht im Haus und die Katze ist nicht auf dem Dach.", "another language"),
    ],
)
def test_each_fault_raises_its_flag(text: str, flag: str) -> None:
    assert flag in flagged(text)
    assert len(flags.NAMES) == len(flags.WEIGHTS)


@pytest.mark.parametrize(
    "text",
    [
        "The answer is 4.",
        "Sorry to hear that! Here is a plan:\n\n1. Rest.\n2. Drink (a lot).",
        "```python\nprint('x')\n```",
        "He cannot swim, so we took the boat.",
    ],
)
def test_ordinary_answers_raise_none(text: str) -> None:
    assert flagged(text) == {"no JSON"}


def test_json_is_seen_as_such() -> None:
    assert flagged('{"a": [1, 2]}') == set()
    assert flagged('```json\n{"a": 1}\n```') == set()


def test_an_end_that_was_not_natural_is_flagged() -> None:
    assert "not finished by itself" in flagged("Good.", "length")
    assert "not finished by itself" not in flagged("Good.", None)


def test_a_sketch_is_of_fixed_size_and_tells_manners_apart() -> None:
    empty, one, other = sketch(gather([read(""), read("the house and the garden, " * 9), read("I would like to help you! " * 9)]))
    assert empty.shape == (SIZE,) and empty.dtype == np.uint8 and not empty.any()
    assert np.abs(one.astype(int) - other).sum() > 1000


def test_no_word_votes_for_two_languages() -> None:
    assert "die" in LANGUAGE_OF and "que" not in LANGUAGE_OF


TEXTS = st.lists(st.text() | st.text(alphabet="ab n't*-#1. ,\n\\\u2014'séand") | st.sampled_from(["", "a", "- " * 40]), min_size=1, max_size=9)


@settings(deadline=None, max_examples=200)
@given(TEXTS)
def test_texts_are_measured_together_as_one_by_one(texts: list[str]) -> None:
    readings = [read(text) for text in texts]
    for measure in (features.measure, sketch):
        assert np.array_equal(measure(gather(readings)), np.concatenate([measure(gather([reading])) for reading in readings]))


@settings(deadline=None, max_examples=200)
@given(TEXTS)
def test_pieces_and_words_are_counted_as_by_hand(texts: list[str]) -> None:
    readings = [read(text) for text in texts]
    rates = features.measure(gather(readings))[:, -len(features.PIECES) :] ** 2
    for reading, found in zip(readings, rates * [[max(1, len(reading.data)) / 1000] for reading in readings], strict=True):
        by_hand = [
            sum(reading.data.startswith(piece.encode(), at) for at in range(len(reading.data))) if len(piece) < 4 else reading.text.count(piece)
            for piece in features.PIECES
        ]
        assert np.allclose(found, by_hand)
    words = np.expm1(features.measure(gather(readings))[:, features.NAMES.index("words")])
    assert np.allclose(words, [len(re.findall(rb"[^\x00-\x20]+", reading.data)) for reading in readings])


@settings(deadline=None, max_examples=200)
@given(TEXTS)
def test_trigrams_are_counted_as_by_hand(texts: list[str]) -> None:
    readings = [read(text) for text in texts]
    for reading, found in zip(readings, sketch(gather(readings)), strict=True):
        hashes = [int.from_bytes(reading.data[at : at + 3], "little") * 0x9E3779B1 % 2**32 >> 25 for at in range(len(reading.data) - 2)]
        counted = np.bincount(np.array(hashes, int), minlength=128)
        whole = 20 * np.sqrt(1000 * counted / max(1, len(reading.data)))
        ends = [32 * np.bincount(np.array(part, int) >> 1, minlength=64) for part in (hashes[: END_BYTES - 2], hashes[2 - END_BYTES :])]
        assert np.abs(found[-256:] - np.minimum(255, np.concatenate([*ends, whole])).astype(np.uint8).astype(int)).max() <= 1
