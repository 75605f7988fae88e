"""What the config says of an upstream's proxy and certificates, and its faults."""

from __future__ import annotations

import base64
import subprocess
from pathlib import Path

import pytest

from proxy.config import Config, ConfigError, parse
from proxy.upstream import Proxy, Upstream, find_proxy

SECRET = "http://us%65r:p%40ss%3A@proxy.test:3128"


def faults_of(fields: str, environment: dict[str, str] | None = None, url: str = "https://h") -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse(f"upstreams: {{u: {{url: '{url}', {fields}}}}}", environment=environment or {})
    return [str(fault) for fault in caught.value.faults]


def test_a_proxy_in_the_file_or_in_the_environment() -> None:
    assert find_proxy("http://proxy.test:3128/", {}) == Proxy("proxy.test", 3128)
    assert find_proxy("http://[::1]:8", {}) == Proxy("::1", 8)
    found = find_proxy("env:WAY", {"WAY": SECRET})
    assert found == Proxy("proxy.test", 3128, "p@ss:", base64.b64encode(b"user:p@ss:").decode())
    assert repr(found) == "Proxy(proxy.test:3128)"


UNUSABLE = ["", "proxy:3128", "http://proxy", "https://proxy:1", "socks5://proxy:1", "http://:1", "http://p:1/x", "http://p:1?x", "http://p:99999", "http://p:0"]


@pytest.mark.parametrize("text", [*UNUSABLE, "http://[::1:1", "http://p q:1", "http://p:1#x"])
def test_what_is_no_proxy(text: str) -> None:
    assert find_proxy(text, {}) is None
    assert faults_of(f"proxy: '{text}'") == ["line 1: upstreams.u.proxy: expected http://host:port, or env:NAME for one with credentials"]
    (fault,) = faults_of("proxy: 'env:WAY'", {"WAY": text})
    assert fault == "line 1: upstreams.u.proxy: the environment variable WAY is not set, or holds no http://[user:password@]host:port"


def test_credentials_in_the_file_are_a_fault_that_does_not_show_them() -> None:
    (fault,) = faults_of(f"proxy: '{SECRET}'")
    assert "write `env:NAME`" in fault and "p%40ss" not in fault and "p@ss" not in fault


def test_the_credentials_of_a_proxy_are_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WAY", SECRET)
    monkeypatch.setenv("OPEN", "http://proxy.test:1")
    config = Config(upstreams={"u": Upstream("https://h", proxy="env:WAY"), "v": Upstream("https://h", proxy="env:OPEN"), "w": Upstream("https://h")})
    assert config.secrets == ["p@ss:", base64.b64encode(b"user:p@ss:").decode()]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    for name in ("one", "two"):
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=x"]
        subprocess.run([*command, "-keyout", f"{name}.key", "-out", f"{name}.pem"], cwd=folder, check=True, capture_output=True)
    command = ["openssl", "pkey", "-in", "one.key", "-aes128", "-passout", "pass:secret", "-out", "locked.key"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    (folder / "both.pem").write_bytes((folder / "one.pem").read_bytes() + (folder / "one.key").read_bytes())
    (folder / "text").write_text("no certificate")
    return folder


@pytest.mark.parametrize("named", [("one.pem", "one.key"), ("both.pem", None)])
def test_a_certificate_with_its_key_beside_it_or_in_it(files: Path, named: tuple[str, str | None]) -> None:
    key = f", client_key: {files / named[1]}" if named[1] else ""
    parse(f"upstreams: {{u: {{url: 'https://h', client_certificate: {files / named[0]}{key}}}}}", environment={})


ALONE = "client_key: is of no use without `client_certificate`"
PAIR = "client_certificate: and its key (`client_key`, or in the same file, without a password) cannot be used together"


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        ({"ca_file": "text"}, ["ca_file: holds no certificate in PEM"]),
        ({"ca_file": "none", "client_key": "none"}, ["ca_file: no such file", "client_key: no such file", ALONE]),
        ({"client_key": "one.key"}, [ALONE]),
        ({"client_certificate": "one.pem"}, [PAIR]),
        ({"client_certificate": "one.pem", "client_key": "two.key"}, [PAIR]),
        ({"client_certificate": "one.pem", "client_key": "locked.key"}, [PAIR]),
        ({"client_certificate": "text", "client_key": "one.key", "ca_file": "text"}, ["ca_file: holds no certificate in PEM", PAIR]),
    ],
)
def test_files_that_cannot_be_used(files: Path, named: dict[str, str], expected: list[str]) -> None:
    found = faults_of(", ".join(f"{field}: {files / name}" for field, name in named.items()))
    assert sorted(found) == sorted(f"line 1: upstreams.u.{each}" for each in expected)


def test_a_certificate_is_not_shown_without_tls(files: Path) -> None:
    (fault,) = faults_of(f"client_certificate: {files / 'both.pem'}", url="http://h")
    assert fault.endswith("client_certificate: is of no use with an http:// url")
