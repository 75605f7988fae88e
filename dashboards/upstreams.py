"""Upstreams: how fast the providers answer, how often they fail, what is left of their limits, and what was done about it."""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import Dashboard

from dashboards.board import make_board, make_model, make_upstream
from dashboards.colours import BAD, BREAKER, NOTICE, PARKED, WARNING
from dashboards.panels import PANEL, QUARTER, Column, Line, make_series, make_table, make_timeline
from dashboards.queries import MODEL, RECENT, UPSTREAM, error_share, gather, newest, or_nothing, quantile, share, spread, sum_increase, sum_rate

UID = "weighbridge-upstreams"
_CALLS, _ATTEMPTS = "weighbridge_calls_total", "weighbridge_attempts_total"
_DURATION = "gen_ai_client_operation_duration_seconds"
_FIRST, _PIECE = "gen_ai_client_operation_time_to_first_chunk_seconds", "gen_ai_client_operation_time_per_output_chunk_seconds"
_BY = ("upstream",)
_THEIRS = 'outcome=~"upstream_.+"'
_AMISS = 'outcome!~"ok|caller_.+"'
# An answer that was given up for another attempt has a record of its own, and is not the end of a call.
_ENDED = 'outcome!="upstream_discarded"'
# https://github.com/open-telemetry/semantic-conventions-genai: error_type is absent, here empty, where the call succeeded
_ANSWERED = 'error_type=""'


def make_upstreams() -> Dashboard:
    description = "How fast the providers answer, how often they fail, what is left of their limits, and what Weighbridge did about it."
    rows = [("Which upstream?", [make_overview()]), ("Speed", make_speed()), ("Failures", make_failures()), ("Limits and keys", make_limits())]
    return make_board(UID, "Weighbridge / Upstreams", description, [make_upstream(), make_model()], rows)


def make_overview() -> PANEL:
    columns = [
        Column("Calls a minute", f"60 * {sum_rate(_CALLS, _ENDED, UPSTREAM, MODEL, by=_BY)}", decimals=1),
        Column(
            "Errors",
            error_share(_CALLS, _THEIRS, _ENDED, UPSTREAM, MODEL, by=_BY, over=RECENT),
            "percentunit",
            steps={0.01: NOTICE, 0.05: BAD},
            decimals=1,
        ),
        Column("Duration p95", quantile(0.95, _DURATION, UPSTREAM, MODEL, _ANSWERED, by=_BY), "s"),
        Column("First token p95", quantile(0.95, _FIRST, UPSTREAM, MODEL, by=_BY), "s"),
        Column("Attempts a call", make_ratio(), decimals=2, steps={1.1: NOTICE, 1.5: BAD}),
        Column("Headroom", gather("min", _BY, make_headroom()), "percentunit", decimals=0),
        Column("Breaker", newest("weighbridge_breaker_state", UPSTREAM, by=_BY), "none", states=BREAKER),
        Column("Keys parked", gather("sum", _BY, newest("weighbridge_key_parked", UPSTREAM, by=("upstream", "key"))), "none", steps={1: WARNING}),
    ]
    return make_table(
        "Upstreams",
        f"One row an upstream. Errors are those of the last {RECENT} that are the upstream's fault; headroom is what is left of "
        "the limit it tells of, requests or tokens, whichever is nearer its end; the breaker is that of its worst key.",
        [Column("Upstream", unit="string")],
        columns,
        sort="Errors",
        height=7,
    )


def make_headroom() -> str:
    """What is left of each limit that an upstream tells of."""
    kinds = ("upstream", "kind")
    return share(newest("weighbridge_upstream_remaining", UPSTREAM, by=kinds), newest("weighbridge_upstream_limit", UPSTREAM, by=kinds))


def make_ratio() -> str:
    """Attempts at an upstream for each call that ended there."""
    return share(sum_increase(_ATTEMPTS, UPSTREAM, by=_BY), sum_increase(_CALLS, _ENDED, UPSTREAM, by=_BY))


def make_speed() -> list[PANEL]:
    per_stream = [Line(f"1 / {quantile(of, _PIECE, UPSTREAM, MODEL)}", name) for of, name in ((0.5, "p50"), (0.95, "slowest 5 %"))]
    return [
        make_series(
            "Duration",
            "How long answered calls take, to the last byte. The dots are single calls: a click opens the trace.",
            [Line(*each) for each in spread(_DURATION, UPSTREAM, MODEL, _ANSWERED)],
            "s",
            exemplars=True,
            width=QUARTER,
        ),
        make_series(
            "Time to first token",
            "From the request to the first token of the answer.",
            [Line(*each) for each in spread(_FIRST, UPSTREAM, MODEL)],
            "s",
            width=QUARTER,
        ),
        make_series(
            "Tokens a second of one stream",
            "How fast a streamed answer comes: of half of the streams at least p50, of the slowest 5 % less than theirs.",
            per_stream,
            "none",
            width=QUARTER,
        ),
        make_series(
            "First token by model",
            "95th percentile of the time to the first token, by model.",
            [Line(quantile(0.95, _FIRST, UPSTREAM, MODEL, by=("gen_ai_request_model",)), "{{gen_ai_request_model}}")],
            "s",
            width=QUARTER,
        ),
    ]


def make_failures() -> list[PANEL]:
    retried, fallen = "weighbridge_retries_total", "weighbridge_fallbacks_total"
    turned = [
        Line(sum_rate(retried, UPSTREAM, by=("reason",)), "retry: {{reason}}"),
        Line(sum_rate(fallen, UPSTREAM, by=("reason",)), "fallback: {{reason}}"),
        Line(sum_rate("weighbridge_retry_quota_refusals_total", UPSTREAM), "retry not allowed any more"),
    ]
    attempts, failed = sum_rate(_ATTEMPTS, UPSTREAM, by=_BY), sum_rate(_ATTEMPTS, UPSTREAM, 'outcome!="ok"', by=_BY)
    return [
        make_series(
            "Failed calls by outcome",
            "Calls a second that failed and not by the caller's own fault; the README has each outcome by its name.",
            [Line(sum_rate(_CALLS, _AMISS, _ENDED, UPSTREAM, MODEL, by=("outcome",)), "{{outcome}}")],
            "reqps",
            stacked=True,
            width=QUARTER,
        ),
        make_series(
            "Failed attempts",
            "Share of attempts at each upstream that failed, whatever a retry made of it.",
            [Line(share(or_nothing(failed, attempts), attempts), "{{upstream}}")],
            "percentunit",
            width=QUARTER,
            most=1,
        ),
        make_series(
            "Retries and fallbacks",
            "Further attempts a second at the same upstream or another, by reason; and those that the retry quota forbade.",
            turned,
            "reqps",
            stacked=True,
            width=QUARTER,
        ),
        make_series(
            "Hedges",
            "Second attempts a second that were started because the first was slow, by which of them was faster.",
            [Line(sum_rate("weighbridge_hedges_total", UPSTREAM, by=("upstream", "result")), "{{upstream}}: {{result}}")],
            "reqps",
            width=QUARTER,
        ),
    ]


def make_limits() -> list[PANEL]:
    keys = ("upstream", "key")
    opened = f"3600 * {sum_rate('weighbridge_breaker_opened_total', UPSTREAM, by=keys)}"
    return [
        make_series(
            "Headroom",
            "What is left of the limits that upstreams tell of in their answers.",
            [Line(make_headroom(), "{{upstream}} {{kind}}")],
            "percentunit",
            width=QUARTER,
            most=1,
            steps={0.1: WARNING},
        ),
        make_timeline(
            "Breakers",
            "An upstream's key that failed again and again is left alone for a while: open. Half open: one call tries.",
            Line(newest("weighbridge_breaker_state", UPSTREAM, by=keys), "{{upstream}} {{key}}"),
            BREAKER,
            width=QUARTER,
        ),
        make_series(
            "Breakers opened",
            "How often an hour a breaker opens, by upstream and key.",
            [Line(opened, "{{upstream}} {{key}}")],
            "none",
            width=QUARTER,
        ),
        make_timeline(
            "Keys",
            "A key that the provider refused or whose quota is used up is parked for a while, and others are used.",
            Line(newest("weighbridge_key_parked", UPSTREAM, by=keys), "{{upstream}} {{key}}"),
            PARKED,
            width=QUARTER,
        ),
    ]
