"""Thousands of mixed calls over upstreams that misbehave: not one foreign byte. WEIGHBRIDGE_FAULT_CALLS asks for more of them."""

from __future__ import annotations

import os

import pytest

from tests.faults.ground import FOREIGN, answer_to
from tests.faults.mix import WAYS, carry_mix, chunked, judge, sized

CALLS = int(os.environ.get("WEIGHBRIDGE_FAULT_CALLS", "2000"))


def test_nobody_gets_a_byte_of_another(run, tmp_path):
    async def main():
        seen, asked = await carry_mix(tmp_path, CALLS, seed=7)
        assert seen.total() == CALLS and set(seen) - {"raced"} == {*WAYS, "left"}
        assert seen["raced"] <= CALLS * 0.2 and asked.total() >= CALLS * 0.75 and set(asked.values()) == {1}

    run(main())


OWN = answer_to(5, 10)


@pytest.mark.parametrize(
    ("got", "may"),
    [
        (sized(answer_to(6, 10)), "whole"),
        (sized(OWN)[:-1], "whole"),
        (chunked(OWN), "cut"),
        (sized(answer_to(6, 10))[:-1], "cut"),
        (sized(OWN + FOREIGN), "whole"),
        (sized(OWN), "refused"),
    ],
)
def test_the_judge_of_the_mix_sees_what_is_wrong(got, may):
    judge(sized(OWN), 5, 10, "whole")
    judge(sized(OWN)[:-1], 5, 10, "cut")
    with pytest.raises(AssertionError):
        judge(got, 5, 10, may)
