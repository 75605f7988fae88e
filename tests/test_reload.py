"""What a reload takes from a changed config, and what it refuses because only a restart can change it."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.config import Config, ConfigError, parse
from proxy.reload import LIVE, compare, keep

RUNNING = """
listen: {host: 10.0.0.1, port: 1234}
auth: required
upstreams: {openai: {url: 'https://api.openai.com', key: 'env:KEY'}, old: {url: 'http://a'}}
budgets: [{name: all, usd: 5}]
limits: {idle_s: 10}
"""
FRESH = """
listen: {host: 10.0.0.1, port: 1234}
auth: required
upstreams: {openai: {url: 'https://eu.api.openai.com', key: 'env:OTHER'}, new: {url: 'http://b'}}
budgets: [{name: all, usd: 7}]
identity: {teams: {a: x}}
limits: {idle_s: 20}
"""


def read(text: str) -> Config:
    return parse(text, environment={"KEY": "secret", "OTHER": "secret too"})


def test_all_that_may_change_is_taken_whole() -> None:
    running, fresh = read(RUNNING), read(FRESH)
    found = compare(running, fresh)
    assert found.changed == ["upstreams.openai", "upstreams.old", "upstreams.new", "limits.idle_s", "identity.teams", "budgets"]
    assert found.config == fresh
    assert compare(fresh, fresh).changed == []


@pytest.mark.parametrize(
    ("before", "after", "key"),
    [
        ("port: 1234", "port: 4321", "listen.port"),
        ("auth: required", "auth: required\nadmin: {port: 99}", "admin.port"),
        ("auth: required", "auth: required\nstate_dir: elsewhere", "state_dir"),
        ("auth: required", "auth: required\ndemo: false", "demo"),
        ("auth: required", "auth: required\nledger: {redis: 'redis://h'}", "ledger.redis"),
        ("auth: required", "auth: required\njournal: {retain_days: 3}", "journal.retain_days"),
        ("idle_s: 20", "stop_grace_s: 20", "limits.stop_grace_s"),
        ("idle_s: 20", "header_bytes: 2000", "limits.header_bytes"),
        ("idle_s: 20", "head_s: 20", "limits.head_s"),
        ("idle_s: 20", "client_connections: 20", "limits.client_connections"),
        ("{url: 'http://b'}", "{url: 'http://b', sign: 'aws:us-east-1'}", "upstreams.new.sign"),
    ],
)
def test_what_needs_a_restart_is_named_and_nothing_is_taken(before: str, after: str, key: str) -> None:
    with pytest.raises(ConfigError, match=f"what needs a restart: 1 fault\n  {key}: cannot change while"):
        compare(read(RUNNING), read(FRESH.replace(before, after)))


def test_all_of_them_are_named_at_once() -> None:
    fresh = read(FRESH.replace("port: 1234", "port: 4321").replace("auth: required", "auth: required\nstate_dir: elsewhere"))
    with pytest.raises(ConfigError) as caught:
        compare(read(RUNNING), fresh)
    assert [fault.path for fault in caught.value.faults] == ["listen.port", "state_dir"]


def test_a_way_of_signing_that_stays_is_no_change_of_it() -> None:
    signed = RUNNING.replace("{url: 'http://a'}", "{url: 'http://a', sign: 'aws:us-east-1'}")
    assert compare(read(signed), read(signed.replace("http://a", "http://c"))).changed == ["upstreams.old"]


def test_what_is_kept_is_whole_and_its_owners_only(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    for text in ("demo: true\n", "auth: none\n"):
        keep(text, path)
        assert path.read_text() == text and path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_every_live_section_is_one_of_the_config() -> None:
    assert set(LIVE) < set(Config.__struct_fields__)


def test_what_is_inspected_can_change() -> None:
    fresh = parse("evaluators: {per_second: 3}")
    assert compare(Config(), fresh).changed == ["evaluators.per_second"]
