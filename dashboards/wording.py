"""Values as Grafana would write them: by unit, and by the words that a panel has for them."""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping
from typing import Any

_SHORT = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
_SPANS = ((86400.0, "d"), (3600.0, "h"), (60.0, "min"), (1.0, "s"), (1e-3, "ms"), (1e-6, "µs"))
_MOST_LETTERS = 30


def write_value(value: Any, unit: str, decimals: int | None = None) -> str:
    """A cell or a figure in its unit."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    if isinstance(value, datetime.datetime):
        return _write_moment(value, unit)
    if isinstance(value, str):
        return value if len(value) <= _MOST_LETTERS else value[: _MOST_LETTERS - 1] + "…"
    if unit == "percentunit":
        return f"{value * 100:.{decimals if decimals is not None else 1}f} %"
    if unit == "percent":
        return f"{value:.{decimals if decimals is not None else 1}f} %"
    if unit == "currencyUSD":
        return f"{'-' if value < 0 else ''}${_write_number(abs(value), decimals)}"
    if unit in ("s", "ns"):
        return write_span(value / 1e9 if unit == "ns" else value)
    return _write_number(value, decimals) + {"bytes": " B", "reqps": " req/s", "cps": " /s"}.get(unit, "")


def write_span(seconds: float) -> str:
    """Seconds in the largest unit that fits."""
    for size, name in _SPANS:
        if abs(seconds) >= size:
            return f"{seconds / size:.3g} {name}"
    return "0 s"


def _write_number(value: float, decimals: int | None) -> str:
    for size, letter in _SHORT:
        if abs(value) >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.{decimals}f}" if decimals is not None else f"{value:.3g}"


def _write_moment(moment: datetime.datetime, unit: str) -> str:
    if unit == "dateTimeFromNow":
        seconds = (moment - datetime.datetime.now(datetime.UTC)).total_seconds()
        return f"in {write_span(seconds)}" if seconds > 0 else f"{write_span(-seconds)} ago"
    return moment.astimezone(datetime.UTC).strftime("%Y-%m-%d %H:%M:%S")


def find_words(value: Any, given: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """(the words that a panel has for a value, its colour), each None where it has none; `given` is its field configuration."""
    if isinstance(value, float):
        for mapping in given.get("mappings", []):
            found = mapping["options"].get(f"{value:g}")
            if found:
                return found["text"], found["color"]
        colour = None
        for step in given.get("thresholds", {}).get("steps", []):
            if step["value"] is None or value >= step["value"]:
                colour = step["color"]
        return None, colour
    return None, None
