from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluators.signs import Signs, thin

WORDS = ("sk-", "-----BEGIN", "<|", "Human:", "plain", "<\uff5c", "\ud800", " ", "##")
TEXT = st.lists(st.one_of(st.sampled_from([*WORDS, "s", "k-", "Hu", "man:", "#", "-", "pla in"]), st.text(st.characters(), max_size=5))).map("".join)


@settings(deadline=None)
@given(st.sets(st.sampled_from(WORDS), min_size=1), TEXT)
def test_they_are_told_as_the_whole_text_tells_them(words: set[str], text: str) -> None:
    thinned = thin(text.encode("utf-8", "surrogatepass"))
    assert Signs(*words).stand_in(text, thinned) is any(word in text for word in words)


@pytest.mark.parametrize("text", ["", "so it is.", "так и 是", "{\"a\"= 'b', \"c\"= (d + e) * f}\r\n\t"])
def test_nothing_is_left_of_what_is_ordinary(text: str) -> None:
    assert thin(text.encode()) == b""


def test_what_is_left_keeps_its_order() -> None:
    assert thin("Ask about é and 42\u2019s <tag>".encode()) == b"Ak42<>"
