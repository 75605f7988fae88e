"""The way to a collector, over both protocols: headers, certificates, and nothing of what the environment says of proxies."""

from __future__ import annotations

import msgspec
import pytest
from opentelemetry.sdk.trace.export import SpanExportResult

from proxy.controlplane.traces.spans import SpanMaker, Told
from proxy.controlplane.traces.transport import open_way
from proxy.otlp import Otlp
from tests.controlplane.conftest import make_record

SPANS = SpanMaker({}, "1", "host", "current").make(msgspec.json.decode(msgspec.json.encode(make_record(1)), type=Told))


def send(otlp: Otlp, environment: dict[str, str] | None = None) -> bool:
    way = open_way(otlp, environment or {}, timeout_s=5)
    try:
        return way.spans.export(SPANS) is SpanExportResult.SUCCESS
    finally:
        way.close()


def test_spans_arrive_with_the_headers_of_the_config(serve, protocol, monkeypatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "grpc_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with serve() as collector:
        otlp = Otlp(endpoint=collector.endpoint, protocol=protocol, headers={"authorization": "env:TOKEN", "x-team": "red"})
        assert send(otlp, {"TOKEN": "Bearer abc"})
        assert len(collector.spans) == 2
        assert collector.headers[0]["authorization"] == "Bearer abc" and collector.headers[0]["x-team"] == "red"


def test_a_path_of_an_http_endpoint_stands_before_the_signal_s() -> None:
    assert open_way(Otlp(endpoint="http://h/otlp/", protocol="http")).spans._endpoint == "http://h/otlp/v1/traces"


def test_both_ends_show_their_certificates(serve, protocol, certificates) -> None:
    authority, certificate, key = map(str, certificates)
    with serve(certificates) as collector:
        secure = Otlp(endpoint=collector.endpoint, protocol=protocol, ca_file=authority, client_certificate=certificate, client_key=key)
        assert send(secure) and len(collector.spans) == 2


@pytest.mark.parametrize("missing", ["ca_file", "client_certificate"])
def test_without_the_right_certificates_nothing_is_sent(serve, protocol, certificates, missing) -> None:
    authority, certificate, key = map(str, certificates)
    named = {"ca_file": authority, "client_certificate": certificate, "client_key": key}
    if missing == "client_certificate":
        named.pop("client_key")
    named.pop(missing)
    with serve(certificates) as collector:
        otlp = Otlp(endpoint=collector.endpoint, protocol=protocol, **named)
        way = open_way(otlp, {}, timeout_s=0.5)
        assert way.spans.export(SPANS) is SpanExportResult.FAILURE
        way.close()
        assert not collector.spans
