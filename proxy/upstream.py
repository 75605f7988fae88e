"""An upstream as the config describes it: where a provider is, how it is reached, and the checks of what was written.

A proxy on the way is named in the config only, never by the environment's `http_proxy`: who may read every call is not left
to whatever a shell happens to export. One that wants credentials stands in a variable of its own, as `env:NAME`.
"""

from __future__ import annotations

import base64
import re
import ssl
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

import msgspec

from proxy.document import NAME, NAME_SAYS, Faults
from proxy.routes import Breaker, Fallback, Hedge, Retry, Stall

Dialect = Literal["openai", "anthropic", "gemini", "bedrock", "cohere", "ollama"]
DIALECTS: tuple[str, ...] = typing.get_args(Dialect)
RESERVED = frozenset({"a", "agent", "t", "s", "healthz", "readyz", "metrics", "api"})
_VISIBLE = re.compile(r"[!-~]+")


class Upstream(msgspec.Struct, frozen=True):
    """A provider endpoint. The caller's path behind `/<name>` is appended to `url`."""

    url: str
    dialect: Dialect = "openai"
    key: str = "client"  # "client": the caller's credential passes through; "env:NAME": ours replaces it
    prices: str | None = None  # provider id in the price book; default: derived from the name and host
    model_optional: bool = False  # let requests without a model through (llama.cpp and the like)
    sign: str | None = None  # "aws:REGION": re-sign with the AWS identity of the environment (Bedrock)
    private: bool | None = None  # whether its name may resolve to a private address; default: if such a name can have no other
    proxy: str | None = None  # "http://host:port" or "env:NAME": an HTTP proxy on the way
    ca_file: str | None = None  # trust this CA bundle instead of the system's
    client_certificate: str | None = None  # show this certificate (PEM, with its chain) …
    client_key: str | None = None  # … and prove it by this key; default: the key stands in the same file
    keys: list[str] = []  # several of ours (env:NAME), instead of `key`
    retry: Retry = Retry()
    hedge: Hedge = Hedge()
    fallbacks: list[Fallback] = []
    breaker: Breaker = Breaker()
    stall: Stall = Stall()

    @property
    def key_names(self) -> list[str]:
        """The environment variables that hold keys of ours; none where callers bring their own."""
        return [key[4:] for key in self.keys or [self.key] if key.startswith("env:")]


class Proxy(msgspec.Struct, frozen=True):
    """An HTTP proxy. Its representation shows no secret."""

    host: str
    port: int
    password: str = ""
    credentials: str = ""  # `user:password` in base64, as Proxy-Authorization has it

    def __repr__(self) -> str:
        return f"Proxy({self.host}:{self.port})"


def find_proxy(text: str, environment: Mapping[str, str]) -> Proxy | None:
    """The proxy that `http://[user:password@]host:port` or `env:NAME` says; None where that is none."""
    url = environment.get(text[4:], "") if text.startswith("env:") else text
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:  # a port or an IPv6 address that is none
        return None
    if not _VISIBLE.fullmatch(url) or parts.scheme != "http" or not parts.hostname or not port:
        return None
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        return None
    if parts.username is None:
        return Proxy(parts.hostname, port)
    user, password = unquote(parts.username), unquote(parts.password or "")
    return Proxy(parts.hostname, port, password, base64.b64encode(f"{user}:{password}".encode()).decode())


def load_certificates(context: ssl.SSLContext, upstream: Upstream) -> None:
    """Give a context the authorities to trust and the certificate to show. Raises OSError (ssl.SSLError is one) for a file that cannot be used."""
    if upstream.ca_file is not None:
        context.load_verify_locations(cafile=upstream.ca_file)
    else:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    if upstream.client_certificate is not None:
        # An empty password makes a locked key an error; without one OpenSSL would ask at the terminal.
        context.load_cert_chain(upstream.client_certificate, upstream.client_key, password="")


def check_upstream(name: str, upstream: Upstream, environment: Mapping[str, str], faults: Faults) -> None:
    """Add the faults of one upstream."""
    path = f"upstreams.{name}"
    if not NAME.match(name):
        faults.add(path, NAME_SAYS)
    elif name in RESERVED or name == "demo":
        faults.add(path, "this name is reserved; choose another")
    if not _usable_url(upstream.url or ""):
        faults.add(f"{path}.url", "expected http://host[:port][/path] or https://…, without user, query or fragment")
    if upstream.key != "client":
        variable = upstream.key[4:] if upstream.key.startswith("env:") else ""
        if not variable:
            faults.add(f"{path}.key", "expected `client` or `env:NAME`; a secret itself never stands in this file")
        elif not environment.get(variable):
            faults.add(f"{path}.key", f"the environment variable {variable} is not set; set it, or use `key: client`")
    if upstream.sign is not None and not re.fullmatch(r"aws:[a-z0-9-]+", upstream.sign):
        faults.add(f"{path}.sign", "expected `aws:REGION`, for example aws:us-east-1")
    if upstream.proxy is not None:
        _check_proxy(f"{path}.proxy", upstream.proxy, environment, faults)
    _check_certificates(path, upstream, faults)


def _usable_url(text: str) -> bool:
    try:
        url = urlsplit(text)
        return bool(
            _VISIBLE.fullmatch(text)
            and url.scheme in ("http", "https")
            and url.hostname
            and url.port != 0
            and not (url.query or url.fragment or url.username)
        )
    except ValueError:  # a port or an IPv6 address that is none
        return False


def _check_proxy(path: str, text: str, environment: Mapping[str, str], faults: Faults) -> None:
    proxy = find_proxy(text, environment)
    if text.startswith("env:"):
        if proxy is None:  # what stands there may hold a password, so it is not shown
            faults.add(path, f"the environment variable {text[4:]} is not set, or holds no http://[user:password@]host:port")
    elif proxy is None:
        faults.add(path, "expected http://host:port, or env:NAME for one with credentials")
    elif proxy.credentials:
        faults.add(path, "holds credentials; put it in an environment variable and write `env:NAME`, a secret itself never stands in this file")


def _check_certificates(path: str, upstream: Upstream, faults: Faults) -> None:
    """Each file is read as it will be read for the first connection, so that a bad one is known now."""
    named = {field: getattr(upstream, field) for field in ("ca_file", "client_certificate", "client_key")}
    missing = [field for field, file in named.items() if file is not None and not Path(file).is_file()]
    for field in missing:
        faults.add(f"{path}.{field}", "no such file")
    if upstream.client_key is not None and upstream.client_certificate is None:
        faults.add(f"{path}.client_key", "is of no use without `client_certificate`")
    if upstream.client_certificate is not None and (upstream.url or "").startswith("http:"):
        faults.add(f"{path}.client_certificate", "is of no use with an http:// url")
    if missing:
        return
    authority = msgspec.structs.replace(upstream, client_certificate=None, client_key=None)
    own = msgspec.structs.replace(upstream, ca_file=None)
    for field, alone, words in (
        ("ca_file", authority, "holds no certificate in PEM"),
        ("client_certificate", own, "and its key (`client_key`, or in the same file, without a password) cannot be used together"),
    ):
        if named[field] is not None:
            try:
                load_certificates(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), alone)
            except OSError:
                faults.add(f"{path}.{field}", words)
