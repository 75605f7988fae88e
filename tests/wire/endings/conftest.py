"""What the tests of endings share: a stream of pieces, cut behind any of them, and read again by an ordinary reader."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from proxy.call import Ask, Kind, Reading
from proxy.wire import WatchedReader, open_reader

SSE = "text/event-stream"
FINISHES = {
    "openai.chat": "length", "openai.completions": "length", "openai.responses": "max_output_tokens", "anthropic.messages": "max_tokens",
    "gemini.generate": "MAX_TOKENS", "cohere.chat": "MAX_TOKENS", "ollama.chat": "length", "ollama.generate": "length",
    "bedrock.converse": "max_tokens", "bedrock.invoke": "max_tokens",
}  # fmt: skip
UNCOUNTED = frozenset({"bedrock.converse"})  # whose reader takes only the counts behind the end as the end, and ours are not invented
Cut = Callable[..., tuple[bytes, Reading]]


def kind_of(format: str) -> Kind:
    return Kind(format, "chat", "anthropic.claude" if format == "bedrock.invoke" else None, stream=True)


def open_watched(format: str, content_type: str, choices: int = 1) -> WatchedReader:
    reader = open_reader(
        Kind(format, "chat", "anthropic.claude" if format == "bedrock.invoke" else None, stream=True),
        Ask(stream=True, choices=choices),
        200,
        content_type,
        {},
        1 << 20,
        watched=True,
    )
    assert isinstance(reader, WatchedReader)
    return reader


def read_again(body: bytes, format: str, content_type: str) -> Reading:
    reader = open_reader(
        Kind(format, "chat", "anthropic.claude" if format == "bedrock.invoke" else None, stream=True),
        Ask(stream=True),
        200,
        content_type,
        {},
        1 << 20,
    )
    reader.feed(body)
    return reader.end()


def cut_behind(pieces: list[bytes], format: str, content_type: str, choices: int = 1) -> tuple[bytes, bytes] | None:
    """(what was passed on of the pieces, what follows on it); None where the provider had ended by itself, or no event ends in the last one."""
    reader = open_watched(format, content_type, choices)
    for piece in pieces:
        reader.feed(piece)
    if reader.is_over or (end := reader.find_end(pieces[-1])) is None:
        return None
    last = reader.close(pieces[-1][:end], 7)
    return None if last is None else (b"".join(pieces[:-1]) + pieces[-1][:end], last)


@pytest.fixture
def cut() -> Cut:
    """`cut(format, pieces, …)`: the bytes that follow, and the reading of the whole, which is held to be a well-formed end."""

    def cut_and_read(format: str, pieces: list[bytes], content_type: str = SSE, choices: int = 1) -> tuple[bytes, Reading]:
        done = cut_behind(pieces, format, content_type, choices)
        assert done is not None
        reading = read_again(done[0] + done[1], format, content_type)
        assert reading.complete == (format not in UNCOUNTED) and reading.unread == 0 and reading.error is None
        assert reading.finish == FINISHES[format]
        return done[1], reading

    return cut_and_read


def data_of(sent: bytes) -> list[dict]:
    """The JSON data of server-sent events."""
    return [msgspec.json.decode(line[6:]) for line in sent.split(b"\n") if line.startswith(b"data: {")]
