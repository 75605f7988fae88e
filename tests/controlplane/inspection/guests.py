"""Evaluators as others might write them, good and bad."""

from __future__ import annotations

import os
import sys
import time

from evaluators.sample import Sample
from evaluators.verdict import Verdict


def judge(sample: Sample) -> Verdict | None:
    """Does as the text says."""
    print("what it prints harms nothing")
    if sample.text == "hang":
        time.sleep(3600)
    if sample.text == "exit":
        os._exit(3)
    if sample.text == "raise":
        raise KeyError("x")
    if sample.text == "deep":
        sys.setrecursionlimit(10**6)
    if sample.text == "other":
        return "fine"  # type: ignore[return-value]
    if sample.text == "silent":
        return None
    return Verdict("whatever", "shout" if sample.text.isupper() else "pass", 7.0, "warning" if sample.text.isupper() else "none", "x" * 1000)
