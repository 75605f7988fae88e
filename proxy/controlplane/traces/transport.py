"""The way to a collector: OTLP over gRPC or HTTP, with its headers and certificates, as the config says and nothing else does.

What a shell happens to export (an HTTP proxy, a `.netrc`) is left alone, as on the way to the providers.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import requests
from grpc import ChannelCredentials, ssl_channel_credentials
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GrpcLogs
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as GrpcMetrics
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpans
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as HttpLogs
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as HttpMetrics
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpSpans
from opentelemetry.sdk._logs.export import LogRecordExporter
from opentelemetry.sdk.metrics.export import MetricExporter
from opentelemetry.sdk.trace.export import SpanExporter

from proxy.otlp import Otlp

TIMEOUT_S = 10.0  # of a batch, with all that is tried again
_NO_PROXY = (("grpc.enable_http_proxy", 0),)
logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)  # what fails is counted and told once, by `export`


class Way(msgspec.Struct):
    """What takes spans, events and metrics to the collector."""

    spans: SpanExporter
    events: LogRecordExporter
    metrics: MetricExporter

    def close(self) -> None:
        """End, also what is under way."""
        for one in (self.spans, self.events, self.metrics):
            one.shutdown()


def open_way(otlp: Otlp, environment: Mapping[str, str] = os.environ, timeout_s: float = TIMEOUT_S) -> Way:
    """The way to a config's collector; nobody is called yet."""
    assert otlp.endpoint is not None, "there is a collector"
    headers = otlp.find_headers(environment)
    if otlp.protocol == "grpc":
        named: dict[str, Any] = {
            "endpoint": otlp.endpoint, "insecure": not otlp.is_secure, "credentials": _load_credentials(otlp) if otlp.is_secure else None,
            "headers": tuple(headers.items()), "timeout": timeout_s, "channel_options": _NO_PROXY,
        }  # fmt: skip
        return Way(GrpcSpans(**named), GrpcLogs(**named), GrpcMetrics(**named))
    base = otlp.endpoint.rstrip("/")

    def describe(signal: str) -> dict[str, Any]:
        session = requests.Session()
        session.trust_env = False
        return {
            "endpoint": f"{base}/v1/{signal}", "certificate_file": otlp.ca_file, "client_certificate_file": otlp.client_certificate,
            "client_key_file": otlp.client_key, "headers": headers, "timeout": timeout_s, "session": session,
        }  # fmt: skip

    return Way(HttpSpans(**describe("traces")), HttpLogs(**describe("logs")), HttpMetrics(**describe("metrics")))


def _load_credentials(otlp: Otlp) -> ChannelCredentials:
    chain = _read(otlp.client_certificate)
    return ssl_channel_credentials(_read(otlp.ca_file), _read(otlp.client_key) or chain, chain)


def _read(path: str | None) -> bytes | None:
    return None if path is None else Path(path).read_bytes()
