"""Where telemetry is sent by OTLP, as the config describes it, and the checks of what was written.

A header's value is text, or `env:NAME` for what the environment holds; one whose name says that it is a secret must be the latter.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import msgspec

from proxy.document import Faults

_HEADER = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]+")
_SECRET = re.compile(r"authorization|key|token|secret|password|cookie")
_VISIBLE = re.compile(r"[ -~]+")
_ENVIRONMENT = "env:"


class Otlp(msgspec.Struct, frozen=True):
    """An OpenTelemetry collector, or whatever speaks its protocol, and what it is sent."""

    endpoint: str | None = None  # http://host:port or https://…; null: nothing is sent
    protocol: Literal["grpc", "http"] = "grpc"
    headers: dict[str, str] = {}  # lower-case name → text or env:NAME
    ca_file: str | None = None  # trust this CA bundle instead of the system's
    client_certificate: str | None = None  # show this certificate (PEM, with its chain) …
    client_key: str | None = None  # … and prove it by this key; default: the key stands in the same file
    traces: bool = True
    metrics: bool = False
    share: float = 1.0  # of ordinary calls that become spans
    vocabulary: Literal["current", "legacy", "both"] = "current"  # of the GenAI attributes
    content: bool = False  # prompts and outputs too, where capture.content keeps them
    propagate: bool = False  # give upstreams a traceparent of ours

    @property
    def sends_traces(self) -> bool:
        return self.endpoint is not None and self.traces

    @property
    def sends_metrics(self) -> bool:
        return self.endpoint is not None and self.metrics

    @property
    def is_secure(self) -> bool:
        return (self.endpoint or "").startswith("https:")

    def find_headers(self, environment: Mapping[str, str]) -> dict[str, str]:
        """The headers with the values that the environment holds."""
        return {name: _find(text, environment) for name, text in self.headers.items()}

    def find_secrets(self, environment: Mapping[str, str]) -> list[str]:
        """The values out of the environment, and of each that has two words (`Bearer …`) the second one too."""
        values = [_find(text, environment) for text in self.headers.values() if text.startswith(_ENVIRONMENT)]
        return [*values, *(value.partition(" ")[2] for value in values)]


def _find(text: str, environment: Mapping[str, str]) -> str:
    return environment.get(text[len(_ENVIRONMENT) :], "") if text.startswith(_ENVIRONMENT) else text


def check_otlp(otlp: Otlp, keeps_content: bool, environment: Mapping[str, str], faults: Faults) -> None:
    """Add the faults of the section."""
    if otlp.endpoint is not None and not _is_usable(otlp.endpoint):
        faults.add("otlp.endpoint", "expected http://host[:port] or https://…, without user, query or fragment; null sends nothing")
    elif otlp.endpoint is not None and otlp.protocol == "grpc" and urlsplit(otlp.endpoint).path not in ("", "/"):
        faults.add("otlp.endpoint", "a gRPC endpoint has no path; leave it out, or use `protocol: http`")
    if not 0 <= otlp.share <= 1:
        faults.add("otlp.share", "expected 0 to 1; errors, refusals and flagged calls are sent whatever it is")
    if otlp.content and not keeps_content:
        faults.add("otlp.content", "is of no use while `capture.content` is off; set that too, or take this back")
    for name, text in (otlp.headers or {}).items():
        _check_header(name, text or "", environment, faults)
    _check_files(otlp, faults)


def _check_header(name: str, text: str, environment: Mapping[str, str], faults: Faults) -> None:
    path = f"otlp.headers.{name}"
    if not _HEADER.fullmatch(name):
        faults.add(path, "a header's name here is of lower-case letters, digits and `-`")
    elif text.startswith(_ENVIRONMENT):
        if not _VISIBLE.fullmatch(_find(text, environment)):
            faults.add(path, f"the environment variable {text[len(_ENVIRONMENT) :]} is not set, or holds what cannot stand in a header")
    elif _SECRET.search(name):
        faults.add(path, "its value looks like a secret; put it in an environment variable and write `env:NAME`")
    elif not _VISIBLE.fullmatch(text):
        faults.add(path, "expected printable ASCII, or env:NAME")


def _check_files(otlp: Otlp, faults: Faults) -> None:
    """Each file is read as it will be read for the first connection, so that a bad one is known now."""
    named = {field: getattr(otlp, field) for field in ("ca_file", "client_certificate", "client_key")}
    missing = [field for field, file in named.items() if file is not None and not Path(file).is_file()]
    for field in missing:
        faults.add(f"otlp.{field}", "no such file")
    for field, file in named.items():
        if file is not None and otlp.endpoint is not None and not otlp.is_secure:
            faults.add(f"otlp.{field}", "is of no use with an http:// endpoint")
    if otlp.client_key is not None and otlp.client_certificate is None:
        faults.add("otlp.client_key", "is of no use without `client_certificate`")
    if missing:
        return
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        if otlp.ca_file is not None:
            context.load_verify_locations(cafile=otlp.ca_file)
    except OSError:
        faults.add("otlp.ca_file", "holds no certificate in PEM")
    try:
        if otlp.client_certificate is not None:
            context.load_cert_chain(otlp.client_certificate, otlp.client_key, password="")
    except OSError:
        faults.add("otlp.client_certificate", "and its key (`client_key`, or in the same file, without a password) cannot be used together")


def _is_usable(text: str) -> bool:
    try:
        url = urlsplit(text)
        return bool(url.scheme in ("http", "https") and url.hostname and url.port != 0 and not (url.query or url.fragment or url.username))
    except ValueError:  # a port or an IPv6 address that is none
        return False
