"""The kinds of panels there are, each made by one function, so that all of a kind look alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from grafana_foundation_sdk.builders import common as shapes
from grafana_foundation_sdk.builders import dashboard as parts
from grafana_foundation_sdk.builders import prometheus, stat, statetimeline, table, timeseries
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import common, dashboard
from grafana_foundation_sdk.models.prometheus import PromQueryFormat, QueryEditorMode

from dashboards.colours import BAD, GOOD, OF_LABELS, OF_SERIES, PLAIN

PROMETHEUS = common.DataSourceRef(type_val="prometheus", uid="${datasource}")
WIDTH, HALF, THIRD, QUARTER, EIGHTH = 24, 12, 8, 6, 3
STAT_HEIGHT, SERIES_HEIGHT, TABLE_HEIGHT = 4, 8, 10
States = Mapping[int, tuple[str, str]]
Steps = Mapping[float, str]
PANEL = Builder[dashboard.Panel]


@dataclass(frozen=True)
class Line:
    """One query of a panel and how its series are called."""

    expr: str
    legend: str = ""


@dataclass(frozen=True)
class Column:
    """A column of a table: what it is called, its unit, colours from a value on, words for values, where a click leads."""

    title: str
    expr: str = ""
    unit: str = "short"
    steps: Steps | None = None
    states: States | None = None
    link: tuple[str, str] | None = None
    decimals: int | None = None
    width: int | None = None


def make_stat(
    title: str,
    description: str,
    expr: str,
    unit: str,
    *,
    steps: Steps | None = None,
    states: States | None = None,
    link: tuple[str, str] | None = None,
    sparkline: bool = False,
    width: int = EIGHTH,
    decimals: int | None = None,
) -> stat.Panel:
    """One figure. `steps` colours its background from a value on; without any it is plain."""
    panel = stat.Panel().title(title).description(description).unit(unit).span(width).height(STAT_HEIGHT)
    panel = panel.datasource(PROMETHEUS).with_target(make_query(Line(expr), 0, instant=not sparkline))
    panel = panel.graph_mode(common.BigValueGraphMode.AREA if sparkline else common.BigValueGraphMode.NONE)
    panel = panel.reduce_options(shapes.ReduceDataOptions().calcs(["lastNotNull"])).text_mode(common.BigValueTextMode.VALUE)
    panel = panel.color_mode(common.BigValueColorMode.BACKGROUND if steps or states else common.BigValueColorMode.VALUE)
    panel = panel.thresholds(make_thresholds(steps or {}, GOOD if steps else PLAIN)).color_scheme(parts.FieldColor().mode("thresholds"))
    if states:
        panel = panel.mappings([make_mapping(states)])
    if link:
        panel = panel.data_links([make_link(*link)])
    if decimals is not None:
        panel = panel.decimals(decimals)
    return panel


def make_series(
    title: str,
    description: str,
    lines: Sequence[Line],
    unit: str,
    *,
    stacked: bool = False,
    exemplars: bool = False,
    width: int = THIRD,
    steps: Steps | None = None,
    most: float | None = None,
    link: tuple[str, str] | None = None,
) -> timeseries.Panel:
    """Lines over time; `stacked` where their sum means something. `steps` draws a dashed line at each value."""
    panel = timeseries.Panel().title(title).description(description).unit(unit).min(0).span(width).height(SERIES_HEIGHT).datasource(PROMETHEUS)
    for place, line in enumerate(lines):
        panel = panel.with_target(make_query(line, place, exemplars=exemplars and place == len(lines) - 1))  # once is enough
    panel = dress_series(panel, stacked)
    for name in list_names(lines):
        if name in OF_SERIES:
            panel = panel.override_by_name(name, [dashboard.DynamicConfigValue("color", {"mode": "fixed", "fixedColor": OF_SERIES[name]})])
    if steps:
        panel = panel.thresholds(make_thresholds(steps, "transparent"))
        panel = panel.thresholds_style(shapes.GraphThresholdsStyleConfig().mode(common.GraphThresholdsStyleMode.DASHED))
    if most is not None:
        panel = panel.max(most)
    return panel.data_links([make_link(*link)]) if link else panel


def list_names(lines: Sequence[Line]) -> list[str]:
    """What the series of these queries are called, as far as it is known beforehand."""
    return [name for line in lines for name in OF_LABELS.get(line.legend.strip("{}"), (line.legend,))]


def dress_series(panel: timeseries.Panel, stacked: bool) -> timeseries.Panel:
    """How every panel over time is drawn: legend as a table with the newest value, one tooltip for all lines, the largest on top."""
    panel = panel.color_scheme(parts.FieldColor().mode("palette-classic-by-name")).line_width(1).show_points(common.VisibilityMode.NEVER)
    panel = panel.fill_opacity(60 if stacked else 5).span_nulls(False)
    if stacked:
        panel = panel.stacking(shapes.StackingConfig().mode(common.StackingMode.NORMAL).group("A"))
    legend = shapes.VizLegendOptions().display_mode(common.LegendDisplayMode.TABLE).placement(common.LegendPlacement.BOTTOM)
    panel = panel.legend(legend.show_legend(True).calcs(["lastNotNull", "max"]))
    return panel.tooltip(shapes.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI).sort(common.SortOrder.DESCENDING))


def make_timeline(title: str, description: str, line: Line, states: States, *, width: int = HALF) -> statetimeline.Panel:
    """States over time, a bar each."""
    panel = statetimeline.Panel().title(title).description(description).unit("none").span(width).height(SERIES_HEIGHT)
    panel = panel.datasource(PROMETHEUS).with_target(make_query(line, 0)).mappings([make_mapping(states)])
    panel = panel.color_scheme(parts.FieldColor().mode("thresholds")).thresholds(make_thresholds({}, GOOD))
    return panel.show_value(common.VisibilityMode.NEVER).merge_values(True).row_height(0.8).line_width(0).fill_opacity(80)


def make_table(
    title: str, description: str, keys: Sequence[Column], columns: Sequence[Column], *, sort: str, height: int = TABLE_HEIGHT, width: int = WIDTH
) -> table.Panel:
    """One row for each label set of `keys`, one instant query for each of `columns`, joined on the first key."""
    panel = table.Panel().title(title).description(description).span(width).height(height).datasource(PROMETHEUS)
    for place, column in enumerate(columns):
        panel = panel.with_target(make_query(Line(column.expr), place, instant=True, form=PromQueryFormat.TABLE))
    names = {key.title.lower(): key.title for key in keys} | {f"Value #{letter_of(place)}": column.title for place, column in enumerate(columns)}
    order = {name: place for place, name in enumerate(names)}
    panel = panel.with_transformation(dashboard.DataTransformerConfig("merge", options={}))
    organised = {"excludeByName": {"Time": True}, "indexByName": order, "renameByName": names, "includeByName": {}}
    panel = panel.with_transformation(dashboard.DataTransformerConfig("organize", options=organised))
    return dress_table(panel, [*keys, *columns], sort)


def dress_table(panel: table.Panel, columns: Sequence[Column], sort: str) -> table.Panel:
    """How every table is drawn: units, colours and links by column, the worst row first."""
    panel = panel.cell_height(common.TableCellHeight.SM).unit("short").filterable(True)
    panel = panel.sort_by([shapes.TableSortByFieldState().display_name(sort).desc(True)])
    for column in columns:
        panel = panel.override_by_name(column.title, make_properties(column))
    return panel


def make_properties(column: Column) -> list[dashboard.DynamicConfigValue]:
    given: dict[str, Any] = {"unit": column.unit}
    if column.decimals is not None:
        given["decimals"] = column.decimals
    if column.width is not None:
        given["custom.width"] = column.width
    if column.steps or column.states:
        given["thresholds"] = make_thresholds(column.steps or {}, "transparent").build()
        given["custom.cellOptions"] = {"type": "color-background", "mode": "basic"}
        given["color"] = {"mode": "thresholds"}
    if column.states:
        given["mappings"] = [make_mapping(column.states)]
    if column.link:
        given["links"] = [{"title": column.link[0], "url": column.link[1]}]
    return [dashboard.DynamicConfigValue(name, value) for name, value in given.items()]


def make_query(
    line: Line, place: int, *, instant: bool = False, exemplars: bool = False, form: PromQueryFormat = PromQueryFormat.TIME_SERIES
) -> prometheus.Dataquery:
    query = prometheus.Dataquery().ref_id(letter_of(place)).datasource(PROMETHEUS).expr(line.expr).legend_format(line.legend or "__auto")
    query = query.format(form).exemplar(exemplars).editor_mode(QueryEditorMode.CODE)
    return query.instant() if instant else query.range()


def letter_of(place: int) -> str:
    """A query's name: A, B, C …"""
    return chr(ord("A") + place)


def make_thresholds(steps: Steps, below: str) -> parts.ThresholdsConfig:
    """Colours from a value on; `below` is the colour under the first."""
    first = dashboard.Threshold(value=None, color=below)
    rest = [dashboard.Threshold(value=value, color=colour) for value, colour in steps.items()]
    return parts.ThresholdsConfig().mode(dashboard.ThresholdsMode.ABSOLUTE).steps([first, *rest])


def make_mapping(states: States) -> dashboard.ValueMap:
    found = {str(value): dashboard.ValueMappingResult(text=text, color=colour, index=value) for value, (text, colour) in states.items()}
    return dashboard.ValueMap(options=found)


def make_link(title: str, url: str) -> parts.DashboardLink:
    return parts.DashboardLink(title).type(dashboard.DashboardLinkType.LINK).url(url)


ANY = {1: BAD}  # colours of a count that should be 0
