"""Every dialect, read by the proxy's own readers: a stream says what the whole answer says, and faults are seen as such."""

from __future__ import annotations

import gzip
import http.client
import json
from typing import Any

import brotli
import msgspec
import pytest
import zstandard

from proxy.call import Reading
from proxy.wire import open_reader, read_ask, recognise
from tests.demo.client import Answer, Client
from tests.simulated.dialects import Question, ask

UNPACK = {"gzip": gzip.decompress, "br": brotli.decompress, "zstd": lambda body: zstandard.ZstdDecompressor().decompressobj().decompress(body)}
PACK = {"gzip": gzip.compress, "br": brotli.compress, "zstd": zstandard.ZstdCompressor().compress}
SAYING = ask("Which invoices are overdue?")
CALLING = ask("use get_weather")


def read(question: Question, path: str, document: dict[str, Any], answer: Answer) -> Reading:
    route, _, query = path.partition("?")
    kind = recognise("POST", route, query, question.provider)
    reader = open_reader(kind, read_ask(kind, msgspec.json.encode(document)), answer.status, answer.headers["content-type"], answer.headers)
    reader.feed(answer.body)
    return reader.end()


def read_both(provider: Client, question: Question) -> tuple[Reading, Reading]:
    whole = provider.ask(question.path, question.document)
    stream = provider.ask(question.stream_path, question.stream_document)
    assert whole.status == stream.status == 200
    return read(question, question.path, question.document, whole), read(question, question.stream_path, question.stream_document, stream)


def named(questions: list[Question]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("question", questions, ids=lambda question: question.name)


@named(SAYING)
def test_text_and_usage_are_read_alike_whole_and_streamed(provider: Client, question: Question) -> None:
    whole, stream = read_both(provider, question)
    assert whole.text == stream.text and "invoices" in whole.text.lower() and not whole.tools
    assert whole.usage == stream.usage and whole.usage is not None and whole.usage.input_tokens > 10 and whole.usage.output_tokens > 20
    assert (whole.model, whole.finish, whole.error, whole.unread) == (stream.model, stream.finish, stream.error, stream.unread)
    assert whole.finish and whole.error is None and whole.unread == 0 and stream.complete


@named(CALLING)
def test_tool_calls_are_read_alike_whole_and_streamed(provider: Client, question: Question) -> None:
    whole, stream = read_both(provider, question)
    ((name, arguments),) = whole.tools
    assert name == "get_weather" and list(json.loads(arguments)) == ["city"]
    assert [(called, json.loads(text)) for called, text in stream.tools] == [(name, json.loads(arguments))]


@named(SAYING)
def test_an_error_within_a_stream_is_read_as_one(provider: Client, question: Question) -> None:
    answer = provider.ask(question.stream_path, question.stream_document, {"x-demo-fault": "error-in-stream"})
    assert answer.status == 200 and read(question, question.stream_path, question.stream_document, answer).error


@named(SAYING)
def test_a_cut_never_looks_like_an_end(provider: Client, question: Question) -> None:
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        provider.ask(question.stream_path, question.stream_document, {"x-demo-fault": "cut"})


@named(SAYING)
@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 429, 500, 503, 529])
def test_every_status_has_a_message_in_the_dialects_shape(provider: Client, question: Question, status: int) -> None:
    answer = provider.ask(question.path, question.document, {"x-demo-fault": f"status-{status}"})
    assert answer.status == status and read(question, question.path, question.document, answer).error


@named(SAYING)
def test_no_usage_and_empty(provider: Client, question: Question) -> None:
    if question.name not in ("invoke", "groq", "azure") and question.provider != "openai":
        answer = provider.ask(question.stream_path, question.stream_document, {"x-demo-fault": "no-usage"})
        assert read(question, question.stream_path, question.stream_document, answer).usage is None
    answer = provider.ask(question.stream_path, question.stream_document, {"x-demo-fault": "empty"})
    reading = read(question, question.stream_path, question.stream_document, answer)
    assert (reading.text, reading.tools, reading.error) == ("", [], None) and reading.finish


@pytest.mark.parametrize("encoding", list(UNPACK))
@pytest.mark.parametrize("stream", [False, True])
def test_answers_and_requests_may_be_packed(provider: Client, encoding: str, stream: bool) -> None:
    document = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}], "stream": stream}
    plain = provider.ask("/v1/chat/completions", document, {"x-demo-seed": "1"})
    packed = provider.ask("/v1/chat/completions", document, {"x-demo-seed": "1", "x-demo-encoding": encoding})
    assert packed.headers["content-encoding"] == encoding and UNPACK[encoding](packed.body) == plain.body
    body = PACK[encoding](json.dumps(document).encode())
    assert provider.ask("/v1/chat/completions", body, {"Content-Encoding": encoding}).status == 200
    assert provider.ask("/v1/chat/completions", b"\x01\x02 nothing packed", {"Content-Encoding": encoding}).status == 400
