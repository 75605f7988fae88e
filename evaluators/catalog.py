"""The evaluators there are: ours by name, and anybody's by dotted path, `package.module:function`.

An evaluator is a function of a `Sample` that returns a `Verdict`, or None where it has nothing to say. To add one of ours: a module with
`NAME` and `judge`, an entry here, and its test.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Iterable

from evaluators import empty, errorpage, language, leaks, mojibake, refusal, repetition, secrets, structure, toolcalls, truncated
from evaluators.sample import Sample
from evaluators.verdict import Verdict

Judge = Callable[[Sample], Verdict | None]
_MODULES = (empty, structure, toolcalls, truncated, repetition, leaks, mojibake, language, refusal, errorpage, secrets)
BUILT_IN: dict[str, Judge] = {module.NAME: module.judge for module in _MODULES}


def find(path: str) -> Judge:
    """The evaluator at a dotted path. Raises `ValueError` with what is wrong."""
    try:
        judge = pkgutil.resolve_name(path)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"{path!r} names no evaluator: {error}") from None
    if not callable(judge):
        raise ValueError(f"{path!r} is nothing that can be called with a sample")
    return judge


def judge_all(sample: Sample, judges: Iterable[Judge] = tuple(BUILT_IN.values())) -> list[Verdict]:
    """What the evaluators say of a sample; those that have nothing to say are left out."""
    return [verdict for judge in judges if (verdict := judge(sample)) is not None]
