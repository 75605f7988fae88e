"""The metrics: everything that /metrics shows, counted from the records as they are loaded and gathered from what the planes tell of themselves.

Names follow the OpenTelemetry GenAI conventions in their Prometheus translation (`gen_ai_client_token_usage`,
`gen_ai_client_operation_duration_seconds`, …) plus `weighbridge_*`; docs/metrics.md says what each means, and a test holds it to that.
Counting happens in plain slots because it is paid for every call; families are made when they are asked for.
Labels are bounded: upstreams come from the config, outcomes and operations from the code; models and agents past their bound are `other`.
Whoever else has something to show appends a function that yields families to `Metrics.gauges`.
"""

from proxy.controlplane.metrics.registry import Metrics

__all__ = ["Metrics"]
