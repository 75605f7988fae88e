"""Calls on a WebSocket: which messages begin a call, and which end it.

On one socket many responses follow each other, one at a time. In the Responses mode a client's `response.create` begins a call
and holds its request; the server's events are those of the SSE stream, and a terminal one ends the call. On Realtime a
response may also begin by itself (the server hears the end of speech), so the server's `response.created` begins one where
none is open; transcriptions of the caller's speech have a usage of their own and are calls of their own.
Format: https://platform.openai.com/docs/api-reference/realtime-server-events
"""

from __future__ import annotations

import msgspec

from proxy.call import Ask, Kind, Reading
from proxy.wire.ask import make_ask
from proxy.wire.body import Body, InputBody
from proxy.wire.loose import FAULTS, Loose
from proxy.wire.responses import EVENT, TERMINAL, ResponsesForm
from proxy.wire.tally import MOST_TEXT, Tally
from proxy.wire.tokens import Counts, read_counts


class _Session(msgspec.Struct):
    model: str | None = None


class _Up(msgspec.Struct):
    """A client's message."""

    type: str | None = None
    response: Body | None = None
    session: _Session | None = None


class _Transcribed(msgspec.Struct):
    item_id: str | None = None
    transcript: str | None = None
    usage: Counts | None = None
    session: _Session | None = None


class Began(msgspec.Struct, frozen=True):
    """A call has begun on the socket; `left` is what is known of the one that was still open, which it replaces.

    `request` is its body, where the message is all that it asks: a Realtime response goes by the settings of its session.
    """

    ask: Ask
    left: Reading | None = None
    request: bytes | None = None


class Ended(msgspec.Struct, frozen=True):
    """The open call has ended; or, with `apart`, a call of its own that needs no beginning (a transcription)."""

    reading: Reading
    apart: bool = False


_UP = Loose(_Up)
_BODY = Loose(InputBody)
_TRANSCRIBED = Loose(_Transcribed)
_TRANSCRIPT_DONE = "conversation.item.input_audio_transcription.completed"


def reads_socket(kind: Kind) -> bool:
    """Whether the calls on a socket of this kind are seen."""
    return kind.format in ("openai.responses", "openai.realtime")


def open_socket_reader(kind: Kind, text_limit: int = MOST_TEXT) -> SocketReader:
    """A reader of the messages of one socket; for kinds without calls on sockets it finds none."""
    return SocketReader(kind, text_limit)


class SocketReader:
    """`client` takes each text message that goes up, `server` each that comes down; both never raise.

    `first_token` tells of the open call; `end` closes it when the socket closes, None if no call is open.
    On Realtime an error leaves a response that has begun open: most are about something else.
    """

    __slots__ = ("unread", "_kind", "_text_limit", "_is_realtime", "_model", "_tally", "_form")

    def __init__(self, kind: Kind, text_limit: int) -> None:
        self.unread = 0
        self._kind = msgspec.structs.replace(kind, model=None)
        self._text_limit = text_limit
        self._is_realtime = kind.format == "openai.realtime"
        self._model = kind.model
        self._tally: Tally | None = None
        self._form: ResponsesForm | None = None

    @property
    def is_open(self) -> bool:
        return self._tally is not None

    @property
    def first_token(self) -> bool:
        return self._tally is not None and self._tally.first_token

    def client(self, message: str | bytes) -> list[Began]:
        """The calls that a message begins: none or one."""
        data = message.encode("utf-8", "replace") if isinstance(message, str) else message
        if b'"response.create"' not in data and b'"session.update"' not in data and b"\\u" not in data:  # any letter may be escaped
            return []
        try:
            up = _UP.decode(data)
            if up.type == "session.update" and up.session is not None:
                self._model = up.session.model or self._model
            if up.type != "response.create" or (self._is_realtime and self.is_open):
                return []
            fields = up.response or (Body() if self._is_realtime else _BODY.decode(data))
        except FAULTS:
            self.unread += 1
            return []
        began = self._begin(make_ask(self._kind, fields, len(data)))
        return [began if up.response is not None or self._is_realtime else msgspec.structs.replace(began, request=data)]

    def server(self, message: str | bytes) -> list[Began | Ended]:
        """What a message begins or ends, in order."""
        data = message.encode("utf-8", "replace") if isinstance(message, str) else message
        try:
            event = EVENT.decode(data)
            if self._is_realtime and event.type in (_TRANSCRIPT_DONE, "session.created", "session.updated"):
                return self._take_aside(event.type, _TRANSCRIBED.decode(data))
        except FAULTS:
            self.unread += 1
            return []
        steps: list[Began | Ended] = []
        if self._form is None and self._is_realtime and event.type == "response.created":
            steps.append(self._begin(Ask(model=self._model, stream=True)))
        if self._form is None or self._tally is None:
            return steps
        self._form.take_event(event, data)
        refused = event.type == "error" and not (self._is_realtime and self._tally.reading.response_id)
        if event.type in TERMINAL or refused:
            reading = self.end()
            if reading is not None:
                steps.append(Ended(reading))
        return steps

    def end(self) -> Reading | None:
        """Close the open call with what is known of it."""
        if self._tally is None or self._form is None:
            return None
        self._form.finish()
        reading = self._tally.close()
        self._tally = self._form = None
        return reading

    def _begin(self, ask: Ask) -> Began:
        left = self.end()
        ask = msgspec.structs.replace(ask, model=ask.model or self._model, stream=True)
        self._tally = Tally(self._text_limit, ask.model, {})
        self._form = ResponsesForm(self._tally)
        if self._is_realtime:
            self._tally.reading.model = ask.model  # a Realtime response does not name it
        return Began(ask, left)

    def _take_aside(self, kind: str, message: _Transcribed) -> list[Began | Ended]:
        if message.session is not None:
            self._model = message.session.model or self._model
        usage = read_counts(message.usage) if message.usage is not None else None
        if kind != _TRANSCRIPT_DONE or usage is None:
            return []
        tally = Tally(self._text_limit, None, {})
        tally.add_text(message.transcript)
        tally.reading.response_id = message.item_id
        tally.reading.usage = usage
        tally.reading.complete = True
        return [Ended(tally.close(), apart=True)]
