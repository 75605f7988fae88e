"""The forms in which a judge is asked, and that the simulated provider of each understands them."""

from __future__ import annotations

import json

import pytest

from proxy.call import Ask
from proxy.controlplane.judges.forms import choose_form
from proxy.wire import open_reader, read_ask, recognise

MESSAGES = [{"role": "system", "content": "Be strict."}, {"role": "user", "content": "Judge this."}]
CHAT = {"choices": [{"message": {"role": "assistant", "content": "{}"}}]}
RESPONSES = {"output": [{"type": "reasoning"}, {"type": "message", "content": [{"type": "output_text", "text": "{}"}]}]}
ANTHROPIC = {"content": [{"type": "thinking", "thinking": "x"}, {"type": "text", "text": "{"}, {"type": "text", "text": "}"}]}
GEMINI = {"candidates": [{"content": {"parts": [{"text": "x", "thought": True}, {"text": "{}"}]}}]}
FORMS = [
    ("openai", None, "/v1/chat/completions", CHAT, {"Authorization": "Bearer k"}),
    ("openai", "/v1/responses", "/v1/responses", RESPONSES, {"Authorization": "Bearer k"}),
    ("anthropic", None, "/v1/messages", ANTHROPIC, {"x-api-key": "k", "anthropic-version": "2023-06-01"}),
    ("gemini", None, "/v1beta/models/a%2Fb:generateContent", GEMINI, {"x-goog-api-key": "k"}),
    ("openai", "/v1/messages", "/v1/messages", ANTHROPIC, {"x-api-key": "k", "anthropic-version": "2023-06-01"}),
    ("openai", "/x", "/x", CHAT, {"Authorization": "Bearer k"}),
]


@pytest.mark.parametrize(("dialect", "path", "located", "answer", "headers"), FORMS)
def test_each_form(dialect: str, path: str | None, located: str, answer: dict, headers: dict) -> None:
    form = choose_form(dialect, path)
    assert (form.locate(path, "a/b"), form.sign("k")) == (located, headers) and "k" not in form.sign(None).values()
    assert form.find_text(json.dumps(answer).encode()) == "{}"
    request = json.dumps(form.write("a/b", MESSAGES, True))
    assert "Be strict." in request and "Judge this." in request


@pytest.mark.parametrize(("dialect", "path", "located", "answer"), [each[:4] for each in FORMS[:4]])
def test_each_request_and_answer_is_what_our_own_readers_of_that_format_understand(dialect: str, path: str, located: str, answer: dict) -> None:
    form = choose_form(dialect, path)
    kind = recognise("POST", located, "", dialect)
    ask = read_ask(kind, json.dumps(form.write("m", MESSAGES, True)).encode(), "application/json")
    assert (ask.model, ask.stream) == ("a/b" if dialect == "gemini" else "m", False)
    assert ask.json_asked is (dialect != "anthropic")
    reader = open_reader(kind, Ask(), 200, "application/json", {})
    reader.feed(json.dumps(answer).encode())
    assert reader.end().text == "{}"


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{}", b"[]", b"null", b'{"choices": []}', b'{"choices": [{"message": {"content": null}}]}', b'{"output": [5]}', b'{"content": [{}]}',
        b'{"candidates": [{"content": 1}]}', b"[" * 100_000,
    ],
)  # fmt: skip
def test_what_is_no_answer_has_no_text(body: bytes) -> None:
    assert all(choose_form(each[0], each[1]).find_text(body) is None for each in FORMS)
    blank = json.dumps({"choices": [{"message": {"content": " "}}]}).encode()
    assert choose_form("openai", None).find_text(blank) is None
