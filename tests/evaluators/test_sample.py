from __future__ import annotations

import pytest

from evaluators.sample import WINDOW, Sample, read_sample


def test_a_long_text_is_read_at_its_ends() -> None:
    sample = Sample(text="a" * WINDOW + "b" * WINDOW * 3 + "c" * WINDOW)
    assert sample.head == "a" * WINDOW
    assert sample.tail == "c" * WINDOW
    assert sample.ends == "a" * WINDOW + "\n\n" + "c" * WINDOW


def test_a_short_text_is_read_whole() -> None:
    sample = Sample(text=" short\ud800 ")
    assert sample.ends == " short\ud800 "
    assert sample.stripped == "short\ud800"
    assert sample.bytes == b" short\xed\xa0\x80 "
    assert Sample(text=" Short").thinned == b"S"


def test_what_is_worked_out_is_kept() -> None:
    sample = Sample(text="It is so. " * 20_000)
    assert sample.stripped is sample.stripped
    assert sample.ends is sample.ends


def test_it_is_read_from_a_line_of_json() -> None:
    offered = b'[{"name": "f", "schema": {"type": "object"}}]'
    sample = read_sample(b'{"text": "x", "calls": [{"name": "f"}], "offered": ' + offered + b', "asked": "json", "more": 1}')
    assert sample.calls[0].arguments == "{}"
    assert sample.offered is not None and sample.offered[0].schema == {"type": "object"}


@pytest.mark.parametrize("line", [b"", b"[]", b'{"text": 1}', b'{"asked": "xml"}', b'{"schema": ' + b"[" * 100_000, b'{"text": "\xff"}'])
def test_what_is_no_sample_is_said(line: bytes) -> None:
    with pytest.raises(ValueError):
        read_sample(line)
