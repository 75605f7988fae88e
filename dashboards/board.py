"""What every dashboard has: its variables, its links to the others, one crosshair over all panels, and the restarts of the data plane."""

from __future__ import annotations

from collections.abc import Sequence

from grafana_foundation_sdk.builders import dashboard as parts
from grafana_foundation_sdk.models import dashboard

from dashboards.colours import BAD
from dashboards.infinity import PLUGIN
from dashboards.panels import PANEL, PROMETHEUS
from dashboards.queries import FIRING, UPSTREAM, select

TAG = "weighbridge"
KEPT = "${datasource:queryparam}&${job:queryparam}&${instance:queryparam}&${__url_time_range}"  # what a link takes along
ROW = tuple[str, Sequence[PANEL]]


def make_address(uid: str, more: str = "") -> str:
    """Where a click leads: another dashboard of ours, same time and source."""
    return f"/d/{uid}?{KEPT}" + (f"&{more}" if more else "")


def make_board(uid: str, title: str, description: str, variables: Sequence[parts.QueryVariable], rows: Sequence[ROW]) -> parts.Dashboard:
    """A dashboard of titled rows; the panels of a row stand side by side until the width is used up."""
    made = parts.Dashboard(title).uid(uid).description(description).tags([TAG]).readonly().timezone("browser").refresh("30s").time("now-3h", "now")
    made = made.tooltip(dashboard.DashboardCursorSync.CROSSHAIR).version(1)
    made = made.link(parts.DashboardLink("Weighbridge").type(dashboard.DashboardLinkType.DASHBOARDS).tags([TAG]).keep_time(True).include_vars(True))
    made = made.variables([*make_sources(), *variables]).annotations([make_restarts(), make_alerts()])
    for name, panels in rows:
        made = made.with_row(parts.Row(name))
        for panel in panels:
            made = made.with_panel(panel)
    return made


def make_sources() -> list[parts.DatasourceVariable | parts.QueryVariable]:
    """Which Prometheus, which jobs, which instances; and which Weighbridge answers reports."""
    return [
        parts.DatasourceVariable("datasource").label("Data source").type("prometheus"),
        parts.DatasourceVariable("reports").label("Reports").type(PLUGIN),
        make_variable("job", "Job", "label_values(weighbridge_build_info, job)"),
        make_variable("instance", "Instance", 'label_values(weighbridge_build_info{job=~"$job"}, instance)'),
    ]


def make_variable(name: str, label: str, query: str, *, many: bool = True) -> parts.QueryVariable:
    """A variable filled from Prometheus, anew when the time changes. `many`: several at once, or all of them."""
    made = parts.QueryVariable(name).label(label).datasource(PROMETHEUS).query({"query": query, "refId": name}).definition(query)
    made = made.refresh(dashboard.VariableRefresh.ON_TIME_RANGE_CHANGED).sort(dashboard.VariableSort.ALPHABETICAL_CASE_INSENSITIVE_ASC).multi(many)
    if many:
        made = made.include_all(True).all_value(".*" if name == "team" else ".+")
        made = made.current(dashboard.VariableOption(selected=True, text=["All"], value=["$__all"]))
    return made


def make_agent(many: bool = True) -> parts.QueryVariable:
    return make_variable("agent", "Agent", f"label_values({select('weighbridge_agent_calls_total')}, agent)", many=many)


def make_team() -> parts.QueryVariable:
    """Agents without a team have an empty one, and are in `All`."""
    return make_variable("team", "Team", f"label_values({select('weighbridge_agent_calls_total')}, team)")


def make_upstream() -> parts.QueryVariable:
    return make_variable("upstream", "Upstream", f"label_values({select('weighbridge_calls_total')}, upstream)")


def make_model() -> parts.QueryVariable:
    query = f"label_values({select('weighbridge_calls_total', UPSTREAM)}, gen_ai_request_model)"
    return make_variable("model", "Model", query)


def make_restarts() -> parts.AnnotationQuery:
    """A mark over all panels wherever the data plane started anew."""
    started = select("weighbridge_data_plane_start_time_seconds")
    made = parts.AnnotationQuery().name("Restarts").datasource(PROMETHEUS).enable(True).icon_color("purple")
    return made.expr(f"changes({started}[$__rate_interval]) > 0")


def make_alerts() -> parts.AnnotationQuery:
    """A mark for as long as an alert fires, with what it is about."""
    made = parts.AnnotationQuery().name("Alerts").datasource(PROMETHEUS).enable(True).icon_color(BAD).expr(FIRING)
    return made.title_format("{{alertname}} {{agent}}{{upstream}}{{budget}}").tag_keys("severity")


def finish(board: dashboard.Dashboard) -> dashboard.Dashboard:
    """What the builders leave out: panels have ids, by their place; links and marks stand at the top, not in a menu."""
    for number, panel in enumerate(board.panels or [], 1):
        panel.id_val = number
    for shown in (*(board.links or []), *(board.annotations.list_val or [])):
        shown.placement = None
    return board
