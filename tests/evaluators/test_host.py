from __future__ import annotations

import io
import os
import threading

import msgspec
import pytest

from evaluators import empty
from evaluators.host import ask, outlive_nobody, pack, serve
from evaluators.sample import Sample
from evaluators.verdict import Verdict


def test_each_sample_has_its_answer() -> None:
    sink = io.BytesIO()
    serve(empty.judge, io.BytesIO(pack(Sample(text="x")) + pack(Sample())), sink)
    assert sink.getvalue() == pack(Verdict("empty")) + pack(empty.judge(Sample()))


def test_a_message_is_its_length_and_itself() -> None:
    packed = pack(Verdict("a"))
    assert int.from_bytes(packed[:4], "big") == len(packed) - 4
    assert msgspec.msgpack.decode(packed[4:], type=Verdict) == Verdict("a")


def test_what_goes_wrong_is_said() -> None:
    assert ask(lambda sample: 1 / 0, Sample()) == "it raised ZeroDivisionError"
    assert ask(lambda sample: 3, Sample()) == "it gave something else than a verdict"
    assert ask(lambda sample: None, Sample()) is None


def test_it_ends_with_whoever_started_it(monkeypatch: pytest.MonkeyPatch) -> None:
    parents = iter([7, 7, 7, 1])
    left = threading.Event()
    monkeypatch.setattr(os, "getppid", lambda: next(parents))
    waited: list[float] = []
    outlive_nobody(waited.append, lambda status: left.set())
    assert left.wait(60)
    assert len(waited) == 2
