"""Credentials go, the rest stays."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.redact import Redactor

ALNUM = "abcdefghij0123456789ABCDEFGHIJ"
SECRETS = [
    f"sk-{ALNUM}",
    f"sk-ant-api03-{ALNUM}-x_y",
    f"sk-proj-{ALNUM}",
    f"AIza{ALNUM}abcde",
    "AKIAABCDEFGHIJKLMNOP",
    f"ghp_{ALNUM}",
    f"github_pat_{ALNUM}",
    "xoxb-1234567890-abcdef",
    f"gsk_{ALNUM}",
    f"wbk_{ALNUM}",
    f"IQoJb3JpZ2lu{ALNUM}",
    f"eyJ{ALNUM}.eyJ{ALNUM}.{ALNUM}",
    f"-----BEGIN RSA PRIVATE KEY-----\n{ALNUM}\n{ALNUM}\n-----END RSA PRIVATE KEY-----",
    f"-----BEGIN PRIVATE KEY-----\n{ALNUM}",
]


@pytest.mark.parametrize("secret", SECRETS, ids=[secret[:12] for secret in SECRETS])
def test_known_shapes_go(secret: str) -> None:
    text = Redactor([])(f"use {secret} now")
    assert ALNUM not in text and secret not in text
    assert text.startswith("use [redacted]")


def test_a_bearer_token_and_a_password_go_and_their_names_stay() -> None:
    text = Redactor([])(f'Authorization: Bearer {ALNUM} {{"password": "hunter2hunter2"}}')
    assert ALNUM not in text and "hunter2" not in text and text.startswith("Authorization: Bearer [redacted]")


@given(st.text(min_size=6).filter(lambda value: value not in "[redacted]"), st.text(), st.text())
def test_known_values_go_wherever_they_stand(secret: str, before: str, after: str) -> None:
    whole = Redactor([secret])(before + secret + after)
    assert "[redacted]" in whole
    assert secret not in whole.replace("[redacted]", "") or secret in (before + after)


def test_of_two_values_the_longer_goes_whole() -> None:
    assert Redactor(["secret", "secret-and-more"])("a secret-and-more") == "a [redacted]"


def test_given_patterns_go() -> None:
    assert Redactor([], [r"[a-z]+@example\.org"])("to jane@example.org") == "to [redacted]"


@pytest.mark.parametrize(
    "text", ["the task-based risk-assessment-of-everything", "sk-learn is a library", "bearer of news", "a" * 100, "AKIA is short"]
)
def test_ordinary_words_stay(text: str) -> None:
    assert Redactor(["key"])(text) == text


def test_a_secret_that_a_cut_left_the_beginning_of_goes_as_well() -> None:
    key = "opqrstuvwxyz0123456789"
    for size in range(8, len(key)):
        assert Redactor()(f"key {key[:size]}", [key]) == Redactor([key])(f"key {key[:size]}") == "key [redacted]"
    assert Redactor()(f"key {key[:12]} more", [key]) == f"key {key[:12]} more"


def test_a_word_that_is_presented_instead_of_a_key_stays() -> None:
    assert Redactor()("ollama is here", ["ollama"]) == Redactor().clean("ollama is here", ["ollama"]) == "ollama is here"


def test_names_are_cleaned_by_the_secrets_of_the_moment() -> None:
    redact, key = Redactor(), "opqrstuvwxyz0123456789"
    assert redact.clean(f"my {key}") == f"my {key}"
    assert redact.clean(f"my {key}", [key]) == "my [redacted]"
    redact.configure([key])
    assert redact.clean(f"my {key}") == "my [redacted]"


def test_names_that_come_together_are_cleaned_together_each_for_those_who_presented_what_stands_in_them() -> None:
    redact, key = Redactor(), "opqrstuvwxyz0123456789"
    assert redact.clean_all((None, "stop", "", f"m-{key}"), ()) == (None, "stop", "", f"m-{key}")
    assert redact.clean_all((None, "stop", "", f"m-{key}"), (key,)) == (None, "stop", "", "m-[redacted]")
    redact.configure([key])
    assert redact.clean_all((None, "stop", "", f"m-{key}"), ()) == (None, "stop", "", "m-[redacted]"), "also what was asked before"


def test_a_line_of_the_log_loses_what_any_caller_presented_and_what_stands_in_a_url() -> None:
    redact, key = Redactor(), "opqrstuvwxyz0123456789"
    redact.note([key, "ollama"])
    assert redact.redact_line(f"ollama {key} http://user:pass-word@host/?key=abcdefgh&x=1") == "ollama [redacted] http://[redacted]@host/?key=[redacted]&x=1"
    assert redact.redact_line("(b'x-api-key', b'abcdefghij')") == "(b'x-[redacted]')"
