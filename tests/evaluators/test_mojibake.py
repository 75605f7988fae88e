from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluators.mojibake import _CONTROL, _LOST, _MISREAD, judge
from evaluators.sample import Sample
from evaluators.signs import thin


@pytest.mark.parametrize("text", ["café naïve", "“quoted” – it’s", "Привет мир", "déjà vu à Paris", "😀"])
def test_utf8_read_as_another_encoding(text: str) -> None:
    assert judge(Sample(text=text)).label == "pass"
    assert judge(Sample(text=text.encode().decode("cp1252", "replace"))).label in ("misread", "replaced")
    assert judge(Sample(text=text.encode().decode("latin-1"))).failed


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("a\ufffdb", "replaced"),
        ("half \ud83d of a pair", "replaced"),
        ("the last \udfff of the halves", "replaced"),
        ("a\u00ef\u00bf\u00bdb", "misread"),
        ("a\x00b", "control"),
        ("a\tb\r\nc\x1b[0m\x0c", "pass"),
        ("NÃO É", "pass"),
        ("Â, â, €", "pass"),
        ("ОБ ЭТОМ Ð", "pass"),
    ],
)
def test_other_breaks_and_what_is_none(text: str, label: str) -> None:
    assert judge(Sample(text=text)).label == label


# Both sides of every edge of the patterns.
EDGES = "\x7f\x80\x84\x85\x86\x9f\xa0\xa9\xaa\xab\xb9\xba\xbb\xbd\xbf\xc0\xc2\xc3\xd0\xd1\xe2\xef\xf0"
EDGES += "\u0151\u0152\u0178\u20ac\u2122\u2123\ud7ff\ud800\udfff\ue000\ufffd"


@settings(deadline=None, max_examples=300)
@given(st.text(st.one_of(st.sampled_from(EDGES), st.characters()), min_size=1, max_size=8))
def test_how_they_begin_hides_nothing_that_the_patterns_find(text: str) -> None:
    label = judge(Sample(text=text)).label
    assert (label == "misread") is (_MISREAD.search(text) is not None)
    assert (label == "replaced") is (label != "misread" and _LOST.search(text) is not None)


@pytest.mark.parametrize("first", range(0x80, 0x100))
def test_every_pair_that_begins_as_misread_text_does_is_found(first: int) -> None:
    for second in (*range(0x80, 0x180), *range(0x2000, 0x2130)):
        text = 2 * (chr(first) + chr(second))
        assert (judge(Sample(text=text)).label == "misread") is (_MISREAD.search(text) is not None)


def test_no_control_character_is_thinned_out() -> None:
    assert thin(_CONTROL) == _CONTROL
    for control in _CONTROL:
        assert judge(Sample(text=f"a{chr(control)}b")).label == "control"


def test_nothing_is_said_of_nothing() -> None:
    assert judge(Sample()) is None
