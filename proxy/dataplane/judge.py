"""Judges of answers that have begun with status 200: whether there is anything in them, before they are passed on.

They read a copy. What they cannot read they have nothing against.
"""

from __future__ import annotations

import msgspec

from proxy.call import Call, Reading
from proxy.dataplane.headers import ResponseHead
from proxy.wire import choose_parser, decoder, offends, open_reader
from proxy.wire.decoding import Decoding
from proxy.wire.reader import Parser

_MOST_DECODED = 8 * 1024 * 1024
_MOST_TEXT = 65536  # of an output, that is kept to be looked at
_TEXT = frozenset({"chat", "text_completion", "generate_content"})
_NATURAL = frozenset({None, "stop", "end_turn", "stop_sequence", "STOP", "FINISH_REASON_UNSPECIFIED", "completed", "COMPLETE"})
_CALLING = _NATURAL | {"tool_calls", "function_call", "tool_use", "TOOL_CALL"}
_WHOLE = frozenset({"empty", "truncated", "invalid_json", "invalid_tools"})


class StartJudge:
    """Looks at a stream up to its first event."""

    is_whole = False

    def __init__(self, call: Call, head: ResponseHead, parser: Parser) -> None:
        self.reading = Reading()
        self._parser = parser
        self._reader = open_reader(call.kind, call.ask, head.status, head.fields.get("content-type", ""), head.fields)
        self._decoder = _decode(head)

    def feed(self, data: bytes) -> str | None:
        """None: there is no whole event yet; else what is wrong with the first one, or an empty word."""
        if self._decoder is not None:
            data = self._decoder.feed(data)
        self._reader.feed(data)
        return self.end(is_whole=False) if self._parser.feed(data) else None

    def end(self, *, is_whole: bool) -> str:
        self.reading = self._reader.end()
        return "startup_error" if self.reading.error is not None and not self.reading.output_bytes else ""


class WholeJudge:
    """Looks at an answer that is no stream, when it is whole."""

    is_whole = True

    def __init__(self, call: Call, head: ResponseHead, request: bytes | None) -> None:
        self.reading = Reading()
        self._call = call
        self._request = request  # where tool calls are held against it
        self._reader = open_reader(call.kind, call.ask, head.status, head.fields.get("content-type", ""), head.fields)
        self._decoder = _decode(head)
        self._body = bytearray()

    def feed(self, data: bytes) -> str | None:
        """Nothing is known before the end: None."""
        if self._decoder is not None:
            data = self._decoder.feed(data)
        self._body += data
        self._reader.feed(data)
        return None

    def end(self, *, is_whole: bool) -> str:
        """What is wrong with it; an empty word where nothing is."""
        self.reading = reading = self._reader.end()
        ask = self._call.ask
        if not is_whole:
            return "truncated"
        if reading.is_oversized or (self._decoder is not None and self._decoder.failed):
            return ""
        if not _is_json(self._body):
            return "truncated"
        if reading.error is not None:
            return "startup_error" if ask.stream else ""
        if not reading.output_bytes and not reading.text and not reading.tools:
            return "empty" if reading.finish in _NATURAL else ""
        if reading.finish in _CALLING and reading.tools and not self._can_be_carried_out(reading.tools):
            return "invalid_tools"
        if ask.json_asked and reading.text and not reading.tools and len(reading.text) < _MOST_TEXT and reading.finish in _NATURAL:
            return "" if _is_json(reading.text) else "invalid_json"
        return ""

    def _can_be_carried_out(self, calls: list[tuple[str, str]]) -> bool:
        """Whether the arguments of tool calls are whole, and nothing is seen of them that goes against what was offered."""
        if sum(len(arguments) for _, arguments in calls) >= _MOST_TEXT:
            return True
        return _are_whole(calls) and (self._request is None or not offends(self._request, calls))


def open_judge(
    call: Call, head: ResponseHead, judged: frozenset[str], *, is_guarded: bool, request: bytes | None = None
) -> StartJudge | WholeJudge | None:
    """What looks at an answer to `request` before it is passed on; None: nothing does. `is_guarded`: also a stream that may stall at once."""
    if not (judged or is_guarded) or head.status != 200 or call.kind.operation not in _TEXT or not call.kind.json_body:
        return None
    media = head.fields.get("content-type", "").partition(";")[0].strip().lower()
    parser = choose_parser(call.kind, call.ask, media)
    if parser is not None:
        return StartJudge(call, head, parser) if is_guarded or "startup_error" in judged else None
    asked = request if "invalid_tools" in judged else None
    return WholeJudge(call, head, asked) if judged & _WHOLE or (call.ask.stream and judged) else None


def _decode(head: ResponseHead) -> Decoding | None:
    coding = head.fields.get("content-encoding")
    return decoder(coding, _MOST_DECODED) if coding and coding != "identity" else None


def _are_whole(calls: list[tuple[str, str]]) -> bool:
    """Whether the arguments of tool calls are JSON where they begin as an object does; what begins otherwise may be the free text of a tool."""
    return all(_is_json(arguments) for _, arguments in calls if arguments.lstrip().startswith("{"))


def _is_json(text: bytes | bytearray | str) -> bool:
    try:
        msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return False
    return True
