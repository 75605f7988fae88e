"""What may stand under `notify`, and what is said of what may not."""

from __future__ import annotations

import pytest

from proxy.config import ConfigError, parse
from proxy.notify import list_secrets, read_endpoint, read_silence

HOOK, PLAIN = "https://hooks.test/services/T0/B0/abcdefghijkl", "http://127.0.0.1:9/webhook"
ENVIRONMENT = {"HOOK": HOOK, "PLAIN": PLAIN, "SECRET": "hush-hush", "BAD": "nowhere"}
WEBHOOK = "name: ops, kind: webhook, url: 'https://receiver.test/alerts'"
MAIL = "name: mail, kind: email, server: 'smtp.test:587', sender: bridge@x.test, to: [a@x.test]"


def faults_of(text: str) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        parse(f"notify: {{{text}}}", environment=ENVIRONMENT)
    return [f"{fault.path}: {fault.message}" for fault in raised.value.faults]


@pytest.mark.parametrize(
    "channel",
    [
        WEBHOOK,
        f"{WEBHOOK}, secret: env:SECRET, severity: critical",
        "name: chat, kind: slack, url: env:HOOK",
        MAIL,
        f"{MAIL}, user: me, password: env:SECRET, tls: tls",
        f"{MAIL}, tls: none",
    ],
)
def test_takes_what_can_be_used(channel: str) -> None:
    assert len(parse(f"notify: {{channels: [{{{channel}}}]}}", environment=ENVIRONMENT).notify.channels) == 1


@pytest.mark.parametrize(
    ("channel", "path", "words"),
    [
        ("name: A b, kind: slack, url: env:HOOK", "name", "lower-case letters"),
        ("name: a, kind: pager", "kind", "expected one of webhook, slack, email"),
        ("name: a, kind: webhook", "url", "expected http://host"),
        ("name: a, kind: webhook, url: 'ftp://x'", "url", "expected http://host"),
        ("name: a, kind: webhook, url: 'http://u:p@x'", "url", "env:NAME"),
        ("name: a, kind: webhook, url: env:NO", "url", "the environment variable NO is not set"),
        ("name: a, kind: webhook, url: env:BAD", "url", "the environment variable BAD is not set, or holds no http"),
        ("name: a, kind: slack, url: 'https://hooks.test/x'", "url", "never stands in this file"),
        ("name: a, kind: slack, url: env:HOOK, secret: env:SECRET", "secret", "of no use"),
        (f"{WEBHOOK}, secret: hush", "secret", "a secret itself never stands in this file"),
        (f"{WEBHOOK}, secret: env:NO", "secret", "NO is not set"),
        (f"{WEBHOOK}, to: [a@x.test]", "to", "of no use to a channel of kind webhook"),
        (f"{WEBHOOK}, ca_file: /no/such", "ca_file", "no such file"),
        (f"{MAIL}, url: 'http://x'", "url", "of no use"),
        (MAIL.replace(":587", ""), "server", "expected host:port"),
        (MAIL.replace(":587", ":0"), "server", "expected host:port"),
        (MAIL.replace("bridge@x.test", "bridge"), "sender", "expected an address"),
        (MAIL.replace("a@x.test]", "'a@x.test, b@x.test']"), "to[0]", "expected an address"),
        (MAIL.replace("a@x.test]", '"a@x.test\\nBcc: b@x.test"]'), "to[0]", "expected an address"),
        (MAIL.replace("[a@x.test]", "[]"), "to", "name at least one"),
        (f"{MAIL}, user: me", "user", "go together"),
        (f"{MAIL}, user: me, password: env:SECRET, tls: none", "tls", "in the clear"),
    ],
)
def test_says_what_is_wrong_with_a_channel(channel: str, path: str, words: str) -> None:
    (fault,) = faults_of(f"channels: [{{{channel}}}]")
    assert fault.startswith(f"notify.channels[0].{path}: ") and words in fault


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("every_s: 0", "notify.every_s: must be 1 or more"),
        ("link: bridge", "notify.link: expected http://host[:port]"),
        ("link: 'https://bridge.test/'", "notify.link: expected http://host[:port] or https://…, without a slash"),
        ("silence: [AgentSilent]", "notify.silence[0]: names no alert; known: WeighbridgeAgentSilent, "),
        ("silence: [WeighbridgeAgentSilent agent]", "notify.silence[0]: expected the name of an alert"),
        ("conditions: {least_calls: 0}", "notify.conditions.least_calls: must be greater than 0"),
        (f"channels: [{{{WEBHOOK}}}, {{{WEBHOOK}}}]", "notify.channels[1].name: is also the name of another one"),
    ],
)
def test_says_what_is_wrong_with_the_rest(text: str, expected: str) -> None:
    (fault,) = faults_of(text)
    assert fault.startswith(expected)


def test_secrets_of_the_environment_are_known_and_words_are_none() -> None:
    text = f"{{{WEBHOOK}, secret: env:SECRET}}, {{name: chat, kind: slack, url: env:HOOK}}, {{name: plain, kind: webhook, url: env:PLAIN}}"
    notify = parse(f"notify: {{channels: [{text}]}}", environment=ENVIRONMENT).notify
    found = list_secrets(notify, ENVIRONMENT)
    assert set(found) == {"hush-hush", HOOK, "services/T0/B0/abcdefghijkl", PLAIN}


def test_they_are_redacted_where_text_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK", HOOK)
    assert HOOK in parse("notify: {channels: [{name: chat, kind: slack, url: env:HOOK}]}").secrets


def test_endpoints_and_silences() -> None:
    assert read_endpoint("smtp.test:587") == ("smtp.test", 587) and read_endpoint("[::1]:25") == ("::1", 25)
    assert read_silence("X agent=a* team=b") == ("X", {"agent": "a*", "team": "b"})
