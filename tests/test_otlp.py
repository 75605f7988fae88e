"""The config of telemetry: what is refused and why, headers out of the environment, and secrets that are kept out of everything."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.config import ConfigError, parse
from proxy.otlp import Otlp
from proxy.redact import Redactor


def fault_of(section: str, environment: dict[str, str] | None = None) -> str:
    with pytest.raises(ConfigError) as raised:
        parse(f"otlp: {{{section}}}", environment=environment or {})
    (fault,) = raised.value.faults
    return str(fault)


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ("vocabulary: curent", "otlp.vocabulary: expected one of current, legacy, both, got text"),
        ("protocol: thrift", "otlp.protocol: expected one of grpc, http, got text"),
        ("endpoint: 'localhost:4317'", "otlp.endpoint: expected http://host[:port] or https://…"),
        ("endpoint: 'http://h:99999'", "otlp.endpoint: expected http://host[:port] or https://…"),
        ("endpoint: 'http://u:p@h:4317'", "otlp.endpoint: expected http://host[:port] or https://…"),
        ("endpoint: 'http://h:4317/v1/traces'", "otlp.endpoint: a gRPC endpoint has no path"),
        ("share: 1.5", "otlp.share: expected 0 to 1"),
        ("content: true", "otlp.content: is of no use while `capture.content` is off"),
        ("headers: {X: a}", "otlp.headers.X: a header's name here is of lower-case letters"),
        ("headers: {x: 'env:NO'}", "otlp.headers.x: the environment variable NO is not set"),
        ("headers: {authorization: Bearer abc}", "otlp.headers.authorization: its value looks like a secret"),
        ("headers: {x: 'a\u00fc'}", "otlp.headers.x: expected printable ASCII, or env:NAME"),
        ("ca_file: /no/such", "otlp.ca_file: no such file"),
        ("client_key: __file__", "otlp.client_key: is of no use without `client_certificate`"),
        ("endpoint: 'http://h', ca_file: __file__", "otlp.ca_file: is of no use with an http:// endpoint"),
        ("endpoint: 'https://h', ca_file: __file__", "otlp.ca_file: holds no certificate in PEM"),
        ("client_certificate: __file__", "otlp.client_certificate: and its key"),
    ],
)
def test_what_cannot_be_used_is_refused_with_what_to_do(section: str, expected: str) -> None:
    faults = fault_of(section.replace("__file__", f"'{Path(__file__)}'")) if "ca_file: __file__" not in section or "http:" not in section else None
    if faults is None:
        with pytest.raises(ConfigError) as raised:
            parse(f"otlp: {{{section.replace('__file__', repr(str(Path(__file__))))}}}", environment={})
        faults = str(raised.value.faults[0])
    assert faults.startswith(f"line 1: {expected}")


def test_headers_come_out_of_the_environment_and_are_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEIGHBRIDGE_TEST_KEY", "Bearer canary-of-a-collector")
    config = parse("otlp: {endpoint: 'https://h', headers: {authorization: 'env:WEIGHBRIDGE_TEST_KEY', x-team: red}}")
    assert config.otlp.find_headers({"WEIGHBRIDGE_TEST_KEY": "v"}) == {"authorization": "v", "x-team": "red"}
    assert {"Bearer canary-of-a-collector", "canary-of-a-collector"} <= set(config.secrets) and "red" not in config.secrets
    assert "canary" not in Redactor(config.secrets)("it said: canary-of-a-collector")


def test_nothing_is_sent_without_an_endpoint() -> None:
    assert not Otlp().sends_traces and not Otlp(metrics=True).sends_metrics
    sent = Otlp(endpoint="http://h", traces=False, metrics=True)
    assert sent.sends_metrics and not sent.sends_traces
