"""Whether an answer runs in a loop: its end repeats with one period, or one line comes again and again."""

from __future__ import annotations

from collections import Counter

from evaluators.sample import Sample
from evaluators.verdict import Verdict

NAME = "repetition"
_PASSED = Verdict(NAME)
_READ = 8_000  # characters of the end
_PROBE = 24  # characters that are looked for again
_LEAST = 120  # characters that repeat
_LEAST_TIMES = 3
_SHARE = 0.3  # of what is read
_LEAST_LINE = 20
_LEAST_LINES = 5


def judge(sample: Sample) -> Verdict | None:
    """None for a text that is too short to repeat itself."""
    text = sample.stripped[-_READ:]
    if len(text) < _LEAST:
        return None
    period, length = find_loop(text)
    if length >= max(_LEAST, _SHARE * len(text), _LEAST_TIMES * period):
        told = f"the last {length} characters repeat themselves every {period}"
        return Verdict(NAME, "loop", 1 - length / len(text), "error", told)
    line, times = find_line(text)
    if times >= _LEAST_LINES and line * times >= _SHARE * len(text):
        return Verdict(NAME, "lines", 1 - line * times / len(text), "warning", f"one line of {line} characters comes {times} times")
    return _PASSED


def find_loop(text: str) -> tuple[int, int]:
    """(period, length) of the longest end of the text that repeats with the period in which its last characters were seen before; (0, 0): none."""
    probe = text[-_PROBE:]
    before = text.rfind(probe, 0, len(text) - 1)
    if before < 0:
        return 0, 0
    period = len(text) - _PROBE - before
    earlier, later = text[:-period], text[period:]
    few, many = 0, len(later)  # the longest common end of both; comparing slices is much faster than comparing characters
    while few < many:
        middle = (few + many + 1) // 2
        if earlier[-middle:] == later[-middle:]:
            few = middle
        else:
            many = middle - 1
    return period, few + period


def find_line(text: str) -> tuple[int, int]:
    """(length, times) of the line that covers most of the text; short lines, as those of tables and code, do not count."""
    whole = [line for line in map(str.strip, text.split("\n")) if len(line) >= _LEAST_LINE]
    if len(whole) - len(set(whole)) < _LEAST_LINES - 1:
        return 0, 0
    lines = Counter(whole)
    line = max(lines, key=lambda one: len(one) * lines[one], default="")
    return len(line), lines[line]
