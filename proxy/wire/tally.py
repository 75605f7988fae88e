"""The tally: what a reader has gathered so far of one response, bounded however long the response is."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from proxy.call import Reading
from proxy.wire.faults import read_fault

MOST_TEXT = 65536  # characters of an answer that are kept, where a reader is not told otherwise; and of the arguments of its tool calls
_MOST_TOOLS = 256
_MOST_NAME = 300
_WORDS = ("model", "response_id", "finish", "service_tier", "system_fingerprint")  # each a provider's own, of which records keep so much


class Tally:
    """Gathers text, tool calls and facts; `close` makes the `Reading`.

    Text and tool arguments are each kept up to `text_limit` characters; `output_bytes` goes on counting.
    """

    __slots__ = ("reading", "first_token", "model_asked", "headers", "_text", "_text_room", "_tools", "_tool_room")

    def __init__(self, text_limit: int, model_asked: str | None, headers: Mapping[str, str]) -> None:
        self.reading = Reading()
        self.model_asked = model_asked
        self.headers = headers
        self.first_token = False  # some output has been seen: text, reasoning, tool arguments or media
        self._text: list[str] = []
        self._text_room = text_limit
        self._tool_room = text_limit
        self._tools: dict[object, tuple[str, list[str]]] = {}

    def add_text(self, piece: str | None) -> None:
        """Output for the caller's eyes."""
        if piece:
            size = len(piece)
            self.first_token = True
            self.reading.output_bytes += size if piece.isascii() else len(piece.encode("utf-8", "surrogatepass"))
            if self._text_room > 0:
                self._text.append(piece if size <= self._text_room else piece[: self._text_room])
                self._text_room -= size

    def add_hidden(self, piece: str | None) -> None:
        """Output that is counted and not kept: reasoning."""
        if piece:
            self.first_token = True
            self.reading.output_bytes += len(piece) if piece.isascii() else len(piece.encode("utf-8", "surrogatepass"))

    def add_tool(self, key: object, name: str | None, arguments: str | None = None) -> None:
        """A piece of the tool call `key`; the first piece opens the call."""
        tool = self._tools.get(key)
        if tool is None:
            if len(self._tools) >= _MOST_TOOLS:
                self.add_hidden(arguments)
                return
            tool = self._tools[key] = ((name or "")[:_MOST_NAME], [])
        elif name and not tool[0]:
            self._tools[key] = (name[:_MOST_NAME], tool[1])
        self.add_hidden(name)
        self.add_arguments(key, arguments)

    def add_arguments(self, key: object, arguments: str | None) -> None:
        """A further piece of the arguments of an open tool call; unknown keys are only counted."""
        self.add_hidden(arguments)
        tool = self._tools.get(key)
        if arguments and tool is not None and self._tool_room > 0:
            tool[1].append(arguments[: self._tool_room])
            self._tool_room -= len(arguments)

    def set_arguments(self, key: object, arguments: str | None) -> None:
        """The whole arguments of a tool call, where its pieces were not seen."""
        tool = self._tools.get(key)
        if tool is None or not tool[1]:
            self.add_arguments(key, arguments)

    def has_tool(self, key: object) -> bool:
        return key in self._tools

    @property
    def has_text(self) -> bool:
        return bool(self._text)

    def add_error(self, raw: msgspec.Raw | bytes) -> None:
        """An error the provider reported: an object with a message, or a plain string. The first one counts."""
        message, kind = read_fault(bytes(raw))
        if message is None and kind is None:
            return
        if self.reading.error is None:
            self.reading.error, self.reading.error_type = message or kind, kind

    def close(self) -> Reading:
        """The reading. Text is always valid Unicode, so that it can be encoded again."""
        reading = self.reading
        for name in _WORDS:
            word = getattr(reading, name)
            if word is not None and len(word) > _MOST_NAME:
                setattr(reading, name, word[:_MOST_NAME])
        reading.text = "".join(self._text)
        reading.tools = [(name, "".join(pieces) or "{}") for name, pieces in self._tools.values()]
        return reading
