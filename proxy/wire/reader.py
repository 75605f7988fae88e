"""Readers: the framing of a response and its format, put together; fed with pieces, ended once, at any moment.

A reader never raises, whatever comes: what it cannot understand is counted in `Reading.unread`. Its memory is bounded: a body
is kept up to 8 MiB, of larger ones and of those that carry vectors or pictures only both ends (usage stands there), an event
up to 1 MiB.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from proxy.call import Ask, Kind, Reading, Usage
from proxy.wire.anthropic import MessagesForm
from proxy.wire.bedrock import ConverseForm
from proxy.wire.chat import ChatForm
from proxy.wire.cohere import CohereForm
from proxy.wire.endings import Ending, open_ending
from proxy.wire.endings.seams import Seam, open_seam
from proxy.wire.eventstream import EventStreamParser
from proxy.wire.faults import read_error_body
from proxy.wire.gemini import EmbedForm, GenerateForm
from proxy.wire.interactions import InteractionsForm
from proxy.wire.invoke import InvokeForm
from proxy.wire.jsonarray import ArrayParser
from proxy.wire.loose import FAULTS
from proxy.wire.media import CountForm, MediaForm
from proxy.wire.ndjson import LineParser
from proxy.wire.ollama import OllamaForm
from proxy.wire.responses import ResponsesForm
from proxy.wire.scrape import scrape
from proxy.wire.sse import Event, SseParser
from proxy.wire.tally import MOST_TEXT, Tally

BODY_LIMIT = 8 * 1024 * 1024
_END_BYTES = 64 * 1024


class Reader(Protocol):
    """Reads one response."""

    @property
    def first_token(self) -> bool:
        """Output has been seen: text, reasoning, tool arguments or media."""

    @property
    def output_bytes(self) -> int:
        """UTF-8 bytes of text, reasoning and tool arguments seen so far; of an answer that is no stream, 0 until its end."""

    def feed(self, data: bytes) -> None: ...

    def end(self) -> Reading: ...


class Form(Protocol):
    """One wire format: a class in its own module, and one entry in `FORMS`."""

    formats: tuple[str, ...]

    def __init__(self, tally: Tally) -> None: ...

    def read_whole(self, body: bytes) -> None:
        """Read a body that is one JSON value. Raises `loose.FAULTS`."""

    def read_events(self, events: list[tuple[bytes, bytes]]) -> None:
        """Read events of a stream: pairs of a name (b"" if it has none) and data. Raises nothing."""

    def finish(self) -> None:
        """Put what needs the whole response (usage) into the tally's reading."""


FORMS: tuple[type[Form], ...] = (
    ChatForm, ResponsesForm, MediaForm, CountForm, MessagesForm, GenerateForm, EmbedForm, InteractionsForm, ConverseForm, InvokeForm, CohereForm,
    OllamaForm,
)  # fmt: skip
Parser = SseParser | LineParser | ArrayParser | EventStreamParser
_BY_FORMAT: dict[str, type[Form]] = {name: form for form in FORMS for name in form.formats}
# answers that are mostly vectors or pictures: only their ends are kept
_BULKY = frozenset({"openai.embeddings", "openai.images", "openai.files", "openai.batches", "gemini.embed", "cohere.embed", "ollama.embed"})
_BULKY_LIMIT = 128 * 1024


def open_reader(
    kind: Kind, ask: Ask, status: int, content_type: str, headers: Mapping[str, str], text_limit: int = MOST_TEXT, *, watched: bool = False
) -> Reader:
    """A reader for one response. `headers` have lower-case names; `text_limit` bounds the text kept, in characters.

    `watched`: of a stream a `WatchedReader`, so that it can be cut.
    """
    media = content_type.partition(";")[0].strip().lower()
    tally = Tally(text_limit, kind.model or ask.model, headers)
    if status >= 400:
        return WholeReader(tally, None, _END_BYTES)
    form = _BY_FORMAT.get(kind.format)
    if form is None or media.startswith(("audio/", "image/", "video/")) or media == "application/octet-stream":
        return OpaqueReader(tally, kind.format != "opaque")
    parser = choose_parser(kind, ask, media)
    if parser is None:
        return WholeReader(tally, form(tally), _BULKY_LIMIT if kind.format in _BULKY else BODY_LIMIT)
    if watched:
        return WatchedReader(tally, form(tally), parser, open_ending(kind, ask), open_seam(parser))
    return StreamReader(tally, form(tally), parser, open_seam(parser))


def choose_parser(kind: Kind, ask: Ask, media: str) -> Parser | None:
    """The parser of a stream's framing; None for a body that is one JSON value."""
    if media == "text/event-stream":
        return SseParser()
    if media == "application/vnd.amazon.eventstream":
        return EventStreamParser()
    if media in ("application/x-ndjson", "application/ndjson", "application/jsonl", "application/stream+json"):
        return LineParser()
    if kind.format == "gemini.generate" and kind.stream:
        return ArrayParser()
    if ask.stream and media != "application/json":  # an unnamed or mislabelled stream
        return LineParser() if kind.format.startswith("ollama.") else SseParser()
    return None


class OpaqueReader:
    """For bodies with nothing to read in them: it only notes that output came."""

    __slots__ = ("_tally", "_is_output")

    def __init__(self, tally: Tally, is_output: bool) -> None:
        self._tally = tally
        self._is_output = is_output

    @property
    def first_token(self) -> bool:
        return self._tally.first_token

    @property
    def output_bytes(self) -> int:
        return self._tally.reading.output_bytes

    def feed(self, data: bytes) -> None:
        if data and self._is_output:
            self._tally.first_token = True

    def end(self) -> Reading:
        return self._tally.close()


class WholeReader:
    """For bodies that are one JSON value, and for error bodies (no form): kept up to `limit`, decoded at the end."""

    __slots__ = ("_tally", "_form", "_limit", "_pieces", "_size", "_tail")

    def __init__(self, tally: Tally, form: Form | None, limit: int) -> None:
        self._tally = tally
        self._form = form
        self._limit = limit
        self._pieces: list[bytes] = []
        self._size = 0
        self._tail: bytearray | None = None  # set once the body is over the limit

    @property
    def first_token(self) -> bool:
        return self._tally.first_token

    @property
    def output_bytes(self) -> int:
        return self._tally.reading.output_bytes

    def feed(self, data: bytes) -> None:
        self._size += len(data)
        if self._tail is None:
            if self._pieces and len(data) < 256:  # dribbled bytes do not make a list of their own
                self._join(data)
            else:
                self._pieces.append(data)
            if self._size > self._limit:
                body = b"".join(self._pieces)
                self._pieces = [body[:_END_BYTES]]
                self._tail = bytearray(body[_END_BYTES:])
        else:
            self._tail += data
        if self._tail is not None and len(self._tail) > 4 * _END_BYTES:
            self._tail = self._tail[-_END_BYTES:]

    def _join(self, data: bytes) -> None:
        if not isinstance(self._pieces[-1], bytearray):
            self._pieces.append(bytearray())
        self._pieces[-1] += data

    def end(self) -> Reading:
        tally = self._tally
        body = b"".join(self._pieces)
        tally.reading.is_oversized = self._tail is not None
        if self._form is None:
            tally.reading.error, tally.reading.error_type = read_error_body(body, tally.headers)
        elif self._tail is not None:
            scrape(body + b"\n" + bytes(self._tail[-_END_BYTES:]), tally)
        else:
            self._read(self._form, body)
        self._pieces = []
        return tally.close()

    def _read(self, form: Form, body: bytes) -> None:
        try:
            if body.strip():
                form.read_whole(body)
        except FAULTS:
            scrape(body, self._tally)
        form.finish()


class StreamReader:
    """For streams of events: an incremental parser of the framing, and the form that takes the events in."""

    __slots__ = ("_tally", "_form", "_parser", "_seam")

    def __init__(self, tally: Tally, form: Form, parser: Parser, seam: Seam) -> None:
        self._tally = tally
        self._form = form
        self._parser = parser
        self._seam = seam

    @property
    def first_token(self) -> bool:
        return self._tally.first_token

    @property
    def output_bytes(self) -> int:
        return self._tally.reading.output_bytes

    def feed(self, data: bytes) -> None:
        events = self._parser.feed(data)
        self._seam.pass_by(data)
        if events:
            self._form.read_events(events)
        if self._parser.cut:
            self._read_cut()

    def append(self, events: list[Event]) -> bytes | None:
        """The bytes of `events` behind all that was fed; None where that ends within an event, or nothing can follow on it."""
        self._seam.pass_by(b"")
        return self._seam.write(b"", events) if self._seam.find_end(b"") == 0 else None

    def end(self) -> Reading:
        unread = self._tally.reading.unread
        events = self._parser.end()
        if events:  # an event that the stream broke off in is no fault of reading
            self._form.read_events(events)
            self._tally.reading.unread = unread
        if self._parser.cut:
            self._read_cut()
        self._tally.reading.unread += self._parser.failed
        self._form.finish()
        return self._tally.close()

    def _read_cut(self) -> None:
        """Events over the limit: the counts in what was kept of them, taken in before the form has the last word."""
        for kept in self._parser.cut:
            self._tally.first_token = self._tally.reading.is_oversized = True
            scrape(kept, self._tally)
        self._parser.cut.clear()


class WatchedReader(StreamReader):
    """For streams that may be cut: it tells what has come so far, and how the stream is to be ended."""

    __slots__ = ("_ending",)

    def __init__(self, tally: Tally, form: Form, parser: Parser, ending: Ending | None, seam: Seam) -> None:
        super().__init__(tally, form, parser, seam)
        self._ending = ending

    @property
    def usage(self) -> Usage | None:
        """What the provider has counted so far."""
        self._form.finish()
        return self._tally.reading.usage

    @property
    def is_over(self) -> bool:
        """Whether the provider has ended its output by itself, or failed: there is nothing to cut any more."""
        reading = self._tally.reading
        return reading.error is not None or (reading.complete if self._ending is None else self._ending.is_over)

    def feed(self, data: bytes) -> None:
        events = self._parser.feed(data)
        self._seam.pass_by(data)
        if events:
            self._form.read_events(events)
            if self._ending is not None:
                self._ending.take(events)
        if self._parser.cut:
            self._read_cut()

    def find_end(self, data: bytes) -> int | None:
        """Behind which byte of `data`, the piece fed last, its last whole event ends; None if it ends none and began within one."""
        return self._seam.find_end(data)

    def close(self, data: bytes, output_tokens: int) -> bytes | None:
        """What is to follow on `data`, the last bytes passed on, to end the stream well: as at its maximum. None: it cannot be."""
        events = self._ending.close(output_tokens) if self._ending is not None else None
        return self._seam.write(data, events) if events is not None else None
