from __future__ import annotations

import io

import msgspec

from evaluators import empty
from evaluators.host import ask, pack, serve
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
