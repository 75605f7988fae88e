"""Panels from the store: queries of the Infinity data source, which calls Weighbridge's own named reports at the admin port.

https://grafana.com/docs/plugins/yesoreyeram-infinity-datasource/latest/: the address is relative to the data source's, `root_selector` picks the
rows of the answer, each column is picked from a row and read as its type. The parser of the back end is used, as shared panels need it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from grafana_foundation_sdk.builders import common as shapes
from grafana_foundation_sdk.builders import stat, table, timeseries
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models import common, dashboard

from dashboards.colours import PLAIN
from dashboards.panels import QUARTER, SERIES_HEIGHT, STAT_HEIGHT, TABLE_HEIGHT, WIDTH, Column, Steps, dress_series, dress_table, make_thresholds

PLUGIN = "yesoreyeram-infinity-datasource"
REPORTS = common.DataSourceRef(type_val=PLUGIN, uid="${reports}")
SHOWN_TIME = {"since": "${__from:date:iso}", "until": "${__to:date:iso}"}
Kind = Literal["string", "number", "timestamp"]


@dataclass(frozen=True)
class Field:
    """A column of a report as a panel reads it: its name in the answer, how it is shown, its type."""

    selector: str
    column: Column
    kind: Kind = "number"


class Question(Dataquery):
    """A call of one named report, as the Infinity data source writes it."""

    def __init__(self, place: str, address: str, fields: Sequence[Field], form: str) -> None:
        self._place, self._address, self._fields, self._form = place, address, fields, form

    def to_json(self) -> dict[str, Any]:
        columns = [{"selector": each.selector, "text": each.column.title, "type": each.kind} for each in self._fields]
        return {
            "refId": self._place,
            "datasource": REPORTS,
            "type": "json",
            "parser": "backend",
            "source": "url",
            "format": self._form,
            "url": self._address,
            "url_options": {"method": "GET", "data": ""},
            "root_selector": "rows",
            "columns": columns,
            "filters": [],
        }


class Asked(Builder[Dataquery]):
    """A builder around a question, as panels want their queries."""

    def __init__(self, question: Question) -> None:
        self._question = question

    def build(self) -> Dataquery:
        return self._question


def make_question(report: str, words: Mapping[str, str], fields: Sequence[Field], form: str = "table") -> Asked:
    """`/api/<report>?<words>`; Grafana puts in its variables and encodes them."""
    asked = "&".join(f"{name}={value}" for name, value in words.items())
    return Asked(Question("A", f"/api/{report}?{asked}", fields, form))


def make_report(
    title: str,
    description: str,
    report: str,
    words: Mapping[str, str],
    fields: Sequence[Field],
    *,
    sort: str,
    height: int = TABLE_HEIGHT,
    width: int = WIDTH,
) -> table.Panel:
    """A report as a table. The data source sorts columns by their names; they are put back as `fields` has them."""
    panel = table.Panel().title(title).description(description).span(width).height(height).datasource(REPORTS)
    order = {each.column.title: place for place, each in enumerate(fields)}
    organised = {"excludeByName": {}, "indexByName": order, "renameByName": {}, "includeByName": {}}
    panel = panel.with_transformation(dashboard.DataTransformerConfig("organize", options=organised))
    return dress_table(panel.with_target(make_question(report, words, fields)), [each.column for each in fields], sort)


def make_figure(
    title: str, description: str, report: str, words: Mapping[str, str], field: Field, *, steps: Steps | None = None, width: int = QUARTER
) -> stat.Panel:
    """One figure of a report that has one row."""
    panel = stat.Panel().title(title).description(description).unit(field.column.unit).span(width).height(STAT_HEIGHT).datasource(REPORTS)
    panel = panel.with_target(make_question(report, words, [field])).graph_mode(common.BigValueGraphMode.NONE)
    panel = panel.reduce_options(shapes.ReduceDataOptions().calcs(["lastNotNull"])).text_mode(common.BigValueTextMode.VALUE)
    panel = panel.color_mode(common.BigValueColorMode.BACKGROUND if steps else common.BigValueColorMode.VALUE)
    panel = panel.no_value("unknown").thresholds(make_thresholds(steps or {}, "green" if steps else PLAIN))
    return panel if field.column.decimals is None else panel.decimals(field.column.decimals)


def make_bars(
    title: str, description: str, report: str, words: Mapping[str, str], fields: Sequence[Field], unit: str, *, width: int = WIDTH
) -> timeseries.Panel:
    """A report by time and one name more as stacked bars; `fields` are the time, the name and the figure."""
    panel = timeseries.Panel().title(title).description(description).unit(unit).min(0).span(width).height(SERIES_HEIGHT).datasource(REPORTS)
    panel = dress_series(panel.with_target(make_question(report, words, fields, "timeseries")), True)
    panel = panel.draw_style(common.GraphDrawStyle.BARS).bar_alignment(common.BarAlignment.AFTER)
    return panel.display_name("${__field.labels." + fields[1].column.title + "}")
