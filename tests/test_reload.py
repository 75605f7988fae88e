"""What a reload takes from a changed config, and what it names as needing a restart."""

from __future__ import annotations

import pytest

from proxy.config import Config, ConfigError, parse
from proxy.reload import LIVE, compare

RUNNING = """
listen: {host: 10.0.0.1, port: 1234}
auth: required
upstreams: {openai: {url: 'https://api.openai.com', key: 'env:KEY'}, old: {url: 'http://a'}}
budgets: [{name: all, usd: 5}]
limits: {idle_s: 10}
"""
FRESH = """
listen: {host: 10.0.0.1, port: 4321}
auth: required
upstreams: {openai: {url: 'https://api.openai.com', key: 'env:KEY'}, new: {url: 'http://b'}}
budgets: [{name: all, usd: 7}]
identity: {teams: {a: x}}
limits: {idle_s: 20}
"""


def read(text: str) -> Config:
    return parse(text, environment={"KEY": "secret"})


def test_rules_are_taken_and_the_rest_waits_for_a_restart() -> None:
    running, fresh = read(RUNNING), read(FRESH)
    found = compare(running, fresh)
    assert found.changed == ["identity.teams", "budgets"]
    assert found.restart == ["listen.port", "upstreams.old", "upstreams.new", "limits.idle_s"]
    assert all(getattr(found.config, name) == getattr(fresh if name in LIVE else running, name) for name in running.__struct_fields__)


def test_what_waits_is_named_again_by_the_next_reload() -> None:
    running, fresh = read(RUNNING), read(FRESH)
    again = compare(compare(running, fresh).config, fresh)
    assert (again.changed, len(again.restart)) == ([], 4)
    assert compare(running, running) == type(again)(running, [], [])


def test_auth_is_not_lifted_from_a_port_that_still_serves_other_machines() -> None:
    fresh = read(RUNNING.replace("10.0.0.1", "127.0.0.1").replace("auth: required", "auth: none"))
    with pytest.raises(ConfigError, match=r"what would hold until a restart: 1 fault\n  listen.host: serves other machines"):
        compare(read(RUNNING), fresh)


def test_every_live_section_is_one_of_the_config() -> None:
    assert set(LIVE) < set(Config.__struct_fields__)
