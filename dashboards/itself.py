"""Weighbridge itself: whether it is alive, what it adds to a call, whether it loses anything, and what it costs to watch it."""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import Dashboard

from dashboards.board import make_board
from dashboards.colours import BAD, NOTICE, WARNING
from dashboards.panels import ANY, PANEL, QUARTER, THIRD, Column, Line, make_series, make_stat, make_table
from dashboards.queries import add_up, age, gather, newest, or_zero, quantile, select, spread, sum_increase, sum_rate

UID = "weighbridge-itself"
_ADDED, _WAITED = "weighbridge_added_seconds", "weighbridge_waited_seconds"


def make_itself() -> Dashboard:
    description = "Whether Weighbridge is alive, what it adds to a call, whether it loses anything, and what it costs to watch it."
    rows = [
        ("Now", [*make_signs(), *make_losses()]),
        ("The data plane", make_data_plane()),
        ("The control plane", make_control_plane()),
        ("Instances", [make_instances()]),
    ]
    return make_board(UID, "Weighbridge / Itself", description, [], rows)


def make_signs() -> list[PANEL]:
    """Whether it is alive and quick."""
    return [
        make_stat(
            "Pulse",
            "Time since the data plane was last heard of, the worst of all instances. It speaks about once a second.",
            newest("weighbridge_pulse_age_seconds"),
            "s",
            steps={5: WARNING, 30: BAD},
            decimals=1,
        ),
        make_stat(
            "Added time p99",
            "What Weighbridge adds before a request goes upstream, without connecting: 99th percentile.",
            quantile(0.99, _ADDED),
            "s",
            steps={0.01: NOTICE, 0.05: BAD},
        ),
        make_stat(
            "Loop lag",
            "The longest that a data plane's event loop stood still in the last minute.",
            newest("weighbridge_loop_lag_seconds"),
            "s",
            steps={0.05: NOTICE, 0.25: BAD},
        ),
        make_stat(
            "Journal lag",
            "Bytes of the journal that are not in the store yet: reports and figures are behind by that much.",
            add_up("weighbridge_journal_lag_bytes"),
            "bytes",
            steps={10_000_000: NOTICE, 100_000_000: BAD},
        ),
    ]


def make_losses() -> list[PANEL]:
    """Whether it loses anything, and what a scrape weighs."""
    return [
        make_stat(
            "Journal lines lost",
            "Lines that could not be written. Must stay 0: they are records.",
            or_zero(sum_increase("weighbridge_journal_lost_lines_total", over="$__range")),
            "none",
            steps=ANY,
            decimals=0,
        ),
        make_stat(
            "Accounting gap",
            "Calls opened that were neither settled nor are in flight. Must stay near 0: each is a call without a record.",
            add_up("weighbridge_accounting_gap_calls"),
            "none",
            steps={5: WARNING, 50: BAD},
        ),
        make_stat(
            "Dropped",
            "Samples, spans, metrics, notices and contents that were given up in the time shown because a queue was full.",
            or_zero(sum_increase("weighbridge_dropped_total", over="$__range")),
            "short",
            steps={1: WARNING},
            decimals=0,
        ),
        make_stat(
            "Series",
            "Series in a scrape of the largest instance.",
            newest("weighbridge_metrics_series"),
            "short",
            steps={10_000: NOTICE, 50_000: BAD},
            decimals=0,
        ),
    ]


def make_data_plane() -> list[PANEL]:
    waiting = [
        Line(add_up("weighbridge_running_calls", by=("limit",)), "{{limit}}: running"),
        Line(add_up("weighbridge_waiting_calls", by=("limit",)), "{{limit}}: waiting"),
    ]
    return [
        make_series(
            "Added time",
            "What Weighbridge adds before a request goes upstream, without connecting.",
            [Line(*each) for each in spread(_ADDED)],
            "s",
            width=THIRD,
        ),
        make_series(
            "In flight",
            "Calls being carried now, by instance.",
            [Line(select("weighbridge_in_flight_calls"), "{{instance}}")],
            "none",
            width=THIRD,
        ),
        make_series(
            "CPU",
            "Cores that each plane takes.",
            [Line(sum_rate("weighbridge_cpu_seconds_total", by=("plane",)), "{{plane}} plane")],
            "none",
            width=THIRD,
        ),
        make_series(
            "Memory",
            "Resident memory of each plane, added up over instances.",
            [Line(add_up("weighbridge_memory_bytes", by=("plane",)), "{{plane}} plane")],
            "bytes",
            width=THIRD,
        ),
        make_series("Limits", "Calls that run under each limit and that wait for a place.", waiting, "none", width=THIRD),
        make_series("Time waited", "How long calls waited for a place under a limit.", [Line(*each) for each in spread(_WAITED)], "s", width=THIRD),
    ]


def make_control_plane() -> list[PANEL]:
    sent = [
        Line(sum_rate("weighbridge_spans_sent_total"), "spans"),
        Line(sum_rate("weighbridge_notices_sent_total", by=("channel",)), "notices: {{channel}}"),
        Line(sum_rate("weighbridge_samples_sent_total"), "samples"),
    ]
    loaded = [
        Line(sum_rate("weighbridge_journal_lines_written_total"), "written"),
        Line(sum_rate("weighbridge_journal_lines_loaded_total"), "loaded"),
    ]
    return [
        make_series(
            "Journal",
            "Lines a second that the data plane writes and the control plane loads: they should lie on each other.",
            loaded,
            "cps",
            width=QUARTER,
        ),
        make_series(
            "Dropped by reason",
            "What was given up a second, by what it was and why.",
            [Line(sum_rate("weighbridge_dropped_total", by=("what", "reason")), "{{what}}: {{reason}}")],
            "cps",
            stacked=True,
            width=QUARTER,
        ),
        make_series("Sent", "Spans, notices and samples that were handed over a second.", sent, "cps", width=QUARTER),
        make_series(
            "Accounting gap by instance",
            "Calls opened that were neither settled nor are in flight, by instance.",
            [Line(select("weighbridge_accounting_gap_calls"), "{{instance}}")],
            "none",
            width=QUARTER,
        ),
    ]


def make_instances() -> PANEL:
    by = ("instance",)
    crashed = gather("sum", by, f"increase({select('weighbridge_crashed_calls_total')}[$__range])")
    runs = age("weighbridge_data_plane_start_time_seconds", by=by)
    build = newest("weighbridge_build_info", by=("instance", "version"))
    columns = [
        Column("Runs since", f"({runs}) * on (instance) group_left (version) {build}", "s", decimals=0),
        Column("Calls a minute", f"60 * {sum_rate('weighbridge_opened_calls_total', by=by)}", decimals=1),
        Column("Pulse", newest("weighbridge_pulse_age_seconds", by=by), "s", steps={5: WARNING, 30: BAD}, decimals=1),
        Column("Crashed calls", crashed, "none", steps=ANY, decimals=0),
        Column("Open tasks", newest("weighbridge_open_tasks", by=by), "none"),
        Column("Scrape time", newest("scrape_duration_seconds", by=by), "s", steps={0.5: NOTICE, 5: BAD}),
    ]
    return make_table(
        "Instances",
        "One row an instance: how long its data plane has run, what it carries, and how long Prometheus waits for its figures.",
        [Column("Instance", unit="string"), Column("Version", unit="string")],
        columns,
        sort="Pulse",
        height=7,
    )
