from __future__ import annotations

import pytest

from evaluators.errorpage import judge
from evaluators.sample import Sample


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("<!DOCTYPE html>\n<html><head><title>502 Bad Gateway</title></head>", "page"),
        ("<html>\n<head><title>Just a moment...</title></head>", "page"),
        ('<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "page"),
        ('{"error": {"message": "overloaded", "type": "server_error"}}', "json"),
        ('{ "detail" : "Not Found" }', "json"),
        ('{"type": "error", "error": {}}', "json"),
        ("Internal Server Error", "message"),
        ("upstream connect error or disconnect/reset before headers", "message"),
        ("<!DOCTYPE html><html><head><title>My bakery</title></head>", "pass"),
        ('{"answer": "there is no error"}', "pass"),
        ("An error is a difference.", "pass"),
        ("Too many requests is status 429; slow down. " * 20, "pass"),
    ],
)
def test_pages_and_messages_of_errors(text: str, label: str) -> None:
    assert judge(Sample(text=text)).label == label


def test_an_error_within_the_schema_asked_for_is_an_answer() -> None:
    assert judge(Sample(text='{"error": "none"}', schema={"type": "object"})).label == "pass"


def test_nothing_is_said_of_nothing() -> None:
    assert judge(Sample()) is None
