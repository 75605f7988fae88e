"""The config of routes: what is checked, and said."""

import pytest

from proxy.config import ConfigError, Upstream, parse
from proxy.routes import CONDITIONS, JUDGED, Fallback, Retry

ENVIRONMENT = {"A": "sk-a", "B": "sk-b"}


def section(text, environment=ENVIRONMENT):
    return parse(f"upstreams:\n  up:\n    url: http://127.0.0.1:1\n    {text}\n  other:\n    url: http://127.0.0.1:2\n", environment=environment)


def faults(text, environment=ENVIRONMENT):
    with pytest.raises(ConfigError) as caught:
        section(text, environment)
    return [str(fault) for fault in caught.value.faults]


def test_all_of_it_is_read():
    text = "retry: {attempts: 3, when: [cut, empty]}\n    fallbacks: [{upstream: other, model: {'*': x}}]\n    keys: [env:A, env:B]"
    up = section(text).upstreams["up"]
    assert up.retry == Retry(attempts=3, when=["cut", "empty"]) and up.fallbacks == [Fallback("other", {"*": "x"})]
    assert up.key_names == ["A", "B"] and set(CONDITIONS) > JUDGED


def test_keys_of_ours_are_secrets_to_be_redacted(monkeypatch):
    monkeypatch.setenv("A", "sk-a")
    assert section("keys: [env:A]").secrets == ["sk-a"]
    assert Upstream(url="").key_names == [] and Upstream(url="", key="env:K").key_names == ["K"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("retry: {attempts: 0}", "retry.attempts: must be 1"),
        ("retry: {share: 1.5}", "retry.share: a share is 0 to 1"),
        ("retry: {backoff_s: -1}", "retry.backoff_s: must be 0 or more"),
        ("retry: {when: [tired]}", "retry.when[0]: expected one of unreachable, timeout"),
        ("hedge: {after_s: -1}", "hedge.after_s: must be 0 or more"),
        ("hedge: {least: -1}", "hedge.least: must be 0 or more"),
        ("hedge: {share: 1.5}", "hedge.share: a share is 0 to 1"),
        ("hedge: {kinds: [files]}", "hedge.kinds[0]: expected one of read, embeddings"),
        ("breaker: {share: 2}", "breaker.share: a share is 0 to 1"),
        ("breaker: {window_s: 0}", "breaker.window_s: must be greater than 0"),
        ("breaker: {window_s: 4000}", "breaker.window_s: an hour"),
        ("stall: {idle_s: -1}", "stall.idle_s: must be 0"),
        ("stall: {window_s: 0.5}", "stall.window_s: must be 1 or more"),
        ("fallbacks: [{upstream: nobody}]", "fallbacks[0].upstream: names no configured upstream; known: up, other"),
        ("fallbacks: [{upstream: up}]", "fallbacks[0].upstream: is the upstream itself"),
        ("dialect: anthropic\n    fallbacks: [{upstream: other}]", "answers are not translated"),
        ("fallbacks: [{model: {a: b}}]", "fallbacks[0].upstream: is missing"),
        ("keys: [sk-secret]", "keys[0]: expected `env:NAME`"),
        ("keys: [env:A, env:A]", "keys[1]: stands in the list twice"),
        ("keys: [env:NONE]", "keys[0]: the environment variable NONE is not set"),
        ("key: env:A\n    keys: [env:B]", "keys: stands beside `key`"),
    ],
)
def test_what_is_wrong_is_said(text, said):
    found = faults(text)
    assert len(found) == 1 and said in found[0] and "sk-secret" not in found[0]


def test_keys_of_ours_are_not_for_everybody():
    with pytest.raises(ConfigError, match="auth: required"):
        parse("listen: {host: 0.0.0.0}\nupstreams: {up: {url: 'http://h', keys: [env:A]}}", environment=ENVIRONMENT)
