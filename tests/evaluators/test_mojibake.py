from __future__ import annotations

import pytest

from evaluators.mojibake import judge
from evaluators.sample import Sample


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
        ("a\x00b", "control"),
        ("a\tb\r\nc\x1b[0m\x0c", "pass"),
        ("NÃO É", "pass"),
        ("Â, â, €", "pass"),
        ("ОБ ЭТОМ Ð", "pass"),
    ],
)
def test_other_breaks_and_what_is_none(text: str, label: str) -> None:
    assert judge(Sample(text=text)).label == label


def test_nothing_is_said_of_nothing() -> None:
    assert judge(Sample()) is None
