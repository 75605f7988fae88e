"""The rules of Grafana's dashboard linter, and of good taste, on every panel: https://github.com/grafana/dashboard-linter/tree/main/docs."""

from __future__ import annotations

import re
from typing import Any

import pytest
from grafana_foundation_sdk.models import units

from dashboards import colours
from dashboards.expressions import walk_panels
from dashboards.infinity import PLUGIN
from dashboards.queries import FIRING, FLEET, RECENT
from tests.cases import holds_for
from tests.dashboards.conftest import BOARDS, PANELS, QUERIES

UNITS = {value for name, value in vars(units).items() if not name.startswith("_") and isinstance(value, str)}
INSIDE = r"\{((?:[^}\"]|\"[^\"]*\")*)\}"  # a brace within quotes does not end a selector
SELECTOR = re.compile(r"(\w+)" + INSIDE)
RANGED = re.compile(r"(\w+)\((\w+)" + INSIDE + r"\[([^\]]+)\]")
COLOURS = {value for name, value in vars(colours).items() if name.isupper() and isinstance(value, str)}
COLOURS |= {*colours.OF_SERIES.values(), "transparent", "grey"}
each_board = pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)
each_panel = holds_for({name: (panel,) for name, panel in PANELS.items()})
each_query = holds_for(QUERIES)


def test_there_are_six_dashboards_and_a_hundred_queries() -> None:
    assert sorted(BOARDS) == [f"weighbridge-{name}" for name in ("agent", "itself", "overview", "quality", "spend", "upstreams")]
    assert len(QUERIES) > 100


@each_board
def test_a_dashboard_is_tagged_fixed_and_has_one_crosshair(board: dict[str, Any]) -> None:
    assert board["title"].startswith("Weighbridge / ") and board["description"].endswith(".")
    assert (board["tags"], board["editable"], board["graphTooltip"], board["timezone"]) == (["weighbridge"], False, 1, "browser")
    assert [panel["id"] for panel in board["panels"]] == list(range(1, len(board["panels"]) + 1))
    (link,) = board["links"]
    assert link["type"] == "dashboards" and link["tags"] == board["tags"] and link["includeVars"] and link["keepTime"] and "placement" not in link


@each_board
def test_data_sources_jobs_and_instances_are_chosen_not_fixed(board: dict[str, Any]) -> None:
    variables = {each["name"]: each for each in board["templating"]["list"]}
    assert (variables["datasource"]["type"], variables["datasource"]["query"]) == ("datasource", "prometheus")
    assert (variables["reports"]["type"], variables["reports"]["query"]) == ("datasource", PLUGIN)
    for name in ("job", "instance"):
        assert variables[name]["multi"] and variables[name]["includeAll"] and variables[name]["allValue"] == ".+"
    for each in variables.values():
        assert each["label"]
        if each["type"] == "query":
            assert each["refresh"] == 2 and each["datasource"]["uid"] == "${datasource}", "filled anew when the time changes"
    restarts, alerts = board["annotations"]["list"]
    ((_, matchers),) = SELECTOR.findall(restarts["expr"])
    assert set(FLEET) <= set(matchers.split(", ")) and "[$__rate_interval]" in restarts["expr"] and alerts["expr"] == FIRING
    assert restarts["datasource"]["uid"] == alerts["datasource"]["uid"] == "${datasource}"


@each_board
def test_every_variable_is_used_and_every_used_one_is_there(board: dict[str, Any]) -> None:
    def names_in(text: str) -> set[str]:
        return {name for name in re.findall(r"\$\{?(\w+)", text) if not name.startswith("__")}

    own = {each["name"] for each in board["templating"]["list"]}
    used = names_in(repr([board["panels"], board["templating"]["list"], board["annotations"]["list"]]))
    assert used <= own and own - {"reports"} <= used


@each_board
def test_panels_fill_their_rows_and_none_lies_on_another(board: dict[str, Any]) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        place = panel["gridPos"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells
    lines = {y for _, y in taken}
    assert lines == set(range(max(lines) + 1)), "no gap"
    assert taken == {(x, y) for x in range(24) for y in lines}, "no hole"


def is_over_time(panel: dict[str, Any]) -> bool:
    return panel["type"] in ("timeseries", "state-timeline")


@each_board
def test_no_panel_is_there_twice(board: dict[str, Any]) -> None:
    titles = [panel["title"] for panel in walk_panels(board)]
    shown = [repr([target.get("expr", target.get("url")) for target in panel["targets"]]) for panel in walk_panels(board) if is_over_time(panel)]
    assert len(set(titles)) == len(titles) and len(set(shown)) == len(shown)


@each_panel
def test_a_panel_says_what_it_shows(panel: dict[str, Any]) -> None:
    assert panel["title"] and len(panel["title"]) <= 40
    assert panel["description"].endswith(".") and len(panel["description"].split()) >= 3


@each_panel
def test_a_panel_has_a_unit_and_colours_of_ours(panel: dict[str, Any]) -> None:
    given = panel["fieldConfig"]
    found = [given["defaults"]["unit"], *(each["value"] for one in given["overrides"] for each in one["properties"] if each["id"] == "unit")]
    assert set(found) <= UNITS
    named = set(re.findall(r"'(?:color|fixedColor)': '([^']+)'", repr(given)))
    assert named <= COLOURS, "every colour stands in dashboards/colours.py"


@each_panel
def test_a_panel_asks_something_of_the_source_that_was_chosen(panel: dict[str, Any]) -> None:
    assert panel["targets"] and panel["datasource"]["uid"] in ("${datasource}", "${reports}")
    assert {target["datasource"]["uid"] for target in panel["targets"]} == {panel["datasource"]["uid"]}
    names = [target["refId"] for target in panel["targets"]]
    assert len(set(names)) == len(names)


@each_panel
def test_links_lead_to_dashboards_of_ours_with_variables_that_they_have(panel: dict[str, Any]) -> None:
    for address in re.findall(r"'(/d/[^']+)'", repr(panel)):
        uid, _, asked = address.removeprefix("/d/").partition("?")
        own = {each["name"] for each in BOARDS[uid]["templating"]["list"]}
        given = set(re.findall(r"(?:^|&)(?:var-(\w+)=)", asked)) | set(re.findall(r"\$\{(\w+):queryparam\}", asked))
        assert given <= own and "${__url_time_range}" in asked


@each_query
def test_every_selector_names_job_and_instance(panel: dict[str, Any], target: dict[str, Any]) -> None:
    selectors = SELECTOR.findall(target["expr"].replace(FIRING, ""))
    assert selectors or FIRING in target["expr"]
    for name, matchers in selectors:
        assert set(FLEET) <= set(matchers.split(", ")), name


@each_query
def test_counters_are_rated_before_anything_else(panel: dict[str, Any], target: dict[str, Any]) -> None:
    ranged = RANGED.findall(target["expr"])
    rated = [name for function, name, _, _ in ranged if function in ("rate", "increase")]
    counters = [name for name, _ in SELECTOR.findall(target["expr"]) if name.endswith(("_total", "_bucket", "_count", "_sum"))]
    assert sorted(counters) == sorted(rated), "every counter stands in a rate of its own, and nothing else does"


@each_query
def test_rates_span_what_grafana_says(panel: dict[str, Any], target: dict[str, Any]) -> None:
    for function, name, _, span in RANGED.findall(target["expr"]):
        allowed = ("$__rate_interval",) if function == "rate" else ("$__rate_interval", "$__range", RECENT)
        assert span in allowed, name


@each_query
def test_series_have_names_and_tables_and_figures_ask_once(panel: dict[str, Any], target: dict[str, Any]) -> None:
    kept = re.findall(r"by \(([^)]*)\)", target["expr"])
    if panel["type"] == "table":
        assert target["format"] == "table" and target["instant"]
    elif is_over_time(panel):
        assert target["range"] and target["legendFormat"] not in ("", "__auto")
        for label in re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]):
            assert label == "instance" or any(label in names.split(", ") for names in kept), label
    else:
        assert panel["type"] == "stat"


@each_panel
def test_exemplars_are_asked_for_once_where_single_calls_have_traces(panel: dict[str, Any]) -> None:
    asked = [target for target in panel["targets"] if target.get("exemplar")]
    assert len(asked) == (panel["type"] == "timeseries" and "operation_duration_seconds_bucket" in repr(panel["targets"]))
