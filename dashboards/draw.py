"""Draws the dashboards' panels with the data of a real run, one picture a dashboard, so that a reader sees what to expect.

`python -m dashboards.draw --prometheus http://127.0.0.1:9090 --admin http://127.0.0.1:8788`; the pictures are drawings, not screenshots.
"""

from __future__ import annotations

import argparse
import io
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib import dates, pyplot
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter
from PIL import Image

from dashboards.answers import Series, Source
from dashboards.expressions import read_boards
from dashboards.wording import find_words, write_value

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "pictures"
# Grafana's colour names, on its dark background.
_PAINT = {
    "green": "#73BF69", "yellow": "#FADE2A", "orange": "#FF9830", "red": "#F2495C", "dark-red": "#C4162A", "blue": "#5794F2", "purple": "#B877D9",
    "light-blue": "#8AB8FF", "semi-dark-orange": "#FF780A", "grey": "#808080", "transparent": "#181B1F",
}  # fmt: skip
_OTHERS = ("#73BF69", "#5794F2", "#FF9830", "#B877D9", "#FADE2A", "#8AB8FF", "#37872D", "#FFA6B0", "#96D98D")
_PAGE, _PANEL, _INK, _FAINT = "#111217", "#181B1F", "#D0D3D8", "#80848C"
_WIDTH_IN, _ROW_IN, _COLUMNS = 18.0, 0.42, 24
_MOST_ROWS, _MOST_NAMES, _DOTS = 12, 8, 70
_INKS = 128  # colours of a picture
_DAY_S = 86400.0


def draw_board(board: Mapping[str, Any], source: Source, folder: Path) -> Path:
    """One dashboard as a picture; says where it is."""
    rows = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in board["panels"])
    height = (rows + 1.5) * _ROW_IN
    figure = pyplot.figure(figsize=(_WIDTH_IN, height), facecolor=_PAGE, dpi=_DOTS)
    figure.text(0.006, 1 - 0.7 * _ROW_IN / height, board["title"], color=_INK, fontsize=15, weight="bold", va="center")
    for panel in board["panels"]:
        place = panel["gridPos"]
        left, width = place["x"] / _COLUMNS, place["w"] / _COLUMNS
        top, tall = 1 - (place["y"] + 1.5) * _ROW_IN / height, place["h"] * _ROW_IN / height
        if panel["type"] == "row":
            figure.text(left + 0.006, top - tall / 2, panel["title"], color=_INK, fontsize=12, va="center")
            continue
        inch, gap = 1 / height, 0.002
        figure.add_artist(Rectangle((left + gap, top - tall + 0.03 * inch), width - 2 * gap, tall - 0.06 * inch, facecolor=_PANEL, zorder=-1))
        figure.text(left + 0.006, top - 0.17 * inch, panel["title"], color=_INK, fontsize=9.5, va="center")
        inner = (left + 0.008, top - tall + 0.08 * inch, width - 0.016, tall - 0.40 * inch)
        draw_panel(figure, panel, source, inner, inch)
    path = folder / f"{board['uid'].removeprefix('weighbridge-')}.png"
    drawn = io.BytesIO()
    figure.savefig(drawn, facecolor=_PAGE)
    pyplot.close(figure)
    Image.open(drawn).convert("RGB").quantize(_INKS).save(path, optimize=True)
    return path


def draw_panel(figure: pyplot.Figure, panel: Mapping[str, Any], source: Source, inner: tuple[float, float, float, float], inch: float) -> None:
    left, bottom, width, tall = inner
    if panel["type"] in ("timeseries", "state-timeline"):
        found = source.read_series(panel)
        names = sorted({one.name for one in found})
        lines = 0 if panel["type"] == "state-timeline" else -(-min(len(names), _MOST_NAMES) // _count_names(panel))
        below = (0.26 + 0.16 * lines) * inch
        aside = 0.09 if panel["type"] == "state-timeline" else 0.035
        axes = figure.add_axes((left + aside, bottom + below, width - aside - 0.004, tall - below), facecolor=_PANEL)
        draw = draw_states if panel["type"] == "state-timeline" else draw_lines
        draw(axes, panel, found)
        dress(axes, source if "expr" in panel["targets"][0] else None)
        return
    axes = figure.add_axes(inner, facecolor=_PANEL)
    axes.axis("off")
    axes.set(xlim=(0, 1), ylim=(0, 1))
    (draw_figure if panel["type"] == "stat" else draw_table)(axes, panel, source)


def draw_figure(axes: Axes, panel: Mapping[str, Any], source: Source) -> None:
    given = panel["fieldConfig"]["defaults"]
    value = source.read_figure(panel)
    words, colour = find_words(value, given)
    filled = panel["options"]["colorMode"] == "background" and value is not None
    paint = _PAINT.get(colour or "", _INK)
    if filled:
        axes.add_patch(Rectangle((0, 0), 1, 1, facecolor=paint))
    text = words or write_value(value, given["unit"], given.get("decimals"))
    axes.text(0.5, 0.5, text, color=_PAGE if filled else paint, fontsize=20, weight="bold", ha="center", va="center")


def draw_lines(axes: Axes, panel: Mapping[str, Any], found: list[Series]) -> None:
    custom, unit = panel["fieldConfig"]["defaults"]["custom"], panel["fieldConfig"]["defaults"]["unit"]
    fixed = {each["matcher"]["options"]: each["properties"][0]["value"] for each in panel["fieldConfig"]["overrides"]}
    below: dict[float, float] = {}
    for number, one in enumerate(found):
        paint = _PAINT[fixed[one.name]["fixedColor"]] if one.name in fixed else _OTHERS[number % len(_OTHERS)]
        label = f"{one.name}  {write_value(one.values[-1], unit)}"
        times = [at / _DAY_S for at in one.times]
        if custom.get("drawStyle") == "bars":
            axes.bar(times, one.values, 0.8, [below.get(at, 0.0) for at in one.times], color=paint, label=label)
        elif "stacking" in custom:
            low = [below.get(at, 0.0) for at in one.times]
            axes.fill_between(times, low, [a + b for a, b in zip(low, one.values, strict=True)], color=paint, alpha=0.6, label=label, linewidth=0)
        else:
            axes.plot(times, one.values, color=paint, linewidth=1.3, label=label)
        for at, value in zip(one.times, one.values, strict=True):
            below[at] = below.get(at, 0.0) + value
    for step in panel["fieldConfig"]["defaults"].get("thresholds", {}).get("steps", []):
        if "thresholdsStyle" in custom and step["value"] is not None:
            axes.axhline(step["value"], color=_PAINT[step["color"]], linestyle="--", linewidth=1)
    axes.set_ylim(0, None)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: write_value(value, unit, 0 if unit in ("percentunit", "percent") else None)))
    if found:
        handles, labels = axes.get_legend_handles_labels()
        height = axes.get_position().height * axes.figure.get_figheight()
        legend = {"loc": "upper left", "bbox_to_anchor": (0, -0.22 / height), "ncols": _count_names(panel), "frameon": False, "fontsize": 7.5}
        legend |= {"handlelength": 1, "borderpad": 0, "borderaxespad": 0, "labelspacing": 0.25, "labelcolor": _INK}
        axes.legend(handles[:_MOST_NAMES], labels[:_MOST_NAMES], **legend)
    else:
        axes.text(0.5, 0.5, "No data", color=_FAINT, ha="center", transform=axes.transAxes)


def draw_states(axes: Axes, panel: Mapping[str, Any], found: list[Series]) -> None:
    for number, one in enumerate(found):
        step = (one.times[1] - one.times[0]) / _DAY_S if len(one.times) > 1 else 1 / _DAY_S
        for at, value in zip(one.times, one.values, strict=True):
            _, colour = find_words(value, panel["fieldConfig"]["defaults"])
            axes.broken_barh([(at / _DAY_S, step)], (number - 0.4, 0.8), color=_PAINT.get(colour or "grey", colour))
    axes.set_yticks(range(len(found)), [one.name for one in found])
    axes.invert_yaxis()


def _count_names(panel: Mapping[str, Any]) -> int:
    """How many names of its legend a panel has room for side by side."""
    return max(2, panel["gridPos"]["w"] // 4)


def dress(axes: Axes, source: Source | None) -> None:
    """The look of every panel over time; without a source, the time is that of the data."""
    axes.xaxis_date()
    if source:
        axes.set_xlim(source.since_s / _DAY_S, source.until_s / _DAY_S)
    axes.xaxis.set_major_locator(dates.AutoDateLocator(minticks=4, maxticks=8) if source else dates.DayLocator())
    axes.xaxis.set_major_formatter(dates.DateFormatter("%H:%M" if source else "%Y-%m-%d"))
    axes.tick_params(colors=_FAINT, labelsize=7.5, length=0)
    axes.grid(color="#2A2D33", linewidth=0.6)
    axes.set_axisbelow(True)
    for spine in axes.spines.values():
        spine.set_visible(False)


def draw_table(axes: Axes, panel: Mapping[str, Any], source: Source) -> None:
    given = {each["matcher"]["options"]: {one["id"]: one.get("value") for one in each["properties"]} for each in panel["fieldConfig"]["overrides"]}
    rows = source.read_rows(panel)
    titles = [title for title in given if any(title in row for row in rows)]
    written = [[_write_cell(row.get(title), given[title]) for title in titles] for row in rows[:_MOST_ROWS]]
    widths = [max(len(title) + 2, *(len(text) for text, _ in column)) for title, column in zip(titles, zip(*written, strict=True), strict=True)]
    line = 1 / (min(panel["gridPos"]["h"] * 1.15, _MOST_ROWS) + 0.5)
    left = 0.0
    for place, title in enumerate(titles):
        width = widths[place] / sum(widths)
        axes.text(left + 0.004, 1 - line / 2, title, color="#6E9FFF", fontsize=8.5, va="center")
        for number, cells in enumerate(written, 1):
            text, paint = cells[place]
            if paint:
                axes.add_patch(Rectangle((left, 1 - (number + 0.95) * line), width - 0.003, 0.9 * line, facecolor=paint))
            axes.text(left + 0.004, 1 - (number + 0.5) * line, text, color=_PAGE if paint else _INK, fontsize=8.5, va="center", clip_on=True)
        left += width
    if not rows:
        axes.text(0.5, 0.5, "No data", color=_FAINT, ha="center")


def _write_cell(value: Any, given: Mapping[str, Any]) -> tuple[str, str | None]:
    """(text, colour behind it or None)."""
    words, colour = find_words(value, given)
    painted = "custom.cellOptions" in given and colour not in (None, "transparent")
    return words or write_value(value, given["unit"], given.get("decimals")), _PAINT[colour] if painted else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--prometheus", default="http://127.0.0.1:9090")
    parser.add_argument("--admin", default="http://127.0.0.1:8788")
    parser.add_argument("--minutes", type=float, default=15.0, help="how much of the past to show")
    parser.add_argument("--agent", default="support-triage", help="whose dashboard the Agent's is")
    parser.add_argument("--folder", type=Path, default=FOLDER)
    options = parser.parse_args()
    matplotlib.use("Agg")
    options.folder.mkdir(parents=True, exist_ok=True)
    now = time.time()
    values = {"agent": options.agent, "__range": f"{options.minutes:g}m"}
    source = Source(options.prometheus, options.admin, now - options.minutes * 60, now, values)
    for board in read_boards():
        print(draw_board(board, source, options.folder))


if __name__ == "__main__":
    main()
