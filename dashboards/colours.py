"""What each colour means: one place, so that what means the same looks the same on every panel."""

from __future__ import annotations

GOOD, NOTICE, WARNING, BAD, QUIET, PLAIN = "green", "yellow", "orange", "red", "#808080", "blue"

# Series that mean the same wear the same colour everywhere; the names are what the legends show.
OF_SERIES = {
    "ok": GOOD,
    "pass": GOOD,
    "caller": "purple",
    "policy": "yellow",
    "upstream": "red",
    "weighbridge": "dark-red",
    "fail": BAD,
    "input": "blue",
    "output": "semi-dark-orange",
    "p50": "light-blue",
    "p95": "orange",
    "p99": "dark-red",
    "limit": "dark-red",
}
# The values of a label that is a legend, as far as they have colours of their own.
OF_LABELS = {"result": ("ok", "caller", "policy", "upstream", "weighbridge"), "verdict": ("pass", "fail"), "kind": ("input", "output")}
# Value → (words, colour), for panels that show a state.
STATUS = {0: ("ok", GOOD), 1: ("drifting", NOTICE), 2: ("stuck task", WARNING), 3: ("failing", BAD), 4: ("silent", BAD)}
DRIFT = {0: ("learning", QUIET), 1: ("watching", GOOD), 2: ("alarmed", BAD)}
BREAKER = {0: ("closed", GOOD), 1: ("half open", NOTICE), 2: ("open", BAD)}
PARKED = {0: ("in use", GOOD), 1: ("parked", WARNING)}
