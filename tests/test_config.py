"""The configuration: its defaults, what is checked across its parts, and that every fault comes at once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from proxy.config import Config, ConfigError, load, parse

SHA = "a" * 64


def faults_of(text: str, environment: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        parse(text, environment=environment or {})
    return [str(fault) for fault in raised.value.faults]


def test_no_file_and_an_empty_file_are_the_defaults(tmp_path: Path) -> None:
    empty = tmp_path / "empty.yaml"
    empty.write_text("")
    assert load(None) == load(empty) == Config()


def test_reads_a_file(tmp_path: Path) -> None:
    file = tmp_path / "weighbridge.yaml"
    file.write_text("listen: {port: 0}\nupstreams:\n  openai: {url: 'https://api.openai.com', key: 'env:KEY'}\n")
    config = load(file, {"KEY": "sk-1"})
    assert config.listen.port == 0
    assert config.upstreams["openai"].key == "env:KEY"


@pytest.mark.parametrize("make", [lambda path: None, lambda path: path.mkdir(), lambda path: path.write_bytes(b"\xff\xfe")])
def test_a_file_that_cannot_be_read_is_a_fault(tmp_path: Path, make: Callable[[Path], object]) -> None:
    make(tmp_path / "file.yaml")
    with pytest.raises(ConfigError, match="file.yaml: 1 fault\n  cannot be read: "):
        load(tmp_path / "file.yaml")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("listen: {port: 70000}", "line 1: listen.port: a port is 0 to 65535"),
        ("listen: {host: ''}", "line 1: listen.host: is empty; 127.0.0.1 serves this machine only, 0.0.0.0 every network it is in"),
        ("admin: {port: 8787}", "line 1: admin.port: is also listen.port; give each its own"),
        ("admin: {port: 8787, host: 0.0.0.0}", "line 1: admin.port: is also listen.port; give each its own"),
        ("state_dir: ''", "line 1: state_dir: is empty; name a folder"),
        (f"state_dir: {'d' * 95}", "line 1: state_dir: is too long for a socket in it; use at most 94 bytes"),
        ("demo: false", "upstreams: is empty and the demo is off: there is nowhere to send a call; name at least one upstream"),
        ("limits: {connect_s: 0}", "line 1: limits.connect_s: must be greater than 0"),
        ("journal: {segment_bytes: -1}", "line 1: journal.segment_bytes: must be greater than 0"),
        ("capture: {max_bytes: 0}", "line 1: capture.max_bytes: must be greater than 0; to keep nothing, use `content: false`"),
        ("capture: {redact: ['(']}", "line 1: capture.redact[0]: not a regular expression: missing ), unterminated subpattern at position 0"),
        (
            "identity: {keys: [{sha256: AB, agent: x}]}",
            "line 1: identity.keys[0].sha256: expected 64 lower-case hexadecimal digits (printf %s KEY | sha256sum)",
        ),
        (
            f"identity: {{keys: [{{sha256: {SHA}, agent: x}}, {{sha256: {SHA}, agent: y}}]}}",
            "line 1: identity.keys[1].sha256: stands here twice; keep one",
        ),
        (f"identity: {{keys: [{{sha256: {SHA}}}]}}", "line 1: identity.keys[0]: names nobody; set `agent`, `team` or both"),
        (
            f"identity: {{keys: [{{sha256: {SHA}, agent: x, usd: -1}}]}}",
            "line 1: identity.keys[0].usd: expected 0 or more, and less than 1000000000",
        ),
        (
            f"identity: {{keys: [{{sha256: {SHA}, agent: x, expires: soon}}]}}",
            "line 1: identity.keys[0].expires: expected a date or time such as 2026-12-31 or 2026-12-31T12:00:00Z",
        ),
        (
            "{listen: {host: 0.0.0.0}, upstreams: {u: {url: 'http://h', sign: 'aws:us-east-1'}}}",
            "line 1: listen.host: serves other machines while this proxy holds provider keys (u); set `auth: required`, or listen on 127.0.0.1",
        ),
        ("retain: {verdicts_days: -1}", "line 1: retain.verdicts_days: must be 0 or more; 0 keeps them for ever"),
        ("ledger: {redis: nowhere}", "line 1: ledger.redis: expected redis://host[:port][/number], rediss://…, unix://… or env:NAME"),
        ("ledger: {redis: 'env:NO'}", "line 1: ledger.redis: the environment variable NO is not set, or holds no redis://… URL"),
        ("prices: [{model: m, input: 1, output: -1}]", "line 1: prices[0].output: expected 0 or more, and less than 1000000"),
        ("prices: [{model: m, input: 1, output: 1, upstream: u}]", "line 1: prices[0].upstream: names no configured upstream; known: none"),
    ],
)
def test_checks_what_no_single_value_can_tell(text: str, expected: str) -> None:
    assert faults_of(text) == [expected]


@pytest.mark.parametrize(
    ("name", "fields", "expected"),
    [
        ("UP", "", "line 1: upstreams.UP: a name is lower-case letters, digits, `-` and `_`, and starts with a letter or digit"),
        ("demo", "", "line 1: upstreams.demo: this name is reserved; choose another"),
        ("agent", "", "line 1: upstreams.agent: this name is reserved; choose another"),
        ("u", ", key: sk-abc", "line 1: upstreams.u.key: expected `client` or `env:NAME`; a secret itself never stands in this file"),
        ("u", ", key: 'env:'", "line 1: upstreams.u.key: expected `client` or `env:NAME`; a secret itself never stands in this file"),
        ("u", ", key: env:NO", "line 1: upstreams.u.key: the environment variable NO is not set; set it, or use `key: client`"),
        ("u", ", sign: us-east-1", "line 1: upstreams.u.sign: expected `aws:REGION`, for example aws:us-east-1"),
        ("u", ", ca_file: /no/such", "line 1: upstreams.u.ca_file: no such file"),
        ("u", f", ca_file: '{__file__}'", "line 1: upstreams.u.ca_file: holds no certificate in PEM"),
    ],
)
def test_checks_upstreams(name: str, fields: str, expected: str) -> None:
    assert faults_of(f"upstreams: {{{name}: {{url: 'http://h'{fields}}}}}", {"EMPTY": ""}) == [expected]


@pytest.mark.parametrize("url", ["http://h", "https://h:1/v1/", "http://[::1]:80", "http://127.0.0.1:11434"])
def test_takes_a_usable_url(url: str) -> None:
    assert parse(f"upstreams: {{u: {{url: '{url}'}}}}").upstreams["u"].url == url


UNUSABLE = ["", "h", "ftp://h", "http://", "http://h:0", "http://h:99999", "http://h?a=b", "http://h#f", "http://u:p@h", "http://[::1", "http://a b"]


@pytest.mark.parametrize("url", UNUSABLE)
def test_refuses_an_unusable_url(url: str) -> None:
    assert faults_of(f"upstreams: {{u: {{url: '{url}'}}}}")[0].startswith("line 1: upstreams.u.url: expected http://host")


def test_every_fault_comes_at_once() -> None:
    text = """\
listen: {port: "1", host: ""}
upstreams:
  Bad Name: {url: nowhere}
  half: {dialect: klingon, key: env:NO}
  none: 5
limits: {idle_s: 0}
identity: {keys: [{agent: x}, {sha256: zz, agent: y}]}
prices: [{model: m, input: x, output: -1, upstream: half}]
"""
    paths = [fault.split(": ")[1] for fault in faults_of(text)]
    assert paths == [
        *("listen.port", "listen.host"),
        *("upstreams.Bad Name", "upstreams.Bad Name.url"),
        *("upstreams.half.url", "upstreams.half.dialect", "upstreams.half.key", "upstreams.none"),
        "limits.idle_s",
        *("identity.keys[0].sha256", "identity.keys[1].sha256"),
        *("prices[0].input", "prices[0].output"),
    ]


def test_secrets_are_the_values_of_the_named_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEIGHBRIDGE_TEST_KEY", "sk-value")
    config = parse("upstreams: {u: {url: 'http://h', key: 'env:WEIGHBRIDGE_TEST_KEY'}, v: {url: 'http://h'}}")
    assert config.secrets == ["sk-value"]


def test_what_is_kept_stands_in_the_state_folder() -> None:
    config = Config(state_dir="s")
    assert [str(path) for path in (config.journal_dir, config.database, config.sample_socket, config.price_book)] == [
        "s/journal",
        "s/weighbridge.duckdb",
        "s/samples.sock",
        "s/prices.json",
    ]
