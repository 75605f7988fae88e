"""The metrics that dashboards may ask for, and the labels of each; `docs/metrics.md` says the same of all that it lists."""

from __future__ import annotations

import re
from pathlib import Path

L = ("upstream", "gen_ai_provider_name", "gen_ai_operation_name", "gen_ai_request_model")
WHO = ("agent", "team")
METRICS: dict[str, tuple[str, ...]] = {
    "weighbridge_calls_total": (*L, "outcome"),
    "weighbridge_tokens_total": (*L, "kind"),
    "weighbridge_cost_usd_total": L,
    "weighbridge_unpriced_calls_total": L,
    "weighbridge_usage_total": (*L, "source"),
    "weighbridge_finishes_total": (*L, "finish"),
    "gen_ai_client_token_usage_bucket": (*L, "gen_ai_token_type", "le"),
    "gen_ai_client_operation_duration_seconds_bucket": (*L, "error_type", "le"),
    "gen_ai_client_operation_time_to_first_chunk_seconds_bucket": (*L, "le"),
    "gen_ai_client_operation_time_per_output_chunk_seconds_bucket": (*L, "le"),
    "weighbridge_added_seconds_bucket": ("le",),
    "weighbridge_waited_seconds_bucket": ("le",),
    "weighbridge_build_info": ("version",),
    **{
        f"weighbridge_budget_{figure}_{unit}": ("budget", "scope")
        for figure in ("limit", "spent", "reserved", "forecast")
        for unit in ("usd", "tokens", "calls")
    },
    **{
        f"weighbridge_{name}": ()
        for name in (
            "pulse_age_seconds",
            "in_flight_calls",
            "opened_calls_total",
            "settled_calls_total",
            "journal_lag_bytes",
            "loop_lag_seconds",
            "data_plane_start_time_seconds",
            "crashed_calls_total",
            "journal_lost_lines_total",
            "journal_lines_written_total",
            "journal_lines_loaded_total",
            "samples_sent_total",
            "samples_dropped_total",
            "agents",
            "accounting_gap_calls",
            "metrics_series",
            "spans_sent_total",
            "open_tasks",
            "evaluated_calls_total",
            "review_oldest_seconds",
        )
    },
    "weighbridge_agent_calls_total": (*WHO, "result"),
    "weighbridge_agent_tokens_total": (*WHO, "kind"),
    "weighbridge_agent_cost_usd_total": WHO,
    "weighbridge_agent_last_seen_timestamp_seconds": WHO,
    "weighbridge_agent_silence_limit_seconds": WHO,
    "weighbridge_agent_stuck_tasks": WHO,
    "weighbridge_agent_verdicts_total": (*WHO, "evaluator", "verdict"),
    "weighbridge_agent_drift_state": WHO,
    "weighbridge_agent_drift_alarms_total": (*WHO, "severity"),
    "weighbridge_attempts_total": ("upstream", "outcome"),
    "weighbridge_retries_total": ("upstream", "reason"),
    "weighbridge_fallbacks_total": ("upstream", "reason"),
    "weighbridge_hedges_total": ("upstream", "result"),
    "weighbridge_breaker_state": ("upstream", "key"),
    "weighbridge_breaker_opened_total": ("upstream", "key"),
    "weighbridge_key_parked": ("upstream", "key"),
    "weighbridge_retry_quota_refusals_total": ("upstream",),
    "weighbridge_upstream_limit": ("upstream", "kind"),
    "weighbridge_upstream_remaining": ("upstream", "kind"),
    "weighbridge_memory_bytes": ("plane",),
    "weighbridge_cpu_seconds_total": ("plane",),
    "weighbridge_waiting_calls": ("limit",),
    "weighbridge_running_calls": ("limit",),
    "weighbridge_dropped_total": ("what", "reason"),
    "weighbridge_estimate_ratio_bucket": ("kind", "le"),
    "weighbridge_notices_sent_total": ("channel",),
    "weighbridge_verdicts_total": ("evaluator", "label"),
    "weighbridge_evaluator_failures_total": ("evaluator", "reason"),
    "weighbridge_evaluator_seconds_bucket": ("evaluator", "le"),
    "weighbridge_review_queue_calls": ("kind",),
    "weighbridge_reviews_total": ("decision",),
    # Prometheus's own
    "scrape_duration_seconds": (),
    "ALERTS": ("alertstate", "alertname"),
}


def read_documented(page: str) -> dict[str, set[str]]:
    """Family or counter → labels, of the tables of `docs/metrics.md`; a histogram by the name of its buckets."""
    found = {}
    for name, kind, labels in re.findall(r"^\| `(\w+)` \| (\w+) \| ([^|]*)\|", page, re.MULTILINE):
        named = {label for each in re.findall(r"`(\w+)`", labels) for label in (L if each == "L" else (each,))}
        found[f"{name}_bucket" if kind == "histogram" else name] = named | ({"le"} if kind == "histogram" else set())
    return found


PAGE = Path(__file__).resolve().parents[2] / "docs" / "metrics.md"
