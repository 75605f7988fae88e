"""Paths and what they are."""

from __future__ import annotations

import pytest

from proxy.wire.recognise import OPAQUE, recognise

CASES = [
    ("POST", "/v1/chat/completions", "openai.chat", "chat"),
    ("POST", "/chat/completions", "openai.chat", "chat"),
    ("POST", "/api/v1/chat/completions/", "openai.chat", "chat"),
    ("POST", "/v1beta/openai/chat/completions", "openai.chat", "chat"),
    ("POST", "/v1/fim/completions", "openai.chat", "text_completion"),
    ("POST", "/v1/completions", "openai.completions", "text_completion"),
    ("POST", "/v1/responses", "openai.responses", "chat"),
    ("GET", "/v1/responses", "openai.responses", "chat"),
    ("GET", "/v1/responses/resp_1", "openai.responses", "chat"),
    ("POST", "/v1/responses/resp_1/cancel", "openai.responses", "chat"),
    ("GET", "/v1/responses/resp_1/input_items", "openai.files", "files"),
    ("POST", "/v1/responses/input_tokens", "openai.count", "count_tokens"),
    ("POST", "/v1/embeddings", "openai.embeddings", "embeddings"),
    ("POST", "/v1/images/generations", "openai.images", "image_generation"),
    ("POST", "/v1/images/edits", "openai.images", "image_generation"),
    ("POST", "/v1/audio/speech", "openai.audio", "speech"),
    ("POST", "/v1/audio/transcriptions", "openai.audio", "transcription"),
    ("POST", "/v1/files", "openai.files", "files"),
    ("GET", "/v1/files/file-1/content", "openai.files", "files"),
    ("POST", "/v1/batches", "openai.batches", "batches"),
    ("GET", "/v1/batches/batch_1", "openai.batches", "batches"),
    ("POST", "/v1/messages", "anthropic.messages", "chat"),
    ("POST", "/v1/messages/count_tokens", "anthropic.count", "count_tokens"),
    ("POST", "/v1/messages/batches", "anthropic.batches", "batches"),
    ("GET", "/v1/messages/batches/b/results", "anthropic.batches", "batches"),
    ("POST", "/v1beta/interactions", "gemini.interactions", "chat"),
    ("POST", "/v2/chat", "cohere.chat", "chat"),
    ("POST", "/v2/embed", "cohere.embed", "embeddings"),
    ("POST", "/api/chat", "ollama.chat", "chat"),
    ("POST", "/api/generate", "ollama.generate", "text_completion"),
    ("POST", "/api/embed", "ollama.embed", "embeddings"),
    ("GET", "/v1/models", "opaque", "models"),
    ("POST", "/v1/anything/else", "opaque", "other"),
    ("GET", "/v1/chat/completions", "opaque", "other"),
    ("HEAD", "/", "opaque", "other"),
    ("POST", "", "opaque", "other"),
]


@pytest.mark.parametrize(("method", "path", "format", "operation"), CASES)
def test_formats(method: str, path: str, format: str, operation: str) -> None:
    kind = recognise(method, path, "", "openai")
    assert (kind.format, kind.operation) == (format, operation)
    assert kind.json_body in ((False,) if method != "POST" or format in ("openai.files", "openai.batches", "opaque") else (True, False))


MODELS = [
    ("/v1beta/models/gemini-2.5-pro:generateContent", "gemini.generate", "gemini-2.5-pro", False),
    ("/models/gemini-2.5-pro:streamGenerateContent", "gemini.generate", "gemini-2.5-pro", True),
    ("/v1/models/e:embedContent", "gemini.embed", "e", False),
    ("/v1/models/e:countTokens", "gemini.count", "e", False),
    ("/v1/projects/p/locations/l/publishers/google/models/g%2B1:generateContent", "gemini.generate", "g+1", False),
    ("/v1/projects/p/locations/l/publishers/anthropic/models/claude@1:rawPredict", "anthropic.messages", "claude@1", None),
    ("/v1/projects/p/locations/l/publishers/anthropic/models/claude%401:streamRawPredict", "anthropic.messages", "claude@1", True),
    ("/model/us.anthropic.claude-v1%3A0/converse", "bedrock.converse", "us.anthropic.claude-v1:0", False),
    ("/model/a.b/converse-stream", "bedrock.converse", "a.b", True),
    ("/model/a.b/invoke", "bedrock.invoke", "a.b", False),
    ("/model/a.b/invoke-with-response-stream", "bedrock.invoke", "a.b", True),
    ("/model/arn%3Aaws%3Abedrock%2Fprofile/count-tokens", "bedrock.count", "arn:aws:bedrock/profile", False),
    ("/openai/deployments/my%20gpt/chat/completions", "openai.chat", "my gpt", None),
]


@pytest.mark.parametrize(("path", "format", "model", "stream"), MODELS)
def test_models_and_streams_in_the_path(path: str, format: str, model: str, stream: bool | None) -> None:
    kind = recognise("POST", path, "api-version=1", "openai")
    assert (kind.format, kind.model, kind.stream) == (format, model, stream)
    assert kind.json_body
    assert not kind.needs_model


def test_what_needs_a_model() -> None:
    assert recognise("POST", "/v1/chat/completions", "", "openai").needs_model
    assert recognise("POST", "/v1/messages", "", "anthropic").needs_model
    assert not recognise("POST", "/v1/responses", "", "openai").needs_model


def test_the_dialect_decides_where_the_path_does_not() -> None:
    assert recognise("POST", "/messages", "", "anthropic").format == "anthropic.messages"
    assert recognise("POST", "/messages", "", "openai").format == "opaque"
    assert recognise("POST", "/chat", "", "cohere").format == "cohere.chat"
    assert recognise("POST", "/chat", "", "ollama").format == "ollama.chat"


def test_queries() -> None:
    assert recognise("GET", "/v1/responses/r", "stream=true&starting_after=3", "openai").stream is True
    assert recognise("GET", "/v1/realtime", "model=gpt-realtime", "openai").model == "gpt-realtime"
    assert recognise("GET", "/v1/realtime", "", "openai").model is None


def test_long_and_odd_paths_are_opaque() -> None:
    assert recognise("POST", "/x" * 100_000, "&" * 100_000, "openai").format == "opaque"
    assert recognise("POST", "/model/%ff%zz/converse", "", "openai").model is not None


@pytest.mark.parametrize(
    "path", ["/v1/models/black-forest-labs/flux/predictions", "/models/gpt2", "/v1/models/g:runIt", "/v1/responses/other", "/v1/interactions/other"]
)
def test_what_is_posted_to_a_model_or_an_answer_is_no_question_about_it(path: str) -> None:
    assert recognise("POST", path, "", "openai") == OPAQUE
    assert recognise("GET", path, "", "openai") != OPAQUE


@pytest.mark.parametrize(
    ("escaped", "plain"),
    [
        ("/v1/%63hat/completion%73", "/v1/chat/completions"),
        ("/v1beta/models/gemini-2.5-pro%3AgenerateContent", "/v1beta/models/gemini-2.5-pro:generateContent"),
        ("/openai/%64eployments/a%2Db/chat/completions", "/openai/deployments/a-b/chat/completions"),
        ("/v1/models%2Fx", "/v1/models%2Fx"),
    ],
)
def test_a_letter_that_is_escaped_for_nothing_is_that_letter(escaped: str, plain: str) -> None:
    assert recognise("POST", escaped, "", "openai") == recognise("POST", plain, "", "openai")
    assert (recognise("POST", escaped, "", "openai") == OPAQUE) == ("%" in plain)
